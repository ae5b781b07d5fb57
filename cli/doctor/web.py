"""Requests over HTTP, without credentials and without following redirects."""

import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import Any

SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """The answer to a request, with any status."""

    status: int
    headers: Message
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Return no new request, so that the redirect itself is the answer."""


def fetch(url: str, *, method: str = "GET") -> Answer:
    """Return the answer of this address. Raises OSError if there is none."""
    opener = urllib.request.build_opener(_NoRedirect)
    request = urllib.request.Request(url, method=method)  # noqa: S310 - the stack's or AWS's own
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
