"""Decodes a whole image file within limits, and makes its previews as a viewer shows the image.

The file itself is stored as it came. Only what is derived from it is turned upright, converted to
sRGB and to 8 bits.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from easel.contract import naming
from easel.contract.errors import BadImageError
from easel.contract.naming import preview_size

ENDINGS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
FORMATS = {name: (ending, naming.CONTENT_TYPES[ending]) for name, ending in ENDINGS.items()}
# MPO is Pillow's name for a JPEG file with several images. It is read as JPEG and stored unchanged.
PILLOW_FORMATS = FORMATS | {"MPO": FORMATS["JPEG"]}
# Six times a model's largest image. Decoded, it takes at most 200 MB, and a converted copy as much.
MAX_PIXELS = 50_000_000
MAX_EDGE = 16_384  # a strip of one pixel by fifty million would take five times the memory
# A progressive JPEG has about ten scans, and each one decodes the whole image.
MAX_SCANNED_PIXELS = 1_500_000_000
START_OF_SCAN = b"\xff\xda"
THUMBNAIL_EDGE = naming.PREVIEW_EDGES[0]
METHOD = 2  # WebP's effort from 0 to 6, which is 4 by default
TURNED = (5, 6, 7, 8)  # the values of the EXIF orientation that swap width and height
# Pillow's own limits protect against text that unpacks to gigabytes. A megabyte is usual.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = naming.MAX_IMAGE_BYTES


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A fully decoded image. Sizes are in pixels as a viewer shows it.

    `previews` are WebP files by the pixels of their longer edge. `decoded` is as it is in the file.
    """

    extension: str
    content_type: str
    width: int
    height: int
    previews: Mapping[int, bytes]
    decoded: Image.Image

    @property
    def thumbnail(self) -> bytes:
        """Return the smallest preview, which every image has."""
        return self.previews[THUMBNAIL_EDGE]

    def upright(self) -> Image.Image:
        """Return the whole image as a viewer shows it, in RGB or RGBA with 8 bits."""
        return to_srgb(_turn(to_eight_bits(self.decoded)))


def verify(
    data: bytes, *, sha256: str, where: str, edges: Sequence[int] = (), xmp: bytes | None = None
) -> ImageFile:
    """Decode the whole image. Its bytes decide the format, not the requested output_format.

    `edges` are those of more previews, and `xmp` is written into all of them. Raises BadImageError
    with the key of the staged bytes.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BadImageError(f"{where} is not what was staged: its sha256 differs")
    try:
        with _open(data) as image:
            extension, content_type = PILLOW_FORMATS[str(image.format)]
            check_limits(image, data, where)
            image.verify()
        with _open(data) as image:
            image.load()
            width, height = image.size
            if orientation(image) in TURNED:
                width, height = height, width
            return ImageFile(
                extension=extension,
                content_type=content_type,
                width=width,
                height=height,
                previews=make_previews(image, edges, xmp),
                decoded=image,
            )
    except BadImageError:
        raise
    # Pillow's decoders raise many errors for a damaged file: OSError, SyntaxError, ValueError,
    # IndexError and more.
    except Exception as error:
        details = f"{len(data):,} bytes, first {data[:16].hex(' ')}"
        raise BadImageError(f"{where} is not a complete PNG, JPEG or WebP ({details})") from error


def make_previews(
    image: Image.Image, edges: Sequence[int] = (), xmp: bytes | None = None
) -> dict[int, bytes]:
    """Return the thumbnail, and a preview for each larger edge that the image is larger than."""
    size = image.size
    wanted = sorted({THUMBNAIL_EDGE, *(edge for edge in edges if edge < max(size))}, reverse=True)
    # What is converted is already small, and each preview is made from the next larger one.
    small = to_srgb(_turn(_fit(to_eight_bits(image), preview_size(*size, wanted[0]))))
    width, height = size[::-1] if orientation(image) in TURNED else size
    previews = {}
    for edge in wanted:
        small = _fit(small, preview_size(width, height, edge))
        out = io.BytesIO()
        small.save(out, "WEBP", quality=80, method=METHOD, **({"xmp": xmp} if xmp else {}))
        previews[edge] = out.getvalue()
    return previews


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _turn(image: Image.Image) -> Image.Image:
    with suppress(Exception):  # broken EXIF data; the pixels are sound
        return ImageOps.exif_transpose(image)
    return image


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=tuple(FORMATS))


def check_limits(image: Image.Image, data: bytes, where: str) -> None:
    """Raise BadImageError for an image that takes too much memory or time to decode."""
    pixels, size = image.width * image.height, f"{image.width}x{image.height}"
    if pixels > MAX_PIXELS or max(image.size) > MAX_EDGE:
        raise BadImageError(
            f"{where} has {size} pixels; allowed: at most {MAX_PIXELS:,}, and {MAX_EDGE:,} on a "
            "side"
        )
    scans = _scans(data) if image.format in ("JPEG", "MPO") else 1
    if scans * pixels > MAX_SCANNED_PIXELS:
        raise BadImageError(
            f"{where} has {scans:,} scans of {size} pixels, which would take too long to decode"
        )


def _scans(data: bytes) -> int:
    """Return an upper bound of a JPEG's scans.

    What looks like a scan inside the metadata before the first one, such as an embedded preview or
    random bytes of C2PA, is not counted.
    """
    position = 2
    while data[position : position + 1] == b"\xff" and position + 4 <= len(data):
        marker = data[position : position + 2]
        if marker == START_OF_SCAN:
            return data.count(START_OF_SCAN, position)
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return data.count(START_OF_SCAN)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, from 1 (upright) to 8."""
    with suppress(Exception):  # broken EXIF data; the pixels are sound
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return the image in a mode that can be scaled smoothly, with 8 bits a channel."""
    if image.mode.startswith("I"):
        # Pillow cuts off larger values when it converts to 8 bits. Images have 16 bits.
        return image.point(lambda value: value * (1 / 257)).convert("L")
    if image.mode in ("RGB", "RGBA", "L", "CMYK"):
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def to_srgb(image: Image.Image) -> Image.Image:
    """Return the image in RGB or RGBA, with its colours converted from its own profile."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    profile = image.info.get("icc_profile")
    if profile:
        # Most images have no profile, and the import takes time.
        from PIL import ImageCms

        # A broken profile, or one for another mode. A viewer ignores it as well.
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, own, srgb, outputMode=mode)
            if converted is not None:
                converted.info.pop("icc_profile", None)
                return converted
    return image if image.mode == mode else image.convert(mode)
