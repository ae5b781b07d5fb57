"""Paints a picture from a prompt: an abstract landscape, the same for the same words, of any size and format."""

import colorsys
import hashlib
import io
import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SKETCH_EDGE = 640  # painted at this size at most and scaled up: fast, and soft as a painting may be
GRAIN_EDGE = 256
Colour = tuple[int, int, int]


def paint(prompt: str, *, width: int, height: int, output_format: str, background: str, compression: int = 90) -> bytes:
    """A whole picture file; sizes in pixels. With background `transparent` only the shapes are painted."""
    rng = random.Random(hashlib.sha256(prompt.encode()).digest())  # noqa: S311 - a picture, no secret
    scale = min(1.0, SKETCH_EDGE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    palette = _palette(rng)
    sketch = Image.new("RGBA", size, (0, 0, 0, 0)) if background == "transparent" else _sky(size, palette)
    _sun(sketch, rng, palette)
    _hills(sketch, rng, palette)
    _motes(sketch, rng, palette)
    picture = sketch.resize((width, height), Image.Resampling.BICUBIC)
    return _encode(_grained(picture, rng), output_format, compression)


def _palette(rng: random.Random) -> list[Colour]:
    """Five colours from dark to light, around one hue and its neighbour."""
    hue, turn = rng.random(), rng.uniform(0.06, 0.16) * rng.choice((-1, 1))
    steps = ((0.0, 0.55, 0.20), (0.3, 0.55, 0.38), (0.6, 0.50, 0.58), (1.0, 0.55, 0.80), (1.4, 0.35, 0.97))
    return [_rgb(hue + turn * step, saturation, value) for step, saturation, value in steps]


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _blend(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
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
        glow = ImageChops.lighter(glow, halo.filter(ImageFilter.GaussianBlur(radius * (times - 0.9) * 0.4)))
    sketch.paste((*_blend(palette[4], (255, 255, 255), 0.6), 255), mask=glow)


def _hills(sketch: Image.Image, rng: random.Random, palette: list[Colour]) -> None:
    """Ranges of hills, each nearer, darker and lower than the one behind it."""
    width, height = sketch.size
    layers = rng.randint(4, 6)
    for layer in range(layers):
        near = layer / (layers - 1)
        base = height * (0.45 + 0.42 * near)
        waves = [(rng.uniform(0.6, 1.6) * 2**octave, rng.uniform(0, math.tau), 0.55**octave) for octave in range(5)]
        swing = height * 0.10 * (1.1 - 0.5 * near)
        ridge = [
            (x, base - swing * sum(share * math.sin(math.tau * often * x / width + phase) for often, phase, share in waves))
            for x in range(0, width + 4, 3)
        ]
        mask = Image.new("L", sketch.size, 0)
        ImageDraw.Draw(mask).polygon([(0, height), *ridge, (width, height)], fill=255)
        colour = _blend(palette[3], palette[0], 0.25 + 0.75 * near)
        sketch.paste((*colour, 255), mask=mask.filter(ImageFilter.GaussianBlur(0.8)))


def _motes(sketch: Image.Image, rng: random.Random, palette: list[Colour]) -> None:
    width, height = sketch.size
    light = Image.new("L", sketch.size, 0)
    draw = ImageDraw.Draw(light)
    for _ in range(rng.randint(8, 24)):
        radius = min(width, height) * rng.uniform(0.004, 0.02)
        draw.ellipse(_box(width * rng.random(), height * rng.random(), radius), fill=rng.randint(60, 160))
    sketch.paste((*palette[4], 255), mask=light.filter(ImageFilter.GaussianBlur(1.2)))


def _grained(picture: Image.Image, rng: random.Random) -> Image.Image:
    """The grain of paper, which also makes a picture as many bytes as a real one has."""
    tile = Image.frombytes("L", (GRAIN_EDGE, GRAIN_EDGE), rng.randbytes(GRAIN_EDGE * GRAIN_EDGE)).point(lambda value: 120 + value // 16)
    grain = Image.new("L", picture.size)
    for x in range(0, picture.width, GRAIN_EDGE):
        for y in range(0, picture.height, GRAIN_EDGE):
            grain.paste(tile, (x, y))
    red, green, blue, alpha = picture.split()
    return Image.merge("RGBA", (*(ImageChops.soft_light(band, grain) for band in (red, green, blue)), alpha))


def _encode(picture: Image.Image, output_format: str, compression: int) -> bytes:
    out = io.BytesIO()
    flat = picture if picture.getchannel("A").getextrema() != (255, 255) else picture.convert("RGB")
    if output_format == "png":
        flat.save(out, "PNG", compress_level=1)
    elif output_format == "webp":
        flat.save(out, "WEBP", quality=compression, method=0)
    else:
        picture.convert("RGB").save(out, "JPEG", quality=compression)
    return out.getvalue()


def _box(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius
