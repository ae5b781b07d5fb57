"""Images painted from prompts, and the response that contains them.

The same words give the same abstract landscape, in any size and format.
"""

import base64
import colorsys
import hashlib
import io
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from local.fake_openai.inputs import Inputs
from local.fake_openai.requests import check_image, usage

# An image is painted at most this large and then scaled up, which is fast. It may look soft.
SKETCH_EDGE = 640
ROUGH_EDGE = 192
GRAIN_EDGE = 256
KEPT = 64  # images that are kept if every prompt gets the same
Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A checked request for images. An edit has inputs."""

    parameters: Mapping[str, Any]
    inputs: Inputs | None = None

    def usage(self, images: int) -> dict[str, Any]:
        """Return the tokens of this many images."""
        tokens = self.inputs.tokens if self.inputs else 0
        return usage(self.parameters, images, image_tokens=tokens)


@dataclass(frozen=True, kw_only=True)
class Look:
    """How an image is encoded. Sizes are in pixels. `transparent` leaves out the background.

    A `rough` image is soft and without grain, like one in low quality, and costs little time.
    """

    width: int
    height: int
    output_format: str
    transparent: bool
    compression: int
    rough: bool

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Look":
        """Return the look that a valid request asks for."""
        width, height = check_image(body)
        return cls(
            width=width,
            height=height,
            output_format=body.get("output_format", "png"),
            transparent=body.get("background") == "transparent",
            compression=body.get("output_compression", 90),
            rough=body.get("quality") == "low",
        )


class Painter:
    """A painter of images for valid requests. With `once`, every prompt gets the same image.

    Edits of other inputs get other images even then.
    """

    def __init__(self, *, once: bool = False) -> None:
        self._once = once
        self._encode_base64: Callable[[str, Look, Inputs | None], bytes] = (
            lru_cache(KEPT)(_encode_base64) if once else _encode_base64
        )

    def body(
        self, request: ImageRequest, numbers: Sequence[int], *, created: int
    ) -> dict[str, Any]:
        """Return the body of a response with one image for each number.

        The same prompt and number give the same image, and another number gives another image. The
        images are base64 in bytes, which `responses.to_bytes` writes.
        """
        parameters = request.parameters
        look = Look.of(parameters)
        words = [
            "the same for all" if self._once else f"{parameters['prompt']}#{number}"
            for number in numbers
        ]
        encoded = [self._encode_base64(text, look, request.inputs) for text in words]
        return {
            "created": created,
            "data": [{"b64_json": image} for image in encoded],
            "size": f"{look.width}x{look.height}",
            "quality": parameters.get("quality", "high"),
            "output_format": look.output_format,
            "background": parameters.get("background", "auto"),
            "usage": request.usage(len(numbers)),
        }


def paint(prompt: str, look: Look, inputs: Inputs | None = None) -> bytes:
    """Return a complete image file. The images of an edit cover a part of the painting."""
    rng = random.Random(hashlib.sha256(prompt.encode()).digest())  # noqa: S311  not a secret
    edge = ROUGH_EDGE if look.rough else SKETCH_EDGE
    scale = min(1.0, edge / max(look.width, look.height))
    size = max(1, round(look.width * scale)), max(1, round(look.height * scale))
    palette = _palette(rng)
    sketch = Image.new("RGBA", size, (0, 0, 0, 0)) if look.transparent else _sky(size, palette)
    _sun(sketch, rng, palette)
    _hills(sketch, rng, palette)
    _motes(sketch, rng, palette)
    image = sketch.resize((look.width, look.height), Image.Resampling.BICUBIC)
    painting = image if look.rough else _add_grain(image, rng)
    if inputs:
        painting.alpha_composite(inputs.layer())
    return _encode(painting, look)


def _encode_base64(prompt: str, look: Look, inputs: Inputs | None) -> bytes:
    return base64.b64encode(paint(prompt, look, inputs))


def _palette(rng: random.Random) -> list[Colour]:
    """Return five colours from dark to light, around one hue and its neighbour."""
    hue, turn = rng.random(), rng.uniform(0.06, 0.16) * rng.choice((-1, 1))
    steps = (
        (0.0, 0.55, 0.20),
        (0.3, 0.55, 0.38),
        (0.6, 0.50, 0.58),
        (1.0, 0.55, 0.80),
        (1.4, 0.35, 0.97),
    )
    return [_rgb(hue + turn * step, saturation, value) for step, saturation, value in steps]


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _blend(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _sky(size: tuple[int, int], palette: list[Colour]) -> Image.Image:
    column = Image.new("RGB", (1, 3))
    column.putdata([palette[2], palette[3], palette[4]])
    return column.resize(size, Image.Resampling.BICUBIC).convert("RGBA")


def _sun(sketch: Image.Image, rng: random.Random, palette: list[Colour]) -> None:
    width, height = sketch.size
    radius = min(width, height) * rng.uniform(0.07, 0.16)
    x, y = width * rng.uniform(0.15, 0.85), height * rng.uniform(0.15, 0.42)
    glow = Image.new("L", sketch.size, 0)
    for times, light in ((3.2, 50), (2.0, 90), (1.0, 255)):
        halo = Image.new("L", sketch.size, 0)
        ImageDraw.Draw(halo).ellipse(_box(x, y, radius * times), fill=light)
        glow = ImageChops.lighter(
            glow, halo.filter(ImageFilter.GaussianBlur(radius * (times - 0.9) * 0.4))
        )
    sketch.paste((*_blend(palette[4], (255, 255, 255), 0.6), 255), mask=glow)


def _hills(sketch: Image.Image, rng: random.Random, palette: list[Colour]) -> None:
    """Add ranges of hills. Each is nearer, darker and lower than the range behind it."""
    width, height = sketch.size
    layers = rng.randint(4, 6)
    for layer in range(layers):
        near = layer / (layers - 1)
        base = height * (0.45 + 0.42 * near)
        waves = [
            (rng.uniform(0.6, 1.6) * 2**octave, rng.uniform(0, math.tau), 0.55**octave)
            for octave in range(5)
        ]
        swing = height * 0.10 * (1.1 - 0.5 * near)

        def ridge(x: int) -> float:
            return sum(
                share * math.sin(math.tau * often * x / width + phase)
                for often, phase, share in waves  # noqa: B023  it is called before the next layer
            )

        points = [(x, base - swing * ridge(x)) for x in range(0, width + 4, 3)]
        mask = Image.new("L", sketch.size, 0)
        ImageDraw.Draw(mask).polygon([(0, height), *points, (width, height)], fill=255)
        colour = _blend(palette[3], palette[0], 0.25 + 0.75 * near)
        sketch.paste((*colour, 255), mask=mask.filter(ImageFilter.GaussianBlur(0.8)))


def _motes(sketch: Image.Image, rng: random.Random, palette: list[Colour]) -> None:
    width, height = sketch.size
    light = Image.new("L", sketch.size, 0)
    draw = ImageDraw.Draw(light)
    for _ in range(rng.randint(8, 24)):
        radius = min(width, height) * rng.uniform(0.004, 0.02)
        draw.ellipse(
            _box(width * rng.random(), height * rng.random(), radius), fill=rng.randint(60, 160)
        )
    sketch.paste((*palette[4], 255), mask=light.filter(ImageFilter.GaussianBlur(1.2)))


def _add_grain(image: Image.Image, rng: random.Random) -> Image.Image:
    """Add the grain of paper, which also makes the file as large as a real image's."""
    noise = Image.frombytes("L", (GRAIN_EDGE, GRAIN_EDGE), rng.randbytes(GRAIN_EDGE * GRAIN_EDGE))
    tile = noise.point(lambda value: 120 + value // 16)
    grain = Image.new("L", image.size)
    for x in range(0, image.width, GRAIN_EDGE):
        for y in range(0, image.height, GRAIN_EDGE):
            grain.paste(tile, (x, y))
    *colours, alpha = image.split()
    return Image.merge("RGBA", (*(ImageChops.soft_light(band, grain) for band in colours), alpha))


def _encode(image: Image.Image, look: Look) -> bytes:
    out = io.BytesIO()
    is_opaque = image.getchannel("A").getextrema() == (255, 255)
    flat = image.convert("RGB") if is_opaque else image
    if look.output_format == "png":
        flat.save(out, "PNG", compress_level=1)
    elif look.output_format == "webp":
        flat.save(out, "WEBP", quality=look.compression, method=0)
    else:
        image.convert("RGB").save(out, "JPEG", quality=look.compression)
    return out.getvalue()


def _box(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius
