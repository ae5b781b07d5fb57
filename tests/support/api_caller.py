"""A caller with a token for the local stack's API."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cli import sign_in
from cli.target import LOCAL_TARGET, Target
from tests.support.local_stack import LocalStack

ENDED = ("succeeded", "failed", "timed_out", "aborted")


@dataclass(frozen=True)
class Answer:
    """The response to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """A caller of the API with this token, or with no token if it is None."""

    def __init__(self, aws: LocalStack, token: str | None) -> None:
        self.aws, self.token = aws, token

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        where = (
            self.aws.outputs["api_url"]
            + path.removeprefix("/")
            + (f"?{urllib.parse.urlencode(query)}" if query else "")
        )
        data = (
            body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        )
        sent = ({"Content-Type": "application/json"} if data is not None else {}) | dict(
            headers or {}
        )
        return fetch(
            where,
            method=method,
            data=data,
            headers=sent | ({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        )

    def run(self, body: Any, *, key: str) -> Answer:
        return self("POST", "/runs", body, headers={"Idempotency-Key": key})

    def wait_for_end(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for the end of a run, and return it."""
        seen: dict[str, Any] = {}

        def over() -> bool:
            seen.update(self("GET", f"/runs/{run['id']}").json)
            return seen["status"] in ENDED

        self.aws.until(over)
        return seen


def fetch(
    url: str,
    *,
    method: str = "GET",
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request over the network."""
    request = urllib.request.Request(url, method=method, data=data, headers=dict(headers or {}))
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return Answer(
            status=answer.status,
            headers={k.lower(): v for k, v in answer.headers.items()},
            body=answer.read(),
        )


def target(aws: LocalStack) -> Target:
    return Target(**{name: aws.outputs[name] for name in LOCAL_TARGET})


def machine(aws: LocalStack, scope: str | None = None) -> Caller:
    """Return a program with both scopes, or with only `read` or `write`."""
    return Caller(aws, sign_in.fetch_token(target(aws), scope))
