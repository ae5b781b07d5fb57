"""Input images for OpenAI, made of what people upload."""

import io
from typing import Any

import pytest
from PIL import Image, ImageCms

from easel.contract.errors import BadImageError
from easel.images.input_file import read_upload
from tests.support.images import encoded, png
from tests.support.references import mask_png

LIMIT = 1_000_000
ROTATED = 6  # a viewer turns the image by 90 degrees


def turned(kind: str) -> bytes:
    """Return an image of 64 by 48 pixels that a viewer shows as 48 by 64, red at the top."""
    image = Image.new("RGB", (64, 48), "blue")
    image.paste("red", (0, 0, 20, 48))
    exif = image.getexif()
    exif[0x0112] = ROTATED
    out = io.BytesIO()
    image.save(out, kind, exif=exif)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_upright_file_is_kept_unchanged(kind: str) -> None:
    data = encoded(kind)

    assert read_upload(data, limit=LIMIT).data == data


@pytest.mark.parametrize(("kind", "becomes"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("WEBP", "PNG")])
def test_turned_file_becomes_upright(kind: str, becomes: str) -> None:
    image = read_upload(turned(kind), limit=LIMIT)

    shown = opened(image.data)
    assert (shown.format, shown.size) == (becomes, (48, 64))
    assert (image.file.width, image.file.height) == (48, 64)
    red, _, blue = shown.convert("RGB").getpixel((24, 2))  # type: ignore[misc]
    assert red > 200
    assert blue < 50


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "AVIF"])
def test_other_format_becomes_png(kind: str) -> None:
    image = read_upload(encoded(kind), limit=LIMIT)

    assert opened(image.data).format == "PNG"
    assert image.file.extension == "png"
    assert image.file.content_type == "image/png"


def test_converted_file_keeps_transparency() -> None:
    source = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    out = io.BytesIO()
    source.save(out, "TIFF")

    assert read_upload(out.getvalue(), limit=LIMIT).is_transparent


def test_turned_file_keeps_its_profile() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = opened(turned("JPEG"))
    out = io.BytesIO()
    image.save(out, "JPEG", exif=image.getexif(), icc_profile=profile)

    assert opened(read_upload(out.getvalue(), limit=LIMIT).data).info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("data", "expected"), [(png(), False), (mask_png(), True), (mask_png(alpha=1), False)]
)
def test_transparency_is_found(data: bytes, expected: bool) -> None:
    assert read_upload(data, limit=LIMIT).is_transparent is expected


@pytest.mark.parametrize(
    ("size", "limit", "reason"),
    [
        ((20_000, 10), LIMIT, "16,384 on a side"),
        ((20_000, 20_000), LIMIT, "too many pixels; allowed: 50,000,000"),
        ((64, 48), 50, "more than 50"),
    ],
    ids=["a strip", "a bomb", "too many bytes"],
)
def test_too_large_file_is_refused(size: tuple[int, int], limit: int, reason: Any) -> None:
    with pytest.raises(BadImageError, match=reason):
        read_upload(saved(Image.new("1", size), "PNG"), limit=limit)


def saved(image: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


FRAMES = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]), "PNG"),
        (saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]), "PNG"),
        (saved(FRAMES[0], "MPO", save_all=True, append_images=FRAMES[1:]), "JPEG"),
        (saved(FRAMES[0].convert("CMYK"), "JPEG"), "JPEG"),
        (saved(FRAMES[0].convert("P"), "PNG"), "PNG"),
        (saved(Image.new("I;16", (20, 20), 65535), "PNG"), "PNG"),
    ],
    ids=["animated WebP", "animated PNG", "two in a JPEG", "CMYK", "palette", "16 bits"],
)
def test_odd_image_becomes_one_that_openai_reads(data: bytes, kind: str) -> None:
    shown = opened(read_upload(data, limit=LIMIT).data)

    assert (shown.format, shown.mode, getattr(shown, "n_frames", 1)) == (kind, "RGB", 1)
