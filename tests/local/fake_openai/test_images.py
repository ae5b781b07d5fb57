"""Images and chats of the fake OpenAI: the rate limit, refusals, and the response's bytes."""

import json
from collections.abc import Callable

import openai
import pytest

from local.fake_openai.account import SlidingWindow
from local.fake_openai.responses import to_bytes
from tests.support.emulator import until
from tests.support.fake_openai import Account


def test_window_admits_request_after_exact_wait() -> None:
    now = 0.0
    window = SlidingWindow(2, 60, clock=lambda: now)
    assert window.admit() == 0

    now = 50.1
    assert [window.admit(), window.admit()] == pytest.approx([0, 9.9])
    now += window.admit()
    # The window slides: at 60 s the first request has left it, and the second has not.
    assert [window.admit(), window.admit()] == pytest.approx([0, 50.1])


@pytest.mark.parametrize(
    ("description", "title"),
    [
        (
            "a lighthouse above a sea of clouds at dawn",
            "A lighthouse above a sea of clouds at dawn",
        ),
        ("a teapot, blue", "A teapot"),
        ("very " * 30, "Very very very very very very very very very very very …"),
    ],
)
def test_title_ends_at_a_clause(quick: Account, description: str, title: str) -> None:
    completion = quick.api.chat.completions.create(
        model="gpt-6-luna",
        messages=[{"role": "user", "content": json.dumps({"description": description})}],
        response_format={"type": "json_schema", "json_schema": {"name": "prompt", "schema": {}}},
    )

    assert json.loads(completion.choices[0].message.content or "")["title"] == title


def test_images_over_limit_are_refused_and_free(start: Callable[..., Account]) -> None:
    account = start("--images-per-minute", "2", "--minute", "2.5")
    account.picture()
    account.picture()

    with pytest.raises(openai.RateLimitError) as exc_info:
        account.picture()

    assert (exc_info.value.type, exc_info.value.code) == ("requests", "rate_limit_exceeded")
    assert exc_info.value.response.headers["Retry-After"] in {"1", "2", "3"}
    assert [account.charges()[key] for key in ("images", "limited")] == [2, 1]

    def admitted() -> bool:
        try:
            return bool(account.picture())
        except openai.RateLimitError:
            return False

    until(admitted)
    assert account.charges()["images"] == 3


def test_images_are_written_into_response_unchanged() -> None:
    words = {"words": 'a "quoted" word', "usage": None}
    as_bytes = {"data": [{"b64_json": b"Zmlyc3Q="}, {"b64_json": b"c2Vjb25k"}], **words}
    as_text = {"data": [{"b64_json": "Zmlyc3Q="}, {"b64_json": "c2Vjb25k"}], **words}

    assert json.loads(to_bytes(as_bytes)) == as_text
    assert json.loads(to_bytes(as_text)) == as_text


@pytest.mark.parametrize("user", ["", "x" * 65])
def test_invalid_user_is_refused(account: Account, user: str) -> None:
    identifier = {"safety_identifier": user}

    with pytest.raises(openai.BadRequestError) as exc_info:
        account.api.images.generate(
            model="gpt-image-2.6-flare", prompt="A kite", extra_body=identifier
        )
    assert exc_info.value.param == "safety_identifier"
    with pytest.raises(openai.BadRequestError):
        account.api.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": "x"}], safety_identifier=user
        )
    assert account.charges()["images"] == account.charges()["chat"] == 0
