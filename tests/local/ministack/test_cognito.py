"""Cognito in the emulator: the style of the sign-in page, and who is signed in."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from botocore.exceptions import ClientError

from tests.support.emulator import CLOSED, Emulator, until


def deploy_style(emulator: Emulator) -> str:
    """Deploy a sign-in with a style, and return the stack's status or the error."""
    resources: dict[str, Any] = {
        "Pool": {"Type": "AWS::Cognito::UserPool", "Properties": {}},
        "Style": {
            "Type": "AWS::Cognito::ManagedLoginBranding",
            "Properties": {"UserPoolId": {"Ref": "Pool"}, "UseCognitoProvidedValues": True},
        },
    }
    cloudformation = emulator.client("cloudformation")

    def status() -> str:
        (stack,) = cloudformation.describe_stacks(StackName="styled")["Stacks"]
        return str(stack["StackStatus"])

    try:
        cloudformation.create_stack(
            StackName="styled", TemplateBody=json.dumps({"Resources": resources})
        )
    except ClientError as error:
        return str(error)
    until(lambda: not status().endswith("IN_PROGRESS"))
    return status()


def test_sign_in_page_accepts_a_style(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    assert "ManagedLoginBranding" in deploy_style(plain_emulator), CLOSED
    assert deploy_style(patched_emulator) == "CREATE_COMPLETE"


PAGE = "https://pictures.example/"


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Browser:
    """A browser with cookies, at the sign-in of one emulator."""

    def __init__(self, emulator: Emulator) -> None:
        cognito, self._endpoint = (
            emulator.client("cognito-idp"),
            f"http://127.0.0.1:{emulator.port}",
        )
        pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
        self.client = cognito.create_user_pool_client(
            UserPoolId=pool,
            ClientName="page",
            AllowedOAuthFlows=["code"],
            AllowedOAuthScopes=["openid"],
            AllowedOAuthFlowsUserPoolClient=True,
            CallbackURLs=[PAGE],
            LogoutURLs=[PAGE],
            SupportedIdentityProviders=["COGNITO"],
        )["UserPoolClient"]["ClientId"]
        cognito.admin_create_user(UserPoolId=pool, Username="ada")
        cognito.admin_set_user_password(
            UserPoolId=pool, Username="ada", Password="Password-123", Permanent=True
        )
        self._opener = urllib.request.build_opener(_StayHere, urllib.request.HTTPCookieProcessor())

    def _open(self, path: str, form: dict[str, str] | None = None) -> str:
        """Return the address that a request redirects to, or an empty text."""
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self._opener.open(self._endpoint + path, data) as answer:
                return str(answer.headers.get("Location", ""))
        except urllib.error.HTTPError as error:
            return str(error.headers.get("Location", ""))

    def _query(self, **more: str) -> dict[str, str]:
        return {
            "client_id": self.client,
            "redirect_uri": PAGE,
            "response_type": "code",
            "scope": "openid",
            "state": "s",
        } | more

    def authorize(self, **more: str) -> str:
        return self._open(f"/oauth2/authorize?{urllib.parse.urlencode(self._query(**more))}")

    def sign_in(self) -> str:
        return self._open("/login", self._query(username="ada", password="Password-123"))

    def sign_out(self) -> str:
        query = {"client_id": self.client, "logout_uri": PAGE}
        return self._open(f"/logout?{urllib.parse.urlencode(query)}")


def test_browser_stays_signed_in(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    plain, patched = Browser(plain_emulator), Browser(patched_emulator)

    assert "code=" in plain.sign_in()
    assert plain.authorize(prompt="none") == "", CLOSED

    assert "error=login_required" in patched.authorize(prompt="none")
    assert "code=" in patched.sign_in()
    assert "code=" in patched.authorize(prompt="none")
    assert patched.sign_out() == PAGE
    assert "error=login_required" in patched.authorize(prompt="none")
