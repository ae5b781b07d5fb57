"""Decodes a whole image file within limits, and makes its thumbnail as a viewer shows the image.

The file itself is stored as it came. Only what is derived from it is turned upright, converted to
sRGB and to 8 bits.
"""

import hashlib
import io
from contextlib import suppress
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from easel.contract import naming
from easel.contract.errors import BadImageError

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
THUMBNAIL_EDGE = 320
TURNED = (5, 6, 7, 8)  # the values of the EXIF orientation that swap width and height
# Pillow's own limits protect against text that unpacks to gigabytes. A megabyte is usual.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = naming.MAX_IMAGE_BYTES


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A fully decoded image. Sizes are in pixels as a viewer shows it. The thumbnail is a WebP."""

    extension: str
    content_type: str
    width: int
    height: int
    thumbnail: bytes


def verify(data: bytes, *, sha256: str, where: str) -> ImageFile:
    """Decode the whole image. Its bytes decide the format, not the requested output_format.

    Raises BadImageError with the key of the staged bytes.
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
                thumbnail=make_thumbnail(image),
            )
    except BadImageError:
        raise
    # Pillow's decoders raise many errors for a damaged file: OSError, SyntaxError, ValueError,
    # IndexError and more.
    except Exception as error:
        details = f"{len(data):,} bytes, first {data[:16].hex(' ')}"
        raise BadImageError(f"{where} is not a complete PNG, JPEG or WebP ({details})") from error


def make_thumbnail(image: Image.Image) -> bytes:
    """Return a small WebP of a decoded image. This may shrink the given image."""
    small = to_eight_bits(image)
    small.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
    with suppress(Exception):  # broken EXIF data; the pixels are sound
        small = ImageOps.exif_transpose(small)
    small = to_srgb(small)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=80)
    return out.getvalue()


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
