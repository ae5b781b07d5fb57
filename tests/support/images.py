"""Small images."""

import io

from PIL import Image


def png(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    return encoded("PNG", width, height, colour)


def encoded(kind: str, width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, kind)
    return out.getvalue()
