"""OpenAI without a key: a server on loopback plays STS, OpenAI's token exchange and its API."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import signature
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.config import Config
from openai.auth import WorkloadIdentityAuth

from easel.contract import settings
from easel.contract.errors import (
    AuthError,
    ConfigError,
    EaselError,
    StorageBusyError,
    StorageDeniedError,
    TransientError,
)
from easel.openai_client.client import Account
from easel.openai_client.credentials import ApiKey, IdentityToken
from easel.openai_client.images import ImageAnswer, ImageModel
from easel.services import Services
from tests.support.local_stack import free_port
from tests.support.loopback import Quiet, serving
from tests.support.services import REGION

SIGNED = """<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetWebIdentityTokenResult><WebIdentityToken>signed.by.aws</WebIdentityToken><Expiration>2026-11-24T03:20:02Z</Expiration>
</GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"""
REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<Error><Type>Sender</Type><Code>{}</Code><Message>no</Message></Error></ErrorResponse>"""
PICTURE = {"data": [{"b64_json": "aGVsbG8="}]}
Answer = tuple[int, Any]


@dataclass
class Servers:
    """The answers of each path, in order, with the last one repeated, and the requests received."""

    url: str
    answers: dict[str, list[Answer]]
    requests: dict[str, list[Any]] = field(
        default_factory=lambda: {"sts": [], "token": [], "image": []}
    )
    shown: list[str] = field(default_factory=list)


@pytest.fixture
def servers() -> Iterator[Servers]:
    class Handler(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the standard library's name
            path = {"/": "sts", "/oauth/token": "token", "/v1/images/generations": "image"}[
                self.path
            ]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            served.requests[path].append(
                parse_qs(body.decode()) if path == "sts" else json.loads(body)
            )
            if path == "image":
                served.shown.append(self.headers["Authorization"])
            replies = served.answers[path]
            status, reply = replies.pop(0) if len(replies) > 1 else replies[0]
            content = reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/xml" if path == "sts" else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    tokens: list[Answer] = [
        (200, {"access_token": name, "expires_in": 3600}) for name in ("first", "second")
    ]
    with serving(Handler) as url:
        served = Servers(
            url=url, answers={"sts": [(200, SIGNED)], "token": tokens, "image": [(200, PICTURE)]}
        )
        yield served


