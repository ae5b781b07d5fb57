"""Make two images with the API and print their addresses.

API_URL=… TOKEN_URL=… CLIENT_ID=… CLIENT_SECRET=… python3 api.py
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

NAMES = ("API_URL", "TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET")


def fetch_token(url: str, client: str, secret: str) -> str:
    """Return an access token, which is valid for an hour."""
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    form = b"grant_type=client_credentials"
    request = urllib.request.Request(url, form, headers)  # noqa: S310 - the caller's address
    with urllib.request.urlopen(request) as response:  # noqa: S310 - as above
        return json.load(response)["access_token"]


class Easel:
    """The API at an address, used with an access token."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url.rstrip("/"), token

    def call(self, path: str, body: object = None, **headers: str) -> dict:
        """Return the JSON answer to a GET, or to a POST if there is a body. Exit on an error."""
        headers |= {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310 - the caller's address
                return json.load(response)
        except urllib.error.HTTPError as error:
            answer = json.load(error)
            # Easel's errors have a detail. The gateway's own errors have only a message.
            sys.exit(f"{error.code}: {answer.get('detail') or answer.get('message')}")


def main() -> None:
    """Start a run, wait until it has ended, and print its images."""
    if missing := [name for name in NAMES if not os.environ.get(name)]:
        sys.exit(f"set {', '.join(missing)}; make credentials prints them")
    url, *credentials = (os.environ[name] for name in NAMES)
    easel = Easel(url, fetch_token(*credentials))
    # Use a key of your own, such as an order's number. Sending it again never pays again.
    key = {"Idempotency-Key": str(uuid.uuid4())}
    run = easel.call("runs", {"topic": "Sport", "count": 2}, **key)
    while run["status"] == "running":
        time.sleep(2)
        run = easel.call(f"runs/{run['id']}")
    if run["error"]:
        sys.exit(f"{run['error']['title']}: {run['error']['message']}")
    for image in run["pictures"]:
        cost = "cost unknown" if image["cost_usd"] is None else f"${image['cost_usd']:.4f}"
        print(cost, image["links"]["picture"] if image["links"] else image["status"])


if __name__ == "__main__":
    main()
