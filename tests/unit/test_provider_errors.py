"""OpenAI, Azure OpenAI and gateways report the same reasons in different fields."""

from collections.abc import Iterator
from typing import Any

import pytest

from easel.contract.errors import (
    AuthError,
    ConfigError,
    ContentRefusedError,
    EaselError,
    InputError,
    QuotaExhaustedError,
    RateLimitedError,
    TransientError,
)
from easel.openai_client.images import ImageModel
from tests.support.openai_server import Reply, Server, chat, image, openai_server
from tests.support.openai_server import account as account_at

AZURE_FILTER = {
    "code": "content_filter",
    "param": "prompt",
    "message": "The response was filtered",
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {
            "hate": {"filtered": False, "severity": "safe"},
            "violence": {"filtered": True, "severity": "high"},
        },
    },
}
FILTERED = {"sexual": {"filtered": True, "severity": "high"}, "hate": {"filtered": False}}
LITELLM_POLICY = {
    "message": "litellm.ContentPolicyViolationError: Your request was rejected as a result of our "
    "safety system. content_policy_violation",
    "type": "image_generation_user_error",
    "param": None,
    "code": "400",
}
LITELLM_QUOTA = {
    "message": "litellm.RateLimitError: You exceeded your current quota, please check your plan",
    "type": "throttling_error",
    "param": None,
    "code": "429",
}
LITELLM_COOLDOWN = {
    "message": "No deployments available, try again in 5 seconds: all_deployments_in_cooldown",
    "type": "throttling_error",
    "code": "429",
}
RATE_LIMIT = {
    "message": "Rate limit reached for gpt-image-2 on images per min. Visit your billing page.",
    "type": "requests",
    "code": "rate_limit_exceeded",
}


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server() as server:
        yield server


def error_of(server: Server, body: Any, status: int, **more: Any) -> EaselError:
    """Return the error of an image call that is answered like this."""
    with pytest.raises(EaselError) as exc_info:
        image(server, Reply(body, status, **more))
    return exc_info.value


def outer(**fields: Any) -> dict[str, Any]:
    return {"error": {"message": "no"} | fields}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": AZURE_FILTER}, ContentRefusedError),
        (400, outer(code="400", type=None, provider_specific_fields=AZURE_FILTER), None),
        (400, {"error": LITELLM_POLICY}, ContentRefusedError),
        (403, outer(code="content_policy_violation"), ContentRefusedError),
        (429, outer(code="billing_not_active"), QuotaExhaustedError),
        (429, outer(type="insufficient_quota"), QuotaExhaustedError),
        (429, outer(type="insufficient_quota", code=None), QuotaExhaustedError),
        (429, outer(code="insufficient_quota", type="insufficient_quota"), QuotaExhaustedError),
        (429, {"error": LITELLM_QUOTA}, QuotaExhaustedError),
        (402, outer(), QuotaExhaustedError),
        (400, outer(type="budget_exceeded"), QuotaExhaustedError),
        (429, {"error": LITELLM_COOLDOWN}, RateLimitedError),
        (429, {"error": RATE_LIMIT}, RateLimitedError),
        (429, "slow down", RateLimitedError),
        (401, outer(type="authentication_error", code="401"), AuthError),
        (400, outer(code="invalid_value", message="a content policy, not a size"), InputError),
        (400, {"message": "no such thing"}, InputError),
        (400, outer(code="contentFilter"), ContentRefusedError),
        (400, outer(inner_error={"content_filter_results": FILTERED}), ContentRefusedError),
        (422, outer(code="nsfw_content"), ContentRefusedError),
        (422, {"detail": [{"msg": "no", "type": "content_policy_violation"}]}, None),
        (403, {"name": "content_moderation", "errors": ["no"]}, ContentRefusedError),
        (403, outer(code=403, message='Your input was flagged for "violence"'), None),
        (400, {"code": "x", "error": "Rejected by content moderation."}, ContentRefusedError),
        (400, outer(code=400, metadata={"raw": '{"code": "moderation_blocked"}'}), None),
        (403, {"code": "x", "error": "Your team doesn't have any credits"}, QuotaExhaustedError),
        (403, outer(code="pre_consume_token_quota_failed"), QuotaExhaustedError),
        (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], RateLimitedError),
        (400, outer(message="API key not valid."), AuthError),
        (403, outer(code="access_terminated"), AuthError),
        (422, outer(detail=[{"msg": "no", "input": "a content policy"}]), InputError),
    ],
)
def test_reason_is_read_from_every_field(
    server: Server, status: int, body: Any, error: type[EaselError] | None
) -> None:
    assert type(error_of(server, body, status)) is (error or ContentRefusedError)


