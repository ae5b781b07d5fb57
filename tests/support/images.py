"""Small images."""

import io

from PIL import Image


def png(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    return encoded("PNG", width, height, colour)


def encoded(kind: str, width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, kind)
    return out.getvalue()


def png_with_hole(width: int, height: int, hole: tuple[int, int, int, int]) -> bytes:
    """Return a black PNG that is transparent in a box, as the mask of an edit is."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), hole)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