def api(servers: Servers, *, token_url: str | None = None) -> ImageModel:
    sts = boto3.client(
        "sts",
        region_name=REGION,
        endpoint_url=servers.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    exchange = token_url or f"{servers.url}/oauth/token"
    credential = IdentityToken(sts, "idp_1/sa_2", token_url=exchange)
    return ImageModel(Account(credential, base_url=f"{servers.url}/v1"))


def image(api: ImageModel) -> ImageAnswer:
    parameters = {"model": "gpt-image-2.6-flare", "prompt": "A kite"}
    return api.paint(parameters, timeout=5, slow_down=lambda _: None)


def failed(servers: Servers, **how: Any) -> EaselError:
    with pytest.raises(EaselError) as exc_info:
        image(api(servers, **how))
    assert not exc_info.value.possibly_paid
    assert not servers.requests["image"]
    return exc_info.value


def test_aws_token_is_exchanged_for_openai_token(servers: Servers) -> None:
    assert image(api(servers)).data == b"hello"
    (parameters,) = servers.requests["sts"]
    assert (parameters["Action"], parameters["Audience.member.1"]) == (
        ["GetWebIdentityToken"],
        ["https://api.openai.com/v1"],
    )
    assert (parameters["DurationSeconds"], parameters["SigningAlgorithm"]) == (["300"], ["ES384"])

    (exchanged,) = servers.requests["token"]
    assert (
        exchanged["subject_token"],
        exchanged["identity_provider_id"],
        exchanged["service_account_id"],
    ) == (
        "signed.by.aws",
        "idp_1",
        "sa_2",
    )
    assert servers.shown == ["Bearer first"]


def test_token_is_fetched_lazily_and_kept(servers: Servers) -> None:
    credential = api(servers)
    assert not servers.requests["sts"]

    image(credential)
    image(credential)
    assert (len(servers.requests["sts"]), servers.shown) == (1, ["Bearer first", "Bearer first"])


def test_expired_token_is_fetched_again(servers: Servers) -> None:
    servers.answers["token"].insert(0, (200, {"access_token": "short", "expires_in": 0.2}))
    credential = api(servers)
    image(credential)
    threading.Event().wait(0.3)

    image(credential)

    assert servers.shown == ["Bearer short", "Bearer first"]


def test_refused_token_is_exchanged_again_once(servers: Servers) -> None:
    servers.answers["image"].insert(0, (401, {"error": {"code": "invalid_api_key"}}))
    assert image(api(servers)).data
    assert servers.shown == ["Bearer first", "Bearer second"]


def test_persistently_refused_token_is_final(servers: Servers) -> None:
    servers.answers["image"] = [(401, {"error": {"code": "invalid_api_key"}})]
    with pytest.raises(AuthError, match="without a key"):
        image(api(servers))
    assert len(servers.shown) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_exchange_explains_what_to_check(servers: Servers, status: int) -> None:
    servers.answers["token"] = [
        (status, {"error": "invalid_subject_token", "error_description": "secret signed.by.aws"})
    ]
    error = failed(servers)

    assert type(error) is AuthError
    assert "invalid_subject_token" in str(error)
    assert "openai_workload_identity" in str(error)
    assert "signed.by.aws" not in str(error)
    assert len(servers.requests["token"]) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (503, ""),
        (429, {}),
        (200, ""),
        (200, "<html>"),
        (200, []),
        (200, {}),
        (200, {"access_token": "x"}),
        (200, {"access_token": "x", "expires_in": 0}),
    ],
)
def test_exchange_without_token_is_transient_and_free(servers: Servers, answer: Answer) -> None:
    servers.answers["token"] = [answer]
    assert type(failed(servers)) is TransientError


def test_unanswered_exchange_is_transient_and_free(servers: Servers) -> None:
    assert (
        type(failed(servers, token_url=f"http://127.0.0.1:{free_port()}/oauth/token"))
        is TransientError
    )


@pytest.mark.parametrize(
    ("status", "code", "error", "expected"),
    [
        (
            403,
            "OutboundWebIdentityFederationDisabledException",
            ConfigError,
            "enable-outbound-web-identity-federation",
        ),
        (403, "AccessDenied", StorageDeniedError, "GetWebIdentityToken"),
        (400, "Throttling", StorageBusyError, "GetWebIdentityToken"),
        (503, "ServiceUnavailable", StorageBusyError, "GetWebIdentityToken"),
        (400, "ValidationError", ConfigError, "GetWebIdentityToken"),
    ],
)
def test_sts_refusal_has_its_name(
    servers: Servers, status: int, code: str, error: type[EaselError], expected: str
) -> None:
    servers.answers["sts"] = [(status, REFUSED.format(code))]
    actual = failed(servers)

    assert type(actual) is error
    assert expected in str(actual)
    assert not servers.requests["token"]


def test_deployment_uses_key_or_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ):
        monkeypatch.setenv(name, value)

    def credential(environment: dict[str, str]) -> Any:
        return Services(environment).openai_account._credential

    assert isinstance(credential({settings.SECRET: "the-secret"}), ApiKey)

    token = credential({settings.WORKLOAD_IDENTITY: "idp_1/sa_2"})
    assert isinstance(token, IdentityToken)
    # STS's global endpoint issues no such token. By default, OpenAI's own exchange is used.
    assert token._sts.meta.endpoint_url == "https://sts.us-east-1.amazonaws.com"

    default = signature(WorkloadIdentityAuth).parameters["token_exchange_url"].default
    assert token._auth.token_exchange_url == default
