"""The time limit of a call by the image's quality and size, and the function around it."""

import pytest

from easel.request import time_limits
from easel.request.models import QUALITIES


def test_limit_grows_with_quality_and_size() -> None:
    for size in ("1024x1024", "2880x2880", "auto"):
        limits = [time_limits.image_seconds(q, size, setting=None) for q in QUALITIES]
        assert limits == sorted(limits)
    for quality in (*QUALITIES, "auto"):
        small, large = (
            time_limits.image_seconds(quality, size, setting=None)
            for size in ("1536x1024", "3840x2160")
        )
        assert small < large <= time_limits.LONGEST_IMAGE_CALL
    assert time_limits.image_seconds("auto", "1024x1024", setting=None) == 600


def test_setting_replaces_the_limit() -> None:
    assert time_limits.image_seconds("high", "3840x2160", setting=90) == 90


@pytest.mark.parametrize("setting", [None, 60, time_limits.LONGEST_IMAGE_CALL])
def test_function_outlives_its_slowest_call(setting: int | None) -> None:
    slowest = max(
        time_limits.image_seconds(quality, "3840x2160", setting=setting) for quality in QUALITIES
    )
    seconds = time_limits.image_function_seconds(setting)
    assert slowest + time_limits.STAGING_SECONDS + time_limits.TURN_SECONDS < seconds <= 900


def test_prompt_function_has_time_for_two_calls() -> None:
    assert 2 * 435 < time_limits.prompt_function_seconds(time_limits.LONGEST_CHAT_CALL) <= 900
