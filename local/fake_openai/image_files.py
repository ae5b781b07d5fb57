"""The image files of an edit: which ones the API accepts, and how they are decoded."""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from PIL import ExifTags, Image, ImageOps

from local.fake_openai.requests import UNUSABLE, RefusedError

Size = tuple[int, int]  # in pixels

TOO_LARGE = 50_000_000  # bytes; an image must have fewer
MASK_TOO_LARGE = 4_000_000
MAX_PIXELS = 64_000_000  # decoded, these are 256 MB
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
# Users report that CMYK, palettes and 16 bits per channel are refused.
MODES = ("L", "LA", "RGB", "RGBA")
# Pillow raises these for a file that it cannot decode.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
TURNED = range(5, 9)  # the orientations that exchange width and height


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image of a request, before it is checked.

    `param` is its name in errors. `kind` is its media type, or None if the request names none.
    """

    param: str
    file: BinaryIO
    size: int
    kind: str | None

    def digest(self) -> str:
        """Return the SHA-256 sum of the file."""
        self.file.seek(0)
        digest = hashlib.sha256()
        while chunk := self.file.read(1_000_000):
            digest.update(chunk)
        return digest.hexdigest()


def check_files(images: Sequence[ImageFile], mask: ImageFile | None) -> None:
    """Check the media types and the bytes of the files. Raise RefusedError."""
    for image in images:
        _check_file(image, tuple(FORMATS), TOO_LARGE)
    if mask:
        _check_file(mask, ("image/png",), MASK_TOO_LARGE)


def upright_size(image: ImageFile, number: int) -> Size:
    """Return the size of an image after its orientation is applied.

    `number` is its place among the images, from 1. Raise RefusedError.
    """
    with _opened(image, _invalid_image(number)) as opened:
        turned = opened.getexif().get(ExifTags.Base.Orientation) in TURNED
        return (opened.height, opened.width) if turned else opened.size


def decode(image: ImageFile, number: int, size: Size) -> Image.Image:
    """Return an upright RGBA image that is about as large as `size`, or smaller.

    Raise RefusedError.
    """
    with _opened(image, _invalid_image(number)) as opened:
        longest = max(1, *size)  # the image may be turned afterwards
        opened.thumbnail((longest, longest))  # this decodes a JPEG no larger than needed
        return ImageOps.exif_transpose(opened).convert("RGBA")


def hole(mask: ImageFile, size: Size) -> Image.Image:
    """Return where the mask of an image of this size is transparent.

    The returned image is 255 there and 0 elsewhere. Raise RefusedError.
    """
    with _opened(mask, _invalid_mask("mask image is not a valid PNG")) as opened:
        if opened.format != "PNG":
            raise _invalid_mask("mask image is not a valid PNG")
        if opened.size != size:
            raise _invalid_mask("mask size does not match image size")
        if "A" not in opened.getbands():
            raise _invalid_mask("mask image missing alpha channel")
        return opened.getchannel("A").point(lambda value: 0 if value else 255)


def _check_file(image: ImageFile, kinds: Sequence[str], too_large: int) -> None:
    *most, last = [f"'{kind}'" for kind in kinds]
    supported = f"{', '.join(most)}, and {last}" if most else last
    if image.kind is not None and image.kind not in kinds:
        message = f"unsupported mimetype ('{image.kind}'). Supported file formats are {supported}."
        if not image.kind:
            message = (
                "failed to determine mimetype. Ensure you are providing the file's mimetype as "
                "part of the 'Content-Type' header."
            )
        code = "unsupported_file_mimetype" if image.kind else "missing_file_mimetype"
        raise RefusedError(image.param, f"Invalid file '{image.param}': {message}", code)
    if image.size >= too_large:
        message = f"file too large. Files must be smaller than {too_large // 1_000_000} MB."
        raise RefusedError(
            image.param, f"Invalid file '{image.param}': {message}", "file_above_max_size"
        )


@contextmanager
def _opened(image: ImageFile, problem: RefusedError) -> Iterator[Image.Image]:
    """Open an image. Raise the problem if it, or its use in the context, fails."""
    image.file.seek(0)
    try:
        with Image.open(image.file, formats=tuple(FORMATS.values())) as opened:
            # Pillow reads a file with several pictures, as some phones write it, as MPO.
            declared = FORMATS.get(image.kind or "", opened.format)
            is_known = opened.format in FORMATS.values() and opened.format == declared
            is_still = getattr(opened, "n_frames", 1) == 1
            is_small = opened.width * opened.height <= MAX_PIXELS
            if not (is_known and is_still and is_small and opened.mode in MODES):
                raise problem
            yield opened
    except RefusedError:
        raise
    except UNREADABLE:
        raise problem from None


def _invalid_image(number: int) -> RefusedError:
    message = f"Invalid image file or mode for image {number}, please check your image file."
    return RefusedError(None, message, "invalid_image_file", UNUSABLE)


def _invalid_mask(problem: str) -> RefusedError:
    message = f"Invalid mask image format - {problem}"
    return RefusedError(None, message, "invalid_mask_image_format", UNUSABLE)
