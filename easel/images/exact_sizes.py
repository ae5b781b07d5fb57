"""Cuts files of exact sizes out of an image."""

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image, PngImagePlugin

from easel.contract import naming
from easel.images.focus import Focus, crop_box

# The quality is one at which people hardly see a difference. AVIF at its usual speed would take ten
# times as long as JPEG.
OPTIONS: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 88},
    "webp": {"quality": 85, "method": 2},
    "avif": {"quality": 75, "speed": 8},
    "png": {},
}
ENDINGS = {"jpeg": "jpg", "webp": "webp", "avif": "avif", "png": "png"}
XMP_OF_PNG = "XML:com.adobe.xmp"  # the keyword of its text chunk, from the XMP specification
OPAQUE = 255


@dataclass(frozen=True, kw_only=True)
class SizedFile:
    """A file of an exact size. `enlarged` is whether the image has fewer pixels than the file."""

    data: bytes
    extension: str
    content_type: str
    enlarged: bool


class Cutter:
    """Cuts one image, which is upright and in RGB or RGBA, into files with the same XMP."""

    def __init__(self, image: Image.Image, *, kind: str, crop: str, xmp: bytes) -> None:
        if image.mode == "RGBA" and _lowest(image.getchannel("A")) == OPAQUE:
            image = image.convert("RGB")
        if kind == "auto" and image.mode == "RGB":
            kind = "jpeg"
        if kind == "jpeg" and image.mode == "RGBA":
            ground = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(ground, image).convert("RGB")
        self._image, self._kind, self._xmp = image, kind, xmp
        self._is_focused = crop == "focus"

    @cached_property
    def _focus(self) -> Focus | None:
        return Focus(self._image) if self._is_focused else None

    def cut(self, width: int, height: int) -> SizedFile:
        """Return the file of one size."""
        image, kind = self._image, self._kind
        if kind == "auto":  # the image is transparent
            kind = "webp" if width * height <= naming.MAX_COMPACT_PIXELS else "png"
        left, top, right, bottom = crop_box(image.size, (width, height), self._focus)
        sized = image.resize(
            (width, height),
            Image.Resampling.LANCZOS,
            box=(left, top, right, bottom),
            reducing_gap=3.0,
        )
        out = io.BytesIO()
        sized.save(out, kind.upper(), **OPTIONS[kind], **self._xmp_options(kind))
        return SizedFile(
            data=out.getvalue(),
            extension=ENDINGS[kind],
            content_type=naming.CONTENT_TYPES[ENDINGS[kind]],
            enlarged=round(right - left, 3) < width or round(bottom - top, 3) < height,
        )

    def _xmp_options(self, kind: str) -> dict[str, Any]:
        """Return Pillow's options that write the XMP."""
        if kind != "png":
            return {"xmp": self._xmp}
        info = PngImagePlugin.PngInfo()
        info.add_itxt(XMP_OF_PNG, self._xmp.decode())
        return {"pnginfo": info}


def _lowest(channel: Image.Image) -> float:
    lowest, _ = channel.getextrema()
    return lowest  # type: ignore[return-value]
