"""Sizes are checked by the facts of the model before anything is paid."""

from typing import Any

import pytest

from easel.contract.errors import InputError
from easel.request import models, sizes
from easel.request.request import Request
from easel.request.request import parse as parse_request
from tests.support.services import NOW, request_settings

FACTS = models.image_facts("gpt-image-2.6-flare")


def parse(**raw: Any) -> Request:
    return parse_request(raw, request_settings(), today=NOW.date())


@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-2.5-flare", "gpt-image-2.6-flare"])
@pytest.mark.parametrize(
    "size",
    [
        "auto",
        "1024x1024",
        "1024x640",
        "2304x2304",
        "2560x2560",
        "2880x2880",
        "3840x2160",
        "2160x3840",
        "1440x480",
        "1536x864",
    ],
)
def test_size_within_the_limits_is_accepted(model: str, size: str) -> None:
    assert parse(model=model, size=size).size == size


@pytest.mark.parametrize(
    "size",
    [
        "256x256",
        "512x512",
        "16x16",
        "800x800",
        "1024x624",
        "1000x1000",
        "2896x2880",
        "3856x2160",
        "3840x2176",
        "3840x1264",
        "1080x1080",
        "1200x630",
    ],
)
def test_size_outside_the_limits_is_refused(size: str) -> None:
    with pytest.raises(InputError, match=f'size is "{size}", but gpt-image-2.6-flare') as exc_info:
        parse(size=size)
    assert "655,360 to 8,294,400 pixels" in exc_info.value.allowed
    assert exc_info.value.nearest
    for near in exc_info.value.nearest:
        assert parse(size=near).size == near


@pytest.mark.parametrize(
    "size", ["", "x", "1024", "1024x", "1024X1024", "01024x1024", "0x0", "1x-1", "٤x٤", "9" * 50]
)
def test_text_that_names_no_size_is_refused(size: str) -> None:
    with pytest.raises(InputError, match="WIDTHxHEIGHT"):
        parse(size=size)


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ("1080x1080", ["1088x1088", "1072x1072"]),
        ("1920x1080", ["1920x1088", "1904x1072"]),
        ("1500x500", ["1504x512", "1488x496"]),
        ("256x256", ["816x816"]),
        ("8000x8000", ["2880x2880"]),
        ("5000x10", ["1440x480"]),
    ],
)
def test_nearest_sizes_cover_it_and_keep_its_shape(size: str, nearest: list[str]) -> None:
    wish = sizes.parse(size)
    assert wish is not None
    assert FACTS is not None
    assert [str(near) for near in sizes.nearest(wish, FACTS)] == nearest


def test_other_models_are_checked_by_their_server() -> None:
    request = parse_request(
        {"model": "my-own", "size": "512x512", "background": "transparent", "quality": "max"},
        request_settings(unpriced_models_allowed=True),
        today=NOW.date(),
    )
    assert (request.size, request.quality) == ("512x512", "max")
