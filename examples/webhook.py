"""Receive Easel's webhooks: EASEL_WEBHOOK_KEY=… python examples/webhook.py. Needs PyJWT."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt

WEBHOOK = "shop"  # the name in the setting webhooks
SEEN: set[str] = set()  # keep it in your database


def read(body: bytes, key: str) -> dict[str, Any] | None:
    """Return what the signature vouches for, or None if this has been received before.

    Raises jwt.InvalidTokenError if it is not from Easel, is for another webhook, or is too old.
    """
    token = json.loads(body)["signature"]
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=["HS256"], audience=WEBHOOK, issuer="easel"
    )
    if claims["jti"] in SEEN:
        return None
    SEEN.add(claims["jti"])
    return claims


class Handler(BaseHTTPRequestHandler):
    """Answers within five seconds, as EventBridge requires."""

    def do_POST(self) -> None:
        """Accept a signed body, and refuse any other."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            claims = read(body, os.environ["EASEL_WEBHOOK_KEY"])
        except (jwt.InvalidTokenError, ValueError, KeyError, TypeError):
            self.send_error(400)
            return
        if claims:
            print(claims["text"])
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
