"""The emulator's HTTP API and sign-in: a closed gap, and features that the stack relies on."""

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.emulator import CLOSED, REGION, Emulator

FUNCTION = """
import base64

def handler(event, context):
    path = event["rawPath"]
    if path == "/raise":
        raise ValueError("a word that nobody should read")
    if path == "/bytes":
        headers = {"content-type": "image/png", "x-more": "1"}
        body = base64.b64encode(bytes(range(256))).decode()
        return {"statusCode": 200, "headers": headers, "isBase64Encoded": True, "body": body}
    if path == "/unchanged":
        return {"statusCode": 304, "headers": {"etag": '"x"'}}
    return {"statusCode": 200, "body": path}
"""
SCOPES = ("easel/read", "easel/write")


class Api:
    """An HTTP API in an emulator. Its route `/read` requires a token with the scope easel/read."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._cognito, gateway = emulator.client("cognito-idp"), emulator.client("apigatewayv2")
        self.pool = self.create_pool()
        self.client = self.create_client(self.pool)
        arn = f"arn:aws:lambda:{REGION}:000000000000:function:{emulator.create_function(FUNCTION)}"
        api = gateway.create_api(Name="api", ProtocolType="HTTP")["ApiId"]
        call = {
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": arn,
            "PayloadFormatVersion": "2.0",
        }
        target = f"integrations/{gateway.create_integration(ApiId=api, **call)['IntegrationId']}"
        for path in ("/raise", "/bytes", "/unchanged"):
            gateway.create_route(ApiId=api, RouteKey=f"GET {path}", Target=target)
        authorizer = gateway.create_authorizer(
            ApiId=api,
            Name="token",
            AuthorizerType="JWT",
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={
                "Issuer": f"https://cognito-idp.{REGION}.amazonaws.com/{self.pool}",
                "Audience": [self.client["ClientId"]],
            },
        )["AuthorizerId"]
        demand = {
            "AuthorizationType": "JWT",
            "AuthorizerId": authorizer,
            "AuthorizationScopes": ["easel/read"],
        }
        gateway.create_route(ApiId=api, RouteKey="GET /read", Target=target, **demand)
        gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        self._url = f"http://127.0.0.1:{emulator.port}/_aws/execute-api/{api}/$default"

    def create_pool(self) -> str:
        pool = str(self._cognito.create_user_pool(PoolName=uuid.uuid4().hex)["UserPool"]["Id"])
        names = [scope.partition("/")[2] for scope in SCOPES]
        scopes = [{"ScopeName": name, "ScopeDescription": "x"} for name in names]
        self._cognito.create_resource_server(
            UserPoolId=pool, Identifier="easel", Name="easel", Scopes=scopes
        )
        return pool

    def create_client(self, pool: str) -> dict[str, Any]:
        client: dict[str, Any] = self._cognito.create_user_pool_client(
            UserPoolId=pool,
            ClientName="machine",
            GenerateSecret=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthScopes=list(SCOPES),
            AllowedOAuthFlowsUserPoolClient=True,
        )["UserPoolClient"]
        return client

    def token(self, client: dict[str, Any], *scopes: str) -> str:
        credentials = f"{client['ClientId']}:{client['ClientSecret']}"
        form = {"grant_type": "client_credentials", "scope": " ".join(scopes)}
        headers = {
            "Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        url = f"http://127.0.0.1:{self._emulator.port}/oauth2/token"
        request = urllib.request.Request(url, urllib.parse.urlencode(form).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.loads(answer.read())["access_token"])

    def short_lived_token(self) -> str:
        """Return a token that expires in two seconds."""
        change = {
            "AllowedOAuthFlows": ["client_credentials"],
            "AllowedOAuthScopes": list(SCOPES),
            "AllowedOAuthFlowsUserPoolClient": True,
        }
        call = {"UserPoolId": self.pool, "ClientId": self.client["ClientId"], **change}
        self._cognito.update_user_pool_client(
            **call, AccessTokenValidity=2, TokenValidityUnits={"AccessToken": "seconds"}
        )
        try:
            return self.token(self.client, *SCOPES)
        finally:
            self._cognito.update_user_pool_client(**call)

    def get(self, path: str, token: str | None = None) -> tuple[int, dict[str, str], bytes]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            request = urllib.request.Request(self._url + path, headers=headers)
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            received = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, received, answer.read()


@pytest.fixture(scope="session")
def api(patched_emulator: Emulator) -> Api:
    return Api(patched_emulator)


def test_failing_function_is_a_500_without_details(plain_emulator: Emulator, api: Api) -> None:
    status, _, body = Api(plain_emulator).get("/raise")
    assert (status, b"nobody should read" in body) == (502, True), CLOSED

    status, headers, body = api.get("/raise")
    assert (status, headers["content-type"]) == (500, "application/json")
    assert json.loads(body) == {"message": "Internal Server Error"}


# The API and its page rely on the following features, which need no patch.


def test_bytes_headers_and_empty_responses_arrive(api: Api) -> None:
    status, headers, body = api.get("/bytes")
    assert (status, headers["content-type"], headers["x-more"]) == (200, "image/png", "1")
    assert body == bytes(range(256))

    status, headers, body = api.get("/unchanged")
    assert (status, headers["etag"], body) == (304, '"x"', b"")


def test_token_with_scope_is_accepted(api: Api) -> None:
    assert api.get("/read", api.token(api.client, *SCOPES))[::2] == (200, b"/read")
    assert api.get("/read", api.token(api.client, "easel/read"))[0] == 200


def _forged(api: Api) -> str:
    head, claims, signature = api.token(api.client, *SCOPES).split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    changed["exp"] += 1
    encoded = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")
    return f"{head}.{encoded}.{signature}"


def _expired(api: Api) -> str:
    token = api.short_lived_token()
    assert api.get("/read", token)[0] == 200
    time.sleep(2.1)
    return token


REFUSED: dict[str, tuple[Callable[[Api], str | None], int]] = {
    "no token": (lambda _: None, 401),
    "no token at all": (lambda _: "x.y.z", 401),
    "forged": (_forged, 401),
    "expired": (_expired, 401),
    "of another pool": (lambda api: api.token(api.create_client(api.create_pool()), *SCOPES), 401),
    "of another client": (lambda api: api.token(api.create_client(api.pool), *SCOPES), 401),
    "without the scope": (lambda api: api.token(api.client, "easel/write"), 403),
}


@pytest.mark.parametrize("why", REFUSED)
def test_request_without_permission_is_refused(api: Api, why: str) -> None:
    token, status = REFUSED[why]

    answer = api.get("/read", token(api))

    assert answer[0] == status
    assert set(json.loads(answer[2])) == {"message"}
