"""A parameter that a server refuses is left out, if the call still asks for the same."""

from collections.abc import Iterator
from typing import Any

import pytest

from easel.contract.errors import ContentRefusedError, EaselError, InputError
from easel.openai_client.chat import ChatCall, ChatModel
from easel.openai_client.images import ImageModel
from tests.support.openai_server import Reply, Server, account, openai_server

GOOD_CHAT = {"choices": [{"finish_reason": "stop", "message": {"content": "A kite"}}]}
GOOD_IMAGE = {"data": [{"b64_json": "aGVsbG8="}]}
CALL = ChatCall(
    model="m",
    system="s",
    user="u",
    schema={"type": "object"},
    max_tokens=2_000,
    effort="low",
    safety_identifier="5e1f",
)


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server() as server:
        yield server


def refused(status: int = 400, **error: Any) -> Reply:
    return Reply({"error": {"message": "no"} | error}, status)


def sent(server: Server, *names: str) -> list[tuple[bool, ...]]:
    """Return which of these parameters each request had."""
    return [tuple(name in request for name in names) for request in server.requests]


@pytest.mark.parametrize(
    "reply",
    [
        refused(param="max_completion_tokens", code="unsupported_parameter"),
        refused(422, detail=[{"loc": ["body", "max_completion_tokens"], "msg": "extra"}]),
        Reply({"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "extra"}]}, 422),
        refused(message="Unrecognized request argument supplied: max_completion_tokens"),
    ],
)
def test_older_name_of_the_token_limit_is_used(server: Server, reply: Reply) -> None:
    server.replies = [reply, Reply(GOOD_CHAT)]
    model = ChatModel(account(server))

    model.write(CALL, timeout=5)
    model.write(CALL, timeout=5)

    names = ("max_completion_tokens", "max_tokens")
    assert sent(server, *names) == [(True, False), (False, True), (False, True)]
    assert server.requests[-1]["max_tokens"] == 2_000


def test_server_that_lacks_everything_is_learned(server: Server) -> None:
    server.replies = [
        refused(param="reasoning_effort"),
        refused(param="safety_identifier"),
        refused(param="max_completion_tokens"),
        refused(param="response_format"),
        Reply(GOOD_CHAT),
    ]

    assert ChatModel(account(server)).write(CALL, timeout=5).text == "A kite"

    assert sorted(server.requests[-1]) == ["max_tokens", "messages", "model"]


def test_unnamed_refusal_is_guessed_for_a_chat_call(server: Server) -> None:
    server.replies = [Reply({"detail": "bad request"}, 422)] * 2 + [Reply(GOOD_CHAT)]

    ChatModel(account(server)).write(CALL, timeout=5)

    names = ("response_format", "reasoning_effort")
    assert sent(server, *names) == [(True, True), (False, True), (False, False)]


def test_endless_refusals_end_with_an_error(server: Server) -> None:
    server.replies = [Reply({"detail": "bad request"}, 422)]
    model = ChatModel(account(server))
    with pytest.raises(InputError, match="refused"):
        model.write(CALL, timeout=5)
    assert len(server.requests) == 5

    server.replies = [Reply(GOOD_CHAT)]
    model.write(CALL, timeout=5)
    assert sent(server, "response_format", "safety_identifier")[-1] == (True, True)


def test_refused_content_is_no_refused_parameter(server: Server) -> None:
    server.replies = [refused(code="content_filter", param="prompt")]
    with pytest.raises(ContentRefusedError):
        ChatModel(account(server)).write(CALL, timeout=5)
    assert len(server.requests) == 1


def paint(server: Server, *replies: Reply, **parameters: Any) -> None:
    server.replies = list(replies)
    call = {"model": "gpt-image-2.6-flare", "prompt": "A kite"} | parameters
    ImageModel(account(server)).paint(call, timeout=5, slow_down=lambda _: None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("safety_identifier", "5e1f"),
        ("moderation", "low"),
        ("quality", "medium"),
        ("size", "1024x1024"),
        ("output_format", "png"),
    ],
)
def test_default_is_left_out_of_an_image_call(server: Server, name: str, value: str) -> None:
    reply = refused(param=name, code="unknown_parameter")
    paint(server, reply, Reply(GOOD_IMAGE), **{name: value})
    assert sent(server, name) == [(True,), (False,)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quality", "high"),
        ("size", "1536x1024"),
        ("output_format", "webp"),
        ("background", "transparent"),
    ],
)
def test_chosen_value_is_never_left_out(server: Server, name: str, value: str) -> None:
    reply = refused(param=name, code="unknown_parameter", message="Unknown parameter.")
    with pytest.raises(InputError, match=rf'{name} is "{value}"'):
        paint(server, reply, **{name: value})
    assert len(server.requests) == 1


def test_unnamed_refusal_of_an_image_is_final(server: Server) -> None:
    with pytest.raises(EaselError):
        paint(server, refused(), moderation="low")
    assert len(server.requests) == 1


def test_unknown_model_is_asked_for_bytes(server: Server) -> None:
    paint(server, Reply(GOOD_IMAGE), model="stablediffusion")
    paint(server, refused(param="response_format"), Reply(GOOD_IMAGE), model="flux")
    paint(server, Reply(GOOD_IMAGE))
    assert [request.get("response_format") for request in server.requests] == [
        "b64_json",
        "b64_json",
        None,
        None,
    ]


def test_omitted_parameters_are_never_sent(server: Server) -> None:
    server.replies = [Reply(GOOD_CHAT)]
    omitted = ("safety_identifier", "reasoning_effort", "max_completion_tokens")

    ChatModel(account(server, omitted=omitted)).write(CALL, timeout=5)

    assert sorted(server.requests[0]) == ["max_tokens", "messages", "model", "response_format"]
