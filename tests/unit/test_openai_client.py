"""OpenAI's adapter against a real server on loopback.

The tests cover the requests, the outcome of each response, and whether it may have been charged.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar

import httpx2
import openai
import pytest

from easel.contract.errors import (
    AuthError,
    ConfigError,
    ContentRefusedError,
    EaselError,
    FinalError,
    InputError,
    QuotaExhaustedError,
    RateLimitedError,
    RetryableError,
    TransientError,
    leaves,
)
from easel.openai_client import errors
from easel.openai_client.answers import MAX_BYTES
from tests.support.local_stack import free_port
from tests.support.openai_server import Reply, Server, chat, image, openai_server

E = TypeVar("E", bound=Exception)

GOOD_CHAT = {
    "choices": [{"finish_reason": "stop", "message": {"content": "A kite", "refusal": None}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
GOOD_IMAGE = {"data": [{"b64_json": "aGVsbG8="}], "usage": {"output_tokens": 430}}


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server() as server:
        yield server


def refusal(code: str | None = None, param: str | None = None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": "no", "type": "x", "code": code, "param": param, **more}}


def failed(call: Callable[..., Any], server: Server, *replies: Reply, **how: Any) -> EaselError:
    with pytest.raises(EaselError) as exc_info:
        call(server, *replies, **how)
    return exc_info.value


def test_chat_returns_text_usage_and_request_id(server: Server) -> None:
    answer = chat(server, Reply(GOOD_CHAT))
    assert (answer.text, answer.usage, answer.request_id) == ("A kite", GOOD_CHAT["usage"], "req_7")
    assert server.requests[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_chat_names_its_end_user(server: Server) -> None:
    server.replies = [Reply(GOOD_CHAT)]
    chat(server, safety_identifier="5e1f")
    chat(server)
    assert [call.get("safety_identifier") for call in server.requests] == ["5e1f", None]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(refusal(param="response_format"), 400),
        Reply(refusal(param="response_format.json_schema"), 400),
        Reply(refusal(param=""), 400),
        Reply(refusal(), 400),
        Reply({"error": "'response_format.type' must be 'json_schema' or 'text'"}, 400),
        Reply({"detail": [{"loc": ["body", "response_format"], "msg": "extra"}]}, 422),
    ],
)
def test_server_without_schemas_is_retried_without_one(server: Server, reply: Reply) -> None:
    assert chat(server, reply, Reply(GOOD_CHAT)).text == "A kite"
    assert ["response_format" in request for request in server.requests] == [True, False]


@pytest.mark.parametrize("odd", [{"code": ["x"]}, {"code": {"a": 1}, "param": 7}])
def test_error_with_odd_fields_is_named(server: Server, odd: dict[str, Any]) -> None:
    assert type(failed(image, server, Reply({"error": {"message": "no"} | odd}, 400))) is InputError
    assert type(failed(chat, server, Reply({"error": {"message": "no"} | odd}, 400))) is InputError


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(refusal(param="messages"), 400), InputError),
        (Reply(refusal("content_policy_violation"), 400), ContentRefusedError),
    ],
)
def test_other_refusal_is_not_retried(
    server: Server, reply: Reply, error: type[EaselError]
) -> None:
    assert type(failed(chat, server, reply)) is error
    assert len(server.requests) == 1


def choice(content: Any, *, finish: str = "stop", refused: str | None = None) -> dict[str, Any]:
    return {
        "choices": [{"finish_reason": finish, "message": {"content": content, "refusal": refused}}]
    }


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"choices": []}, TransientError),
        ({"choices": None}, TransientError),
        ({}, TransientError),
        ({"choices": [None]}, TransientError),
        ({"choices": [{"message": None}]}, TransientError),
        (choice(None, refused="I can't"), ContentRefusedError),
        (choice("x", finish="content_filter"), ContentRefusedError),
        ("<html>maintenance</html>", TransientError),
        ("[" * 50_000, TransientError),
        ('{"choices": [', TransientError),
        ([], TransientError),
    ],
)
def test_odd_chat_success_may_have_been_charged(
    server: Server, body: Any, error: type[EaselError]
) -> None:
    actual = failed(chat, server, Reply(body))
    assert type(actual) is error
    assert actual.possibly_paid
    assert len(server.requests) == 1


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "max_output_tokens"])
@pytest.mark.parametrize("content", ["A kite over", "", None])
def test_cut_answer_is_reported(server: Server, finish: str, content: str | None) -> None:
    answer = chat(server, Reply(choice(content, finish=finish)))
    assert (answer.text, answer.cut) == (content or "", True)


@pytest.mark.parametrize("content", [None, "", "  "])
def test_empty_answer_keeps_its_usage(server: Server, content: str | None) -> None:
    answer = chat(server, Reply(choice(content) | {"usage": GOOD_CHAT["usage"]}))
    assert (answer.text.strip(), answer.usage, answer.cut) == ("", GOOD_CHAT["usage"], False)


def test_parts_of_an_answer_are_joined(server: Server) -> None:
    parts = [
        {"type": "thinking", "text": "birds?"},
        {"type": "text", "text": "A "},
        {"type": "output_text", "text": "kite"},
        None,
    ]
    assert chat(server, Reply(choice(parts))).text == "A kite"
    assert type(failed(chat, server, Reply(choice([{"type": "refusal"}])))) is ContentRefusedError


@pytest.mark.parametrize(
    "message",
    [
        {"content": ["A ", "kite"]},
        {"content": {"type": "text", "text": "A kite"}},
        {"content": [{"type": "TEXT", "text": {"value": "A kite"}}]},
        {"content": None, "parsed": {"type": "text", "text": "A kite"}},
        {"content": "", "tool_calls": [{"function": {"name": "x", "arguments": "A kite"}}]},
    ],
)
def test_text_is_read_from_every_shape(server: Server, message: dict[str, Any]) -> None:
    assert chat(server, Reply({"choices": [{"message": message}]})).text == "A kite"


def test_parsed_object_is_returned_as_json(server: Server) -> None:
    assert chat(server, Reply(choice({"prompt": "凧"}))).text == '{"prompt": "凧"}'


@pytest.mark.parametrize(
    "end",
    [
        {"finish_reason": "max_new_tokens"},
        {"finish_reason": "stop", "native_finish_reason": "MAX_TOKENS"},
        {"finish_details": {"type": "max_tokens"}},
    ],
)
def test_cut_is_read_from_every_field(server: Server, end: dict[str, Any]) -> None:
    assert chat(server, Reply({"choices": [end | {"message": {"content": "A ki"}}]})).cut


@pytest.mark.parametrize("finish", ["content-filter", "PROHIBITED_CONTENT", "guardrail_intervened"])
def test_every_filter_is_a_refusal(server: Server, finish: str) -> None:
    error = failed(chat, server, Reply(choice(None, finish=finish)))
    assert type(error) is ContentRefusedError


def test_reasoning_model_gets_its_effort(server: Server) -> None:
    server.replies = [Reply(GOOD_CHAT)]
    chat(server, effort="low")
    chat(server)
    assert [call.get("reasoning_effort") for call in server.requests] == ["low", None]


def test_image_returns_base64_usage_and_request_id(server: Server) -> None:
    answer = image(server, Reply(GOOD_IMAGE))

    assert (answer.data, answer.usage) == (b"hello", GOOD_IMAGE["usage"])
    assert answer.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert answer.intact
    assert server.requests == [{"model": "gpt-image-2.6-flare", "prompt": "A kite", "n": 1}]


def test_url_instead_of_bytes_is_not_bought_again(server: Server) -> None:
    error = failed(image, server, Reply({"data": [{"url": "http://127.0.0.1:9/x.png"}]}))

    assert type(error) is ConfigError
    assert error.possibly_paid
    assert "sends a URL" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "encoded",
    [
        "data:image/png;base64,aGVsbG8=",
        "DATA:;BASE64,aGVsbG8=",
        "aGVs\nbG8=",
        "aGVs\r\nbG8=\r\n",
        "aGVsbG8=\n",
        "aGVsbG8",
        " aGVsbG8= ",
        "data:image/png;charset=utf-8;base64,aGVsbG8%3D",
        "base64,aGVsbG8=",
        '"aGVsbG8="',
        "b'aGVsbG8='",
        "\ufeffaGVsbG8=\u200b",
    ],
)
def test_wrapped_base64_is_decoded(server: Server, encoded: str) -> None:
    answer = image(server, Reply({"data": [{"b64_json": encoded}]}))
    assert (answer.data, answer.intact) == (b"hello", True)


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"b64_json": "aGVsbG8="}},
        {"data": [None, {"b64_json": "aGVsbG8="}]},
        {"data": [{"base64": "aGVsbG8="}]},
        {"data": [{"url": "aGVsbG8="}]},
        {"data": [{"image_url": {"url": "data:image/png;base64,aGVsbG8="}}]},
        {"images": [{"b64_json": "aGVsbG8="}]},
        {"error": {}, "data": [{"b64_json": "aGVsbG8="}]},
    ],
)
def test_paid_image_is_found_in_every_shape(server: Server, body: dict[str, Any]) -> None:
    assert image(server, Reply(body)).data == b"hello"


def test_image_without_a_field_is_found(server: Server) -> None:
    assert image(server, Reply({"data": ["aGVsbG8h" * 20]})).data == b"hello!" * 20


def test_address_as_base64_is_not_bought_again(server: Server) -> None:
    error = failed(image, server, Reply({"data": [{"b64_json": "https://127.0.0.1:9/x.png"}]}))
    assert type(error) is ConfigError


def test_base64_for_urls_is_decoded(server: Server) -> None:
    answer = image(server, Reply({"data": [{"b64_json": "-_-_"}]}))
    assert (answer.data, answer.intact) == (b"\xfb\xff\xbf", True)


def test_data_url_as_url_is_decoded(server: Server) -> None:
    answer = image(server, Reply({"data": [{"url": "data:image/png;base64,aGVsbG8="}]}))
    assert answer.data == b"hello"


@pytest.mark.parametrize("encoded", ["aGVs*bG8=", "aGVsbG8=aGVsbG8=", "data:image/png,aGVsbG8="])
def test_damaged_base64_stays_damaged(server: Server, encoded: str) -> None:
    assert not image(server, Reply({"data": [{"b64_json": encoded}]})).intact


def test_image_is_transferred_uncompressed(server: Server) -> None:
    image(server, Reply(GOOD_IMAGE))
    assert server.encodings == ["identity"]


def test_response_may_omit_its_length(server: Server) -> None:
    assert image(server, Reply(GOOD_IMAGE, without_length=True)).data == b"hello"


@pytest.mark.parametrize("extra", ['"\\ud83d"', "[" * 300 + "]" * 300, "NaN"])
def test_paid_image_survives_odd_fields(server: Server, extra: str) -> None:
    assert (
        image(
            server, Reply(f'{{"data": [{{"b64_json": "aGVsbG8=", "revised_prompt": {extra}}}]}}')
        ).data
        == b"hello"
    )


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": None},
        {},
        {"data": [None]},
        {"data": [{"b64_json": ""}]},
        "<html></html>",
        '{"data": [',
        [],
    ],
)
def test_odd_image_success_may_have_been_charged(server: Server, body: Any) -> None:
    error = failed(image, server, Reply(body))
    assert type(error) is TransientError
    assert error.possibly_paid
    assert len(server.requests) == 1


def test_invalid_usage_is_unknown(server: Server) -> None:
    assert image(server, Reply({"data": GOOD_IMAGE["data"], "usage": [1]})).usage is None


@pytest.mark.parametrize(
    ("status", "code", "error", "possibly_paid"),
    [
        (400, "moderation_blocked", ContentRefusedError, False),
        (400, "content_policy_violation", ContentRefusedError, False),
        (400, "invalid_value", InputError, False),
        (400, None, InputError, False),
        (422, None, InputError, False),
        (403, None, ConfigError, False),
        (404, "model_not_found", ConfigError, False),
        (429, "rate_limit_exceeded", RateLimitedError, False),
        (429, None, RateLimitedError, False),
        (429, "insufficient_quota", QuotaExhaustedError, False),
        (400, "billing_hard_limit_reached", QuotaExhaustedError, False),
        (500, None, TransientError, False),
        (503, None, TransientError, False),
        (529, None, TransientError, False),
        (408, None, TransientError, True),
        (409, None, TransientError, True),
        (502, None, TransientError, True),
        (504, None, TransientError, True),
    ],
)
def test_each_status_has_its_error_after_one_request(
    server: Server, status: int, code: str | None, error: type[EaselError], possibly_paid: bool
) -> None:
    actual = failed(image, server, Reply(refusal(code), status))
    assert (type(actual), actual.possibly_paid) == (error, possibly_paid)
    assert "req_7" in str(actual) or error is InputError
    assert len(server.requests) == 1


def test_refusal_has_the_category_from_openai(server: Server) -> None:
    body = refusal("moderation_blocked", moderation_details={"categories": ["violence"]})
    error = failed(image, server, Reply(body, 400))
    assert isinstance(error, ContentRefusedError)
    assert error.category == "violence"


def test_wrong_key_is_fetched_again_once(server: Server) -> None:
    assert image(server, Reply(refusal("invalid_api_key"), 401), Reply(GOOD_IMAGE)).data
    assert server.keys == ["old", "new"]


def test_persistently_wrong_key_is_final(server: Server) -> None:
    error = failed(image, server, Reply(refusal("invalid_api_key"), 401))
    assert type(error) is AuthError
    assert not error.possibly_paid
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "reply", [Reply(GOOD_IMAGE, cut=True), Reply(hang=True)], ids=["cut", "hang"]
)
def test_incomplete_answer_may_have_been_charged(server: Server, reply: Reply) -> None:
    error = failed(image, server, reply, timeout=0.3)
    assert type(error) is TransientError
    assert error.possibly_paid
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [Reply("x" * 500, trickle=True), Reply(GOOD_IMAGE, stall=True)],
    ids=["trickles", "stalls"],
)
def test_slow_body_may_have_been_charged(server: Server, reply: Reply) -> None:
    started = time.monotonic()
    error = failed(image, server, reply, timeout=1)

    assert time.monotonic() - started < 3
    assert type(error) is TransientError
    assert error.possibly_paid
    assert len(server.requests) == 1


def test_body_uses_the_remaining_time(server: Server) -> None:
    started = time.monotonic()
    assert failed(image, server, Reply(GOOD_IMAGE, late=2, stall=True), timeout=3).possibly_paid
    assert time.monotonic() - started < 2 + 3


def test_endless_answer_is_refused_while_reading(server: Server) -> None:
    error = failed(image, server, Reply(" ", endless=True), timeout=60)

    assert type(error) is TransientError
    assert error.possibly_paid
    assert "larger than" in str(error)
    assert server.sent < 1.5 * MAX_BYTES


@pytest.mark.parametrize("call", [chat, image])
@pytest.mark.parametrize("status", [429, 503])
def test_short_wait_stays_in_the_function(
    server: Server, call: Callable[..., Any], status: int
) -> None:
    call(
        server,
        Reply(refusal(), status, retry_after="1"),
        Reply(GOOD_CHAT if call is chat else GOOD_IMAGE),
    )
    assert server.times[1] - server.times[0] >= 1


def test_retry_after_date_is_honoured(server: Server) -> None:
    until = datetime.now(UTC) + timedelta(seconds=2)
    image(
        server,
        Reply(refusal(), 429, retry_after=format_datetime(until, usegmt=True)),
        Reply(GOOD_IMAGE),
    )
    assert datetime.now(UTC) >= until.replace(microsecond=0)


def test_waits_leave_half_the_time(server: Server) -> None:
    assert (
        type(failed(image, server, Reply(refusal(), 429, retry_after="1"), timeout=4))
        is RateLimitedError
    )
    assert len(server.requests) == 1 + 1


@pytest.mark.parametrize("header", ["3", "3600", "soon", "Thu, 01 Jan 2093 00:00:00 GMT"])
def test_long_wait_is_left_to_state_machine(server: Server, header: str) -> None:
    error = failed(image, server, Reply(refusal(), 429, retry_after=header), timeout=5)
    assert type(error) is RateLimitedError
    assert len(server.requests) == 1


@pytest.mark.parametrize("waits", [["6"], ["1", "4.5"]])
def test_few_seconds_of_waits_stay_in_the_function(server: Server, waits: list[str]) -> None:
    replies = [Reply(refusal(), 429, retry_after=wait) for wait in waits]

    error = failed(image, server, *replies, Reply(GOOD_IMAGE), timeout=600)

    assert type(error) is RateLimitedError
    assert len(server.requests) == len(waits)


def test_fourth_wait_is_left_to_state_machine(server: Server) -> None:
    assert type(failed(image, server, Reply(refusal(), 429, retry_after="0"))) is RateLimitedError
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [502, 504, 408])
def test_possibly_charged_call_is_not_retried(server: Server, status: int) -> None:
    assert failed(image, server, Reply(refusal(), status, retry_after="0")).possibly_paid
    assert len(server.requests) == 1


def test_account_without_credit_is_not_retried(server: Server) -> None:
    failed(image, server, Reply(refusal("insufficient_quota"), 429, retry_after="0"))
    assert len(server.requests) == 1


def test_refused_connection_is_free_and_named(server: Server) -> None:
    server.url = f"http://127.0.0.1:{free_port()}/v1"
    error = failed(image, server, Reply())

    assert type(error) is TransientError
    assert not error.possibly_paid
    assert server.url.removesuffix("/v1") in str(error)


def test_invalid_address_is_a_settings_error(server: Server) -> None:
    server.url = "ftp://127.0.0.1/v1"
    assert type(failed(image, server, Reply())) is ConfigError


def test_no_error_contains_the_key(server: Server) -> None:
    for status in (400, 401, 403, 429, 500):
        assert "old" not in str(failed(image, server, Reply(refusal("x"), status))).split()


def every(kind: type[E]) -> Iterator[type[E]]:
    yield kind
    for below in kind.__subclasses__():
        yield from every(below)


@pytest.mark.parametrize(
    "kind", sorted(set(every(openai.OpenAIError)), key=str), ids=lambda kind: kind.__name__
)
def test_every_sdk_error_has_a_name(kind: type[openai.OpenAIError]) -> None:
    request = httpx2.Request("POST", "https://api.openai.com/v1/images/generations")
    response = httpx2.Response(418, request=request)
    error = kind.__new__(kind)
    # Each class has a different __init__, so this sets the attributes that translate reads.
    vars(error).update(
        request=request,
        response=response,
        status_code=418,
        code=None,
        param=None,
        body=None,
        request_id=None,
        message="m",
    )
    vars(error).update(error=None)
    ours = {*leaves(RetryableError), *leaves(FinalError)}
    assert type(errors.translate(error, "the call")) in ours

    exchange = errors.translate_exchange(error)
    assert type(exchange) in ours
    assert not exchange.possibly_paid


@pytest.mark.parametrize(
    "kind", sorted(set(every(httpx2.HTTPError)), key=str), ids=lambda kind: kind.__name__
)
def test_transport_errors_while_reading_may_be_charged(kind: type[httpx2.HTTPError]) -> None:
    assert errors.translate(kind.__new__(kind), "the call").possibly_paid


def test_each_rate_refusal_is_reported(server: Server) -> None:
    slowed: list[float | None] = []

    with pytest.raises(RateLimitedError):
        image(
            server,
            Reply(refusal(), 429, retry_after="0"),
            Reply(refusal(), 429, retry_after="3600"),
            slowed=slowed,
        )
    with pytest.raises(RateLimitedError):
        image(server, Reply(refusal(), 429), slowed=slowed)
    with pytest.raises(TransientError):
        image(server, Reply(refusal(), 503), slowed=slowed)
    assert slowed == [0, 3600, None]
