"""Thumbnails and sizes are what a viewer shows; files with odd but sound contents are stored."""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from easel.contract.errors import BadImageError
from easel.images.image_file import ImageFile, verify

RED, BLUE = (255, 0, 0), (0, 0, 255)
ORIENTATION = 0x0112


def checked(data: bytes) -> ImageFile:
    return verify(data, sha256=hashlib.sha256(data).hexdigest(), where="staging/x")


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def thumbnail(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(checked(data).thumbnail))


def colour(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    pixel = image.convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    return tuple(int(part) for part in pixel)


def near(first: tuple[int, ...], second: tuple[int, ...], by: int = 8) -> bool:
    return all(abs(a - b) <= by for a, b in zip(first, second, strict=True))


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    image = Image.new("I;16", (64, 48))
    for x in range(64):
        for y in range(48):
            image.putpixel((x, y), 0 if x < 32 else 32_768)

    small = thumbnail(saved(image))

    assert near(colour(small, 5, 5), (0, 0, 0))
    assert near(colour(small, 60, 5), (128, 128, 128))


def test_sixteen_bit_colour_is_stored() -> None:
    row = b"\x00" + struct.pack(">HHH", 65_535, 0, 32_768) * 4
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * 4)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    assert near(colour(thumbnail(data), 1, 1), (255, 0, 128), by=12)


def turned(kind: str, orientation: int) -> bytes:
    """Return an image of 80x40 that is red on its left, with an EXIF orientation."""
    image = Image.new("RGB", (80, 40), BLUE)
    image.paste(RED, (0, 0, 40, 40))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(image, kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [
        (1, (80, 40), (5, 20)),
        (3, (80, 40), (75, 20)),
        (6, (40, 80), (20, 5)),
        (8, (40, 80), (20, 75)),
    ],
)
def test_orientation_turns_size_and_thumbnail(
    kind: str, orientation: int, size: tuple[int, int], red_at: tuple[int, int]
) -> None:
    data = turned(kind, orientation)

    file, small = checked(data), thumbnail(data)

    assert (file.width, file.height) == small.size == size
    assert near(colour(small, *red_at), RED, by=60)


def display_p3() -> bytes:
    """Return a profile whose red is more saturated than sRGB's: sRGB with red and green swapped."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The tag table names the colorants. Swapping two of them changes the meaning of the channels.
    return profile.replace(b"rXYZ", b"temp").replace(b"gXYZ", b"rXYZ").replace(b"temp", b"gXYZ")


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("JPEG", "RGB")])
def test_colours_are_converted_from_their_profile(kind: str, mode: str) -> None:
    data = saved(Image.new(mode, (40, 40), "red"), kind, icc_profile=display_p3())
    assert near(colour(thumbnail(data), 20, 20), (0, 255, 0), by=20)


def test_broken_profile_is_ignored() -> None:
    data = saved(Image.new("RGB", (40, 40), RED), icc_profile=b"no profile at all")
    assert near(colour(thumbnail(data), 20, 20), RED)


def test_megabytes_of_text_are_stored() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "{" + "node" * 800_000 + "}", zip=True)
    info.add_itxt("notes", "ä" * 1_500_000, zip=True)
    assert checked(saved(Image.new("RGB", (8, 8)), pnginfo=info)).width == 8


def palette() -> Image.Image:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([0, 0, 0, *RED] + [0] * 762)
    return image


def clear_palette() -> Image.Image:
    image = palette()
    image.putpixel((0, 0), 0)
    image.info["transparency"] = 0
    return image


@pytest.mark.parametrize(
    ("make", "mode"),
    [
        (palette, "RGB"),
        (clear_palette, "RGBA"),
        (lambda: Image.new("LA", (40, 40), (100, 128)), "RGBA"),
        (lambda: Image.new("1", (40, 40), 1), "RGB"),
        (lambda: Image.new("L", (40, 40), 100), "RGB"),
    ],
)
def test_every_mode_has_a_thumbnail(make: Callable[[], Image.Image], mode: str) -> None:
    assert thumbnail(saved(make())).mode == mode


def test_cmyk_is_shown_in_its_colours() -> None:
    data = saved(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG")
    assert near(colour(thumbnail(data), 20, 20), RED, by=20)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_is_stored_with_its_first_frame(kind: str) -> None:
    first, second = (Image.new("RGB", (40, 40), shade) for shade in (RED, BLUE))
    data = saved(first, kind, save_all=True, append_images=[second], duration=100)
    assert near(colour(thumbnail(data), 20, 20), RED, by=20)


def test_strip_of_one_pixel_is_refused() -> None:
    with pytest.raises(BadImageError, match="on a side"):
        checked(saved(Image.new("1", (1, 100_000))))


@pytest.mark.parametrize("field", ["comment", "icc_profile"])
def test_metadata_of_a_jpeg_is_not_counted_as_scans(field: str) -> None:
    metadata = b"\xff\xda" * 1_000
    data = saved(Image.new("RGB", (2_000, 2_000)), "JPEG", **{field: metadata})
    assert checked(data).width == 2_000


def test_endless_scans_are_refused() -> None:
    data = saved(Image.new("RGB", (2_000, 2_000)), "JPEG")
    with pytest.raises(BadImageError, match="scans of 2000x2000"):
        checked(data + b"\xff\xda" * 1_000)
