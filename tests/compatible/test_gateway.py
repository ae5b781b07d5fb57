"""What a gateway passes on is understood: usage, bytes, refusals, an empty account, limits."""

from typing import Any

import pytest

from easel.contract.errors import (
    AuthError,
    ContentRefusedError,
    EaselError,
    InputError,
    QuotaExhaustedError,
    RateLimitedError,
    RetryableError,
)
from easel.openai_client.chat import ChatAnswer, ChatCall
from easel.openai_client.images import ImageAnswer
from easel.request import models, prompt_text
from easel.request.prompt_answer import read_answer
from tests.compatible.conftest import Gateway

CHAT, IMAGE = "gpt-6-luna", "gpt-image-2.6-flare"
URL = {"image": "/v1/images/generations", "chat": "/v1/chat/completions"}


def paint(gateway: Gateway, **parameters: Any) -> ImageAnswer:
    call = {"model": IMAGE, "prompt": "a lighthouse", "size": "1024x640", "quality": "low"}
    return gateway.images.paint(call | parameters, timeout=30, slow_down=lambda _: None)


def write(gateway: Gateway) -> ChatAnswer:
    call = ChatCall(
        model=CHAT,
        system=prompt_text.SYSTEM,
        user='{"topic": "Sport"}',
        schema=prompt_text.SCHEMA,
        max_tokens=2_000,
        effort="low",
        safety_identifier="5e1f",
    )
    return gateway.chat.write(call, timeout=30)


def test_image_comes_with_its_cost(gateway: Gateway) -> None:
    answer = paint(gateway, safety_identifier="5e1f", moderation="low")

    assert answer.intact
    assert answer.data.startswith(b"\x89PNG")
    assert (models.image_cost(IMAGE, answer.usage) or 0) > 0
    assert gateway.behind.charges()["images"] == 1


def test_prompt_comes_with_its_cost(gateway: Gateway) -> None:
    answer = write(gateway)

    texts = read_answer(answer.text, cut=answer.cut)
    assert texts is not None
    assert texts.title
    assert (models.chat_cost(CHAT, answer.usage) or 0) > 0


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"code": "content_policy_violation", "param": "prompt"}, ContentRefusedError),
        (400, {"code": "moderation_blocked", "type": "user_error"}, ContentRefusedError),
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, QuotaExhaustedError),
        (429, {"code": "rate_limit_exceeded", "type": "requests"}, RateLimitedError),
        (401, {"code": "invalid_api_key"}, AuthError),
        (400, {"code": "invalid_value", "param": "size"}, InputError),
    ],
)
def test_refusal_keeps_its_meaning(
    gateway: Gateway, status: int, error: dict[str, Any], expected: type[EaselError]
) -> None:
    message = {
        "content_policy_violation": "Your request was rejected by our safety system.",
        "moderation_blocked": "Your request was rejected by the safety system. moderation_blocked",
        "insufficient_quota": "You exceeded your current quota, please check your plan.",
        "rate_limit_exceeded": "Rate limit reached for images per minute.",
        "invalid_api_key": "Incorrect API key provided.",
        "invalid_value": "Invalid size.",
    }[error["code"]]
    body = {"error": {"message": message, "type": "invalid_request_error"} | error}
    gateway.behind.script({"path": URL["image"], "status": status, "body": body, "times": 9})

    with pytest.raises(EaselError) as exc_info:
        paint(gateway)

    assert type(exc_info.value) is expected, str(exc_info.value)
    assert not exc_info.value.possibly_paid
    assert gateway.behind.charges()["images"] == 0


def test_failing_server_may_be_tried_again(gateway: Gateway) -> None:
    body = {"error": {"message": "The server had an error", "type": "server_error"}}
    gateway.behind.script({"path": URL["image"], "status": 500, "body": body, "times": 9})
    with pytest.raises(RetryableError):
        paint(gateway)
