"""Sizes are exact, keep what matters, and are marked as made by AI."""

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw

from easel.images.ai_mark import AI_MADE, AiMark
from easel.images.exact_sizes import Cutter
from easel.images.focus import Focus, crop_box
from easel.images.image_file import make_previews
from tests.support.image_marks import xmp_of

KINDS = ("jpeg", "webp", "avif", "png")
MARK = AiMark(
    source_type=AI_MADE,
    title="Tea & <scones>",
    alt_text='A "teapot"\n☕ 紅茶',
    image_id="1f0c9a2e4b7d8035-1",
    sha256="ab" * 32,
)
RED = (255, 0, 0)


def cut(image: Image.Image, *size: int, kind: str = "png", crop: str = "focus") -> Any:
    cutter = Cutter(image, kind=kind, crop=crop, xmp=MARK.to_xmp())
    return cutter.cut(*size)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def scene(width: int, height: int, *, at: tuple[int, int]) -> Image.Image:
    """Return a plain image with a red chessboard, 120 pixels wide, at a place."""
    image = Image.new("RGB", (width, height), "skyblue")
    draw = ImageDraw.Draw(image)
    for column in range(12):
        for row in range(12):
            x, y = at[0] + column * 10, at[1] + row * 10
            draw.rectangle((x, y, x + 9, y + 9), RED if (column + row) % 2 else "white")
    return image


def red_pixels(image: Image.Image) -> int:
    pixels = image.convert("RGB").tobytes()
    return sum(
        pixels[i] > 200 and pixels[i + 1] < 60 and pixels[i + 2] < 60
        for i in range(0, len(pixels), 3)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(640, 640), (16, 90), (300, 16), (50, 900)])
def test_size_is_exact_in_every_format(kind: str, size: tuple[int, int]) -> None:
    file = cut(scene(640, 480, at=(10, 10)), *size, kind=kind)

    image = opened(file.data)
    assert (image.size, str(image.format).lower()) == (size, kind)
    assert file.content_type == f"image/{kind}"


@pytest.mark.parametrize(
    ("size", "enlarged"),
    [((480, 480), False), ((640, 480), False), ((481, 481), True), ((641, 10), True)],
)
def test_enlarged_size_is_reported(size: tuple[int, int], enlarged: bool) -> None:
    assert cut(scene(640, 480, at=(0, 0)), *size).enlarged == enlarged


@pytest.mark.parametrize("at", [(0, 100), (300, 100), (520, 100)])
def test_focus_keeps_the_detail(at: tuple[int, int]) -> None:
    image = scene(640, 320, at=at)

    kept = opened(cut(image, 160, 320).data)

    assert red_pixels(kept) == red_pixels(image)


@pytest.mark.parametrize("at", [(100, 0), (100, 200), (100, 520)])
def test_focus_keeps_the_detail_of_tall_images(at: tuple[int, int]) -> None:
    image = scene(320, 640, at=at)
    assert red_pixels(opened(cut(image, 320, 160).data)) == red_pixels(image)


def test_center_ignores_the_detail() -> None:
    image = scene(640, 320, at=(0, 100))
    assert red_pixels(opened(cut(image, 160, 320, crop="center").data)) == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (640, 480)])
def test_plain_image_is_cropped_at_its_center(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "teal")

    left, top, right, bottom = crop_box(size, (100, 100), Focus(image))

    assert abs((left + right) / 2 - size[0] / 2) <= 0.01 * size[0]
    assert abs((top + bottom) / 2 - size[1] / 2) <= 0.01 * size[1]


def test_transparent_image_becomes_a_webp() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))

    assert cut(image, 32, 32, kind="auto").extension == "webp"
    assert opened(cut(image, 32, 32, kind="auto").data).mode == "RGBA"
    assert opened(cut(image, 32, 32, kind="jpeg").data).getpixel((5, 5)) == (255, 255, 255)


def test_opaque_image_with_alpha_becomes_a_jpeg() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    assert cut(image, 32, 32, kind="auto").extension == "jpg"


@pytest.mark.parametrize("kind", KINDS)
def test_exiv2_reads_the_mark(kind: str) -> None:
    xmp = xmp_of(cut(scene(64, 64, at=(0, 0)), 32, 32, kind=kind).data)

    assert xmp["Xmp.iptcExt.DigitalSourceType"] == AI_MADE
    assert xmp["Xmp.iptc.AltTextAccessibility"] == {'lang="x-default"': MARK.alt_text}
    assert xmp["Xmp.dc.title"] == {'lang="x-default"': MARK.title}
    assert xmp["Xmp.xmpMM.DerivedFrom/stRef:documentID"] == f"easel:{MARK.image_id}"
    assert xmp["Xmp.xmpMM.DerivedFrom/stRef:instanceID"] == f"sha256:{MARK.sha256}"


def test_mark_leaves_out_what_xml_forbids() -> None:
    mark = AiMark(**vars(MARK) | {"title": "a\x00b\ufffec\ud800d\x1be"})
    image = Image.new("RGB", (32, 32))

    file = Cutter(image, kind="jpeg", crop="center", xmp=mark.to_xmp()).cut(16, 16)

    assert xmp_of(file.data)["Xmp.dc.title"] == {'lang="x-default"': "abcde"}


@pytest.mark.parametrize(
    ("size", "edges"),
    [
        ((1536, 1024), {320: (320, 213), 640: (640, 427), 1280: (1280, 853)}),
        ((1024, 1024), {320: (320, 320), 640: (640, 640)}),
        ((400, 640), {320: (200, 320)}),
        ((64, 48), {320: (64, 48)}),
    ],
)
def test_previews_are_never_enlarged(size: tuple[int, int], edges: dict[int, Any]) -> None:
    previews = make_previews(Image.new("RGB", size), (320, 640, 1280), MARK.to_xmp())

    assert {edge: opened(data).size for edge, data in previews.items()} == edges
    for data in previews.values():
        assert xmp_of(data)["Xmp.iptcExt.DigitalSourceType"] == AI_MADE


def test_upload_has_no_mark() -> None:
    previews = make_previews(Image.new("RGB", (640, 480)))

    assert list(previews) == [320]
    assert xmp_of(previews[320]) == {}