@pytest.mark.parametrize(
    ("body", "category"),
    [
        ({"error": AZURE_FILTER}, "violence"),
        (outer(code="x", inner_error={"content_filter_results": FILTERED}), "sexual"),
        (outer(code="nsfw_content"), "nsfw_content"),
        (outer(code=403, message="Your input was flagged"), "content_filter"),
    ],
)
def test_refusal_names_its_category(server: Server, body: Any, category: str) -> None:
    error = error_of(server, body, 400)
    assert isinstance(error, ContentRefusedError)
    assert error.category == category


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, outer(message="Your organization must be verified to use the model"), "15 minutes"),
        (403, outer(code="unsupported_country_region_territory"), "country or region"),
        (403, "<html><title>Attention Required! | Cloudflare</title></html>", "firewall"),
        (404, "<html>404</html>", "check openai_base_url"),
        (403, outer(code="model_not_found"), "no access"),
        (404, outer(code="model_not_found"), "no access"),
        (403, outer(message="Please complete organization verification"), "15 minutes"),
        (400, outer(message="User location is not supported"), "country or region"),
        (403, "error code: 1020", "firewall"),
        (405, {"detail": "Method Not Allowed"}, "ends with /v1"),
        (407, "<html>Proxy Authentication Required</html>", "a proxy"),
    ],
)
def test_refused_access_names_its_cause(server: Server, status: int, body: Any, words: str) -> None:
    error = error_of(server, body, status)
    assert type(error) is ConfigError
    assert words in str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (outer(code="missing_scope"), "lacks a permission"),
        (outer(message="Missing scopes: api.model.images.request"), "lacks a permission"),
        (outer(code="account_deactivated"), "closed the account"),
        (outer(code="ip_not_authorized"), "IP addresses"),
        (outer(code="invalid_api_key"), "set a new one"),
        (outer(), "set a new one"),
    ],
)
def test_refused_key_names_its_cause(server: Server, body: Any, words: str) -> None:
    error = error_of(server, body, 401)
    assert type(error) is AuthError
    assert words in str(error)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (outer(code="moderation_blocked") | {"data": [{"b64_json": None}]}, ContentRefusedError),
        ({"data": [{"error": {"code": "content_filter"}}]}, ContentRefusedError),
        ({"data": [{"content_filter_results": FILTERED}]}, ContentRefusedError),
        ({"status": "Request Moderated", "result": None}, ContentRefusedError),
        ({"code": "insufficient_quota", "message": "no"}, QuotaExhaustedError),
        (outer(code=429), RateLimitedError),
        (outer(code=401), AuthError),
        (outer(code=404), ConfigError),
        (outer(code=502), TransientError),
    ],
)
def test_error_of_status_200_is_read_in_every_place(
    server: Server, body: Any, error: type[EaselError]
) -> None:
    assert type(error_of(server, body, 200)) is error


def test_error_beside_an_empty_text_is_read(server: Server) -> None:
    body = {"choices": [{"error": {"code": 429}, "message": {"content": ""}}]}
    with pytest.raises(RateLimitedError):
        chat(server, Reply(body))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("moderation_blocked", ContentRefusedError),
        ("insufficient_quota", QuotaExhaustedError),
        ("rate_limit_exceeded", RateLimitedError),
        ("invalid_value", InputError),
        ("odd", TransientError),
    ],
)
def test_error_of_status_200_is_read(server: Server, code: str, error: type[EaselError]) -> None:
    actual = error_of(server, outer(code=code), 200)
    assert type(actual) is error
    assert actual.possibly_paid == (error is TransientError)
    assert len(server.requests) == 1


def test_refused_value_is_named_with_the_reason(server: Server) -> None:
    server.replies = [
        Reply(outer(param="size", code="invalid_value", message="Invalid size '1x1'."), 400)
    ]
    model, parameters = ImageModel(account_at(server)), {"model": "m", "prompt": "p", "size": "1x1"}
    with pytest.raises(InputError, match=r'size is "1x1", but .* refused it .*: Invalid size'):
        model.paint(parameters, timeout=5, slow_down=lambda _: None)


def test_message_that_repeats_the_prompt_is_dropped(server: Server) -> None:
    prompt = "a secret product that nobody may know of yet"
    message = f"Invalid 'quality' for '{prompt}'."
    server.replies = [Reply(outer(param="quality", code="invalid_value", message=message), 400)]
    parameters = {"model": "gpt-image-2", "prompt": prompt, "quality": "high"}
    with pytest.raises(InputError) as exc_info:
        ImageModel(account_at(server)).paint(parameters, timeout=5, slow_down=lambda _: None)
    assert "secret" not in str(exc_info.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-reset-requests": "120ms"}, 0.12),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "9s"}, 9),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "9s",
                "x-ratelimit-remaining-tokens": "5000",
            },
            1,
        ),
        ({"x-ratelimit-reset-requests": "12"}, 12),
        ({"x-ratelimit-reset-requests": "1d2h"}, 93_600),
        ({"ratelimit-reset": "12"}, 12),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"x-ratelimit-reset-requests": "later"}, None),
        ({}, None),
    ],
)
def test_every_form_of_wait_is_honoured(
    server: Server, headers: dict[str, str], seconds: float | None
) -> None:
    slowed: list[float | None] = []
    with pytest.raises(RateLimitedError):
        image(
            server, Reply({"error": RATE_LIMIT}, 429, headers=headers), slowed=slowed, timeout=0.1
        )
    assert slowed[0] == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 20s.", 20),
        ("Please try again in 1m30.5s. Visit", 90.5),
        ("Please retry after 18 seconds.", 18),
        ("Try again in 250ms", 0.25),
        ("Try again in 5 minutes", None),
        ("Try again later", None),
    ],
)
def test_wait_is_read_from_the_message(server: Server, message: str, seconds: float | None) -> None:
    slowed: list[float | None] = []
    with pytest.raises(RateLimitedError):
        image(server, Reply(outer(message=message), 429), slowed=slowed, timeout=0.1)
    assert slowed[0] == (None if seconds is None else pytest.approx(seconds))
