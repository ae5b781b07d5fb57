"""A visitor of the page, who signs in with the page's own flow."""

import base64
import hashlib
import html
import json
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPMessage
from typing import Any

from tests.support.local_stack import LocalStack


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def http(url: str, form: dict[str, str] | None = None) -> tuple[int, HTTPMessage, str]:
    """Send one request, a POST if there is a form. Redirects are not followed."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        answer = urllib.request.build_opener(_StayHere).open(url, data, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read().decode(errors="replace")


class Visitor:
    """A visitor of the page of a local stack."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self.outputs, self._endpoint = outputs, outputs["endpoint"]
        cloudformation = LocalStack(outputs).client("cloudformation")
        (stack,) = cloudformation.describe_stacks(StackName="Easel")["Stacks"]
        values = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.client = values["PageClientId"]
        self._verifier = secrets.token_urlsafe(48)

    def authorize(self, **more: str) -> tuple[int, HTTPMessage, str]:
        """Open the sign-in page."""
        digest = hashlib.sha256(self._verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": self.outputs["api_url"],
            "scope": "openid easel/read easel/write easel/schedule easel/admin",
            "state": "s",
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return http(f"{self._endpoint}/oauth2/authorize?{urllib.parse.urlencode(query | more)}")

    def code(self, password: str) -> str | None:
        """Return the code that the sign-in page sends back, or None if it shows the form again."""
        page = self.authorize()[2]
        inputs = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)
        hidden = {name: html.unescape(text) for name, text in inputs}
        form = hidden | {"username": self.outputs["user"], "password": password}
        location = http(f"{self._endpoint}/login", form)[1].get("Location", "")
        assert not location or location.startswith(self.outputs["api_url"])
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query)).get("code")

    def token(self, code: str, *, verifier: str | None = None) -> tuple[int, dict[str, Any]]:
        """Exchange the code for tokens."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client,
            "code": code,
            "redirect_uri": self.outputs["api_url"],
            "code_verifier": verifier or self._verifier,
        }
        status, _, body = http(f"{self._endpoint}/oauth2/token", form)
        return status, json.loads(body)

    def sign_out(self, to: str) -> tuple[int, HTTPMessage, str]:
        """Sign out, and ask to be sent to this address."""
        query = urllib.parse.urlencode({"client_id": self.client, "logout_uri": to})
        return http(f"{self._endpoint}/logout?{query}")
