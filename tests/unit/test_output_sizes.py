"""Exact sizes are checked before anything is paid, and decide the size that is generated."""

from typing import Any

import pytest

from easel.contract.errors import InputError
from easel.request import models
from easel.request.fields import from_texts
from easel.request.named_sizes import NAMED_SIZES
from easel.request.output_sizes import OutputSize
from easel.request.request import TABLE, Request, choices, digest
from easel.request.request import parse as parse_request
from easel.request.sizes import parse as parse_size
from tests.support.services import NOW, request_settings

EVERY_NETWORK = [
    "instagram-post",
    "instagram-portrait",
    "story",
    "open-graph",
    "x-header",
    "x-post",
    "youtube-thumbnail",
    "pinterest-pin",
]


def parse(**raw: Any) -> Request:
    return parse_request(raw, request_settings(), today=NOW.date())


def generated(*wanted: str, **raw: Any) -> tuple[int, int]:
    size = parse_size(parse(output_sizes=list(wanted), **raw).size)
    assert size is not None
    return size.width, size.height


def test_names_and_pixels_are_one_list() -> None:
    request = parse(output_sizes=["story", "640x480"])

    assert request.output_sizes == (
        OutputSize(width=1080, height=1920, name="story"),
        OutputSize(width=640, height=480),
    )


@pytest.mark.parametrize("wanted", [["1080x1920", "story"], ["story", "1080x1920"]])
def test_name_and_its_pixels_are_one_size(wanted: list[str]) -> None:
    assert parse(output_sizes=wanted).output_sizes == (
        OutputSize(width=1080, height=1920, name="story"),
    )


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (["15x100"], '"15x100"'),
        (["100x8193"], '"100x8193"'),
        (["1080"], '"1080"'),
        (["1080X1080"], '"1080X1080"'),
        ([1080], "1080"),
        ([None], "null"),
        ([], "a list of 0"),
        (["16x16"] * 9, "a list of 9"),
        ("story", '"story"'),
        (["8192x8192", "4096x4096"], "83,886,080 pixels large"),
    ],
)
def test_wrong_sizes_are_refused_by_name(wanted: Any, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(output_sizes=wanted)

    assert caught.value.field == "output_sizes"
    assert f"output_sizes is {shown}" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("instagram-pots", "instagram-post"), ("Open Graph", "open-graph"), ("hd", "full-hd")],
)
def test_unknown_name_is_refused_with_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(InputError, match=rf"did you mean {nearest}\?") as caught:
        parse(output_sizes=[wrong])

    assert caught.value.nearest == [nearest]


@pytest.mark.parametrize("field", ["crop", "sizes_format"])
def test_choices_without_sizes_are_refused(field: str) -> None:
    with pytest.raises(InputError, match="only with output_sizes"):
        parse(**{field: "center" if field == "crop" else "webp"})


@pytest.mark.parametrize("kind", ["webp", "avif"])
def test_size_too_large_for_its_format_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match=r"8192x4096 has more than 25,000,000 pixels"):
        parse(output_sizes=["8192x4096"], sizes_format=kind)


def test_every_named_size_is_allowed() -> None:
    for name in NAMED_SIZES:
        assert parse(output_sizes=[name]).output_sizes


@pytest.mark.parametrize(
    "wanted", [["instagram-post"], ["story"], ["x-header"], ["story", "open-graph"], EVERY_NETWORK]
)
@pytest.mark.parametrize("quality", ["low", "auto"])
def test_generated_size_covers_every_output(wanted: list[str], quality: str) -> None:
    width, height = generated(*wanted, quality=quality)

    assert width >= max(NAMED_SIZES[name][0] for name in wanted)
    assert height >= max(NAMED_SIZES[name][1] for name in wanted)


def test_generated_size_is_the_cheapest_of_its_shape() -> None:
    width, height = generated("open-graph")
    cheapest = models.estimate_image(
        "gpt-image-2.6-flare", prompt="", size=f"{width}x{height}", quality="medium"
    )

    assert cheapest is not None
    for wide in range(1200, 1600, 16):
        for high in range(640, 800, 16):
            other = models.estimate_image(
                "gpt-image-2.6-flare", prompt="", size=f"{wide}x{high}", quality="medium"
            )
            is_similar = 1 / 1.03 <= (wide / high) / (1200 / 630) <= 1.03
            assert other is None or not is_similar or other >= cheapest


def test_generated_size_keeps_the_shape_of_one_output() -> None:
    width, height = generated("instagram-post")
    assert 1 / 1.03 <= width / height <= 1.03


def test_uncovered_output_is_enlarged_least() -> None:
    assert generated("8192x8192") == (2880, 2880)
    assert generated("8192x16") == (3840, 1280)


def test_own_size_is_kept() -> None:
    assert parse(output_sizes=["story"], size="1024x640").size == "1024x640"
    assert parse(output_sizes=["story"], size="auto").size == "auto"


def test_unknown_model_gets_a_usual_size() -> None:
    request = parse_request(
        {"model": "my-own", "output_sizes": ["open-graph"]},
        request_settings(unpriced_models_allowed=True),
        today=NOW.date(),
    )
    assert request.size == "1536x1024"


def test_sizes_are_part_of_the_digest_and_choices() -> None:
    request = parse(output_sizes=["story"])

    assert digest({"output_sizes": ["story"]}) != digest({})
    assert choices(request)["output_sizes"] == ({"width": 1080, "height": 1920, "name": "story"},)
    assert (choices(request)["crop"], choices(request)["sizes_format"]) == ("focus", "auto")


def test_cell_lists_sizes_with_commas() -> None:
    assert from_texts(TABLE, [("output_sizes", "story, 1200x630")]) == {
        "output_sizes": ["story", "1200x630"]
    }
