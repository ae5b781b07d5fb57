"""Make two images with the API and print their addresses: TOKEN=… python3 api.py API_URL."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid


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
    if len(sys.argv) != 2 or "TOKEN" not in os.environ:
        sys.exit(__doc__)
    easel = Easel(sys.argv[1], os.environ["TOKEN"])
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
