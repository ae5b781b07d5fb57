"""The input images of an edit, and the layer that shows them over the painting.

Images are decoded one after another and kept only in the size in which they are shown.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from local.fake_openai.image_files import ImageFile, Size, check_files, decode, hole, upright_size
from local.fake_openai.requests import image_tokens

Box = tuple[int, int, int, int]

SHARE = 0.8  # of its cell, which an image fills


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The checked images of an edit.

    `images` and `mask` are the SHA-256 sums of the files. `tokens` are the tokens of the images.
    Equal inputs have the same layer.
    """

    images: tuple[str, ...]
    mask: str | None
    size: Size
    tokens: int
    pixels: bytes = field(repr=False, compare=False)

    def layer(self) -> Image.Image:
        """Return an RGBA image that shows the inputs, to be put over the painting."""
        return Image.frombytes("RGBA", self.size, zlib.decompress(self.pixels))


def read(images: Sequence[ImageFile], mask: ImageFile | None, size: Size) -> Inputs:
    """Return the checked inputs of an edit whose result has this size.

    Raise RefusedError. Without a mask, the images are in a grid over the painting, row by row. With
    a mask, the first image covers the painting except where the mask is transparent, and the other
    images are in a grid there.
    """
    check_files(images, mask)
    numbered = list(enumerate(images, 1))
    sizes = [upright_size(image, number) for number, image in numbered]
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    if mask is None:
        _put_into_grid(layer, numbered, (0, 0, *size))
    else:
        shown = hole(mask, sizes[0]).resize(size, Image.Resampling.NEAREST)
        _put_into_grid(layer, numbered[1:], shown.getbbox())
        cover = decode(images[0], 1, size).resize(size)
        layer.paste(cover, mask=shown.point(lambda value: 255 - value))
    return Inputs(
        images=tuple(image.digest() for image in images),
        mask=mask.digest() if mask else None,
        size=size,
        tokens=sum(image_tokens(*each) for each in sizes),
        pixels=zlib.compress(layer.tobytes(), level=1),
    )


def _put_into_grid(
    layer: Image.Image, numbered: Sequence[tuple[int, ImageFile]], area: Box | None
) -> None:
    """Show images in the middle of equal cells of an area. No area is an empty one."""
    left, top, right, bottom = area or (0, 0, 0, 0)
    width, height = right - left, bottom - top
    count = len(numbered)
    wanted = round(math.sqrt(count * width / height)) if height else 1
    columns = max(1, min(count, wanted))
    rows = math.ceil(count / columns)
    for place, (number, image) in enumerate(numbered):
        row, column = divmod(place, columns)
        room = round(width / columns * SHARE), round(height / rows * SHARE)
        shown = _fitted(decode(image, number, room), room)
        x = left + width * (2 * column + 1) // (2 * columns)
        y = top + height * (2 * row + 1) // (2 * rows)
        layer.alpha_composite(shown, (max(0, x - shown.width // 2), max(0, y - shown.height // 2)))


def _fitted(image: Image.Image, room: Size) -> Image.Image:
    """Return the image as large as fits, but at least one pixel wide and high."""
    scale = min(room[0] / image.width, room[1] / image.height)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
