"""Makes an input image for OpenAI of an uploaded file. What OpenAI reads is kept byte for byte."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from easel.contract.errors import BadImageError
from easel.images.image_file import (
    FORMATS,
    MAX_PIXELS,
    ImageFile,
    check_limits,
    orientation,
    to_eight_bits,
    to_srgb,
    verify,
)

# These are read, too, but OpenAI reads only the formats in FORMATS.
CONVERTED = ("GIF", "BMP", "TIFF", "AVIF")
NO_IMAGE = "it is not an image that Easel reads; use PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"
DAMAGED = "the image in it is damaged or incomplete"
MODES = ("L", "LA", "RGB", "RGBA")
UPRIGHT = 1


@dataclass(frozen=True, kw_only=True)
class InputImage:
    """The bytes for OpenAI. `is_transparent` is true if a pixel is fully transparent."""

    data: bytes
    sha256: str
    file: ImageFile
    is_transparent: bool


def read_upload(data: bytes, *, limit: int) -> InputImage:
    """Return the input image. It is upright, and has at most `limit` bytes.

    Raises BadImageError.
    """
    converted = _convert(data)
    if len(converted) > limit:
        raise BadImageError(f"as PNG it has {len(converted):,} bytes, more than {limit:,}")
    sha256 = hashlib.sha256(converted).hexdigest()
    try:
        file = verify(converted, sha256=sha256, where="the file")
    except BadImageError as error:  # its size is within the limits, which _convert has checked
        raise BadImageError(DAMAGED) from error
    with Image.open(io.BytesIO(converted)) as image:
        transparent = image.has_transparency_data and _is_transparent(image)
    return InputImage(data=converted, sha256=sha256, file=file, is_transparent=transparent)


def _convert(data: bytes) -> bytes:
    """Return the file, or an upright copy that OpenAI can read."""
    try:
        with Image.open(io.BytesIO(data), formats=(*FORMATS, *CONVERTED)) as image:
            check_limits(image, data, "the file")
            if _is_fit(image):
                return data
            kind = "JPEG" if image.format in ("JPEG", "MPO") else "PNG"
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            profile = image.info.get("icc_profile")
            shown: Image.Image = image
            if image.mode not in MODES:
                shown, profile = to_srgb(to_eight_bits(image)), None
            out = io.BytesIO()
            options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
            shown.save(out, kind, icc_profile=profile, **options)
            return out.getvalue()
    except BadImageError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit is higher than ours
        raise BadImageError(f"the file has too many pixels; allowed: {MAX_PIXELS:,}") from error
    except UnidentifiedImageError as error:
        raise BadImageError(NO_IMAGE) from error
    # Pillow's decoders raise many errors for a damaged file.
    except Exception as error:
        raise BadImageError(DAMAGED) from error


def _is_fit(image: Image.Image) -> bool:
    """Return whether OpenAI reads the file, and shows it as a viewer does.

    Users report that it refuses animations, several images in a JPEG, palettes, CMYK and 16 bits.
    """
    is_single = getattr(image, "n_frames", 1) == 1
    return (
        image.format in FORMATS
        and is_single
        and image.mode in MODES
        and orientation(image) == UPRIGHT
    )


def _is_transparent(image: Image.Image) -> bool:
    alpha = image.convert("RGBA").getchannel("A")
    lowest, _ = alpha.getextrema()
    return lowest == 0
