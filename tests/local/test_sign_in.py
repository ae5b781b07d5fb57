"""The local stack's API and sign-in, as `make up` leaves them."""

import base64
import hashlib
import html
import json
import re
import secrets
import stat
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest

from local import stack
from local.deploy import ROOT
from local.stack import Local
from tests.support.api_caller import Caller
from tests.support.local_stack import LocalStack, free_port, own_environment


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def http(url: str, form: dict[str, str] | None = None) -> tuple[int, HTTPMessage, str]:
    """One request, a POST where there is a form; redirects are not followed."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        answer = urllib.request.build_opener(_StayHere).open(url, data, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read().decode(errors="replace")


class Visitor:
    """Somebody in front of the page, who signs in as it says."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self.outputs = outputs
        said = LocalStack(outputs).client("cloudformation").describe_stacks(StackName="Easel")["Stacks"][0]["Outputs"]
        self.client = next(one["OutputValue"] for one in said if one["OutputKey"] == "PageClientId")
        self._verifier = secrets.token_urlsafe(48)

    def authorize(self, **more: str) -> tuple[int, HTTPMessage, str]:
        digest = hashlib.sha256(self._verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": self.outputs["api_url"],
            "scope": "openid easel/read easel/write",
            "state": "s",
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return http(f"{self.outputs['endpoint']}/oauth2/authorize?{urllib.parse.urlencode(query | more)}")

    def code(self, password: str) -> str | None:
        """The code that the sign-in page sends back, None where it shows itself again."""
        page = self.authorize()[2]
        hidden = {name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)}
        answer = http(f"{self.outputs['endpoint']}/login", hidden | {"username": self.outputs["user"], "password": password})
        place = answer[1].get("Location", "")
        assert not place or place.startswith(self.outputs["api_url"])
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(place).query)).get("code")

    def token(self, code: str, *, verifier: str | None = None) -> tuple[int, dict[str, Any]]:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client,
            "code": code,
            "redirect_uri": self.outputs["api_url"],
            "code_verifier": verifier or self._verifier,
        }
        status, _, body = http(f"{self.outputs['endpoint']}/oauth2/token", form)
        return status, json.loads(body)


def test_the_user_signs_in_by_the_page_s_own_flow_and_out_again(aws: LocalStack) -> None:
    visitor = Visitor(aws.outputs)
    assert visitor.code("wrong") is None
    code = visitor.code(aws.outputs["password"])
    assert code
    assert visitor.token(code, verifier="another" * 8)[0] == 400
    status, tokens = visitor.token(code)
    assert (status, tokens["expires_in"]) == (200, 3600)
    # The id token is of the right pool and client, and has no scope.
    api = {name: Caller(aws, tokens[name])("GET", "/folders").status for name in ("access_token", "id_token")}
    assert api == {"access_token": 200, "id_token": 403}
    leave = {"client_id": visitor.client, "logout_uri": aws.outputs["api_url"]}
    status, headers, _ = http(f"{aws.outputs['endpoint']}/logout?{urllib.parse.urlencode(leave)}")
    assert (status, headers["Location"]) == (302, aws.outputs["api_url"])


def test_the_sign_in_sends_nobody_elsewhere(aws: LocalStack) -> None:
    visitor, elsewhere = Visitor(aws.outputs), "https://elsewhere.example/"
    assert visitor.authorize(redirect_uri=elsewhere)[0] == 400
    assert visitor.authorize(response_type="token")[0] == 400
    leave = {"client_id": visitor.client, "logout_uri": elsewhere}
    assert http(f"{aws.outputs['endpoint']}/logout?{urllib.parse.urlencode(leave)}")[0] == 400


def test_the_functions_know_where_the_page_and_the_sign_in_are(aws: LocalStack) -> None:
    assert aws.outputs["api_url"].startswith(f"{aws.outputs['endpoint']}/_aws/execute-api/")
    assert aws.outputs["api_url"].endswith("/$default/")
    listed = aws.client("lambda").list_functions()["Functions"]
    (told,) = (one["Environment"]["Variables"] for one in listed if one["Handler"] == "functions.api.handler.handler")
    assert told["EASEL_PAGE_URL"] == aws.outputs["api_url"]
    config = json.loads(http(f"{aws.outputs['api_url']}config.json")[2])
    assert config["sign_in_origin"] == aws.outputs["endpoint"]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    """A local stack of this test's own, not up yet."""
    mine = Local(folder=tmp_path / "local", port=free_port(), settings=(), environment=own_environment())
    yield mine
    stack.down(mine, keep=False)


def test_up_again_keeps_the_user_and_a_kept_stack_comes_back_also_on_another_port(local: Local) -> None:
    first = stack.up(local)
    assert stat.S_IMODE(local.outputs_file.stat().st_mode) == 0o600
    again = stack.up(local)
    for name in ("api_url", "user", "password"):
        assert again[name] == first[name]
    stack.down(local, keep=True)
    moved = replace(local, port=free_port())
    outputs = stack.up(moved)
    assert outputs["api_url"] == first["api_url"].replace(f":{local.port}/", f":{moved.port}/")
    assert outputs["password"] == first["password"]
    code = Visitor(outputs).code(outputs["password"])
    assert code
    assert outputs["password"] not in (moved.folder / "emulator" / "emulator.log").read_text()


def test_without_the_page_there_is_no_user_and_nothing_of_the_page(local: Local) -> None:
    outputs = stack.up(replace(local, settings=("public_page=false",)))
    assert (outputs["user"], outputs["password"]) == (None, None)
    assert http(outputs["api_url"])[0] == 404
    assert http(f"{outputs['api_url']}config.json")[0] == 404
    assert http(f"{outputs['api_url']}runs")[0] == 401


def test_the_sign_in_works_without_the_test_tools() -> None:
    """Without cryptography, which moto brings along for the tests, MiniStack gives tokens that it refuses itself."""
    assert re.search(r"^cryptography==", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
