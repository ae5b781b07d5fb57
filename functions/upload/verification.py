"""Is this a picture? By its bytes alone, never by what was asked for."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from functions.errors import BadImageError

FORMATS = {"PNG": ("png", "image/png"), "JPEG": ("jpg", "image/jpeg"), "WEBP": ("webp", "image/webp")}
# What Pillow calls a JPEG that holds more than one picture: it is read as JPEG, and stored as what it is.
NAMED = FORMATS | {"MPO": FORMATS["JPEG"]}
MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000  # six times the largest picture that a model makes; decoded at most 200 MB
THUMBNAIL_EDGE = 320


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What the bytes are; sizes in pixels; `thumbnail` is a WebP."""

    extension: str
    content_type: str
    width: int
    height: int
    thumbnail: bytes


def verify(data: bytes, *, sha256: str, where: str) -> Verified:
    """Decode the picture whole. Raises BadImageError, which says `where` the bytes stay."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BadImageError(f"{where} is not what was staged: its sha256 differs; it stays there")
    try:
        with Image.open(io.BytesIO(data), formats=tuple(FORMATS)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadImageError(f"{where} has {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}; it stays there")
            extension, content_type = NAMED[str(image.format)]
            image.verify()
        with Image.open(io.BytesIO(data), formats=tuple(FORMATS)) as image:
            image.load()
            width, height = image.size
            thumbnail = _thumbnail(image)
            return Verified(extension=extension, content_type=content_type, width=width, height=height, thumbnail=thumbnail)
    except BadImageError:
        raise
    # Pillow's decoders raise whatever their code stumbles over in a damaged file: OSError, SyntaxError, ValueError, IndexError …
    except Exception as error:
        start = data[:16].hex(" ")
        raise BadImageError(f"{where} is no whole PNG, JPEG or WebP ({len(data):,} bytes, first {start}); it stays there") from error


def _thumbnail(image: Image.Image) -> bytes:
    """May shrink the picture itself."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    small = image if image.mode == mode else image.convert(mode)
    small.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
    out = io.BytesIO()
    small.save(out, "WEBP", quality=80)
    return out.getvalue()
