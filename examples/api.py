"""Make two images with the API and print their addresses: TOKEN=… python3 api.py API_URL."""

import json
import os
import sys
import time
import urllib.request
import uuid


def call(url: str, body: object = None, **headers: str) -> dict:
    """Return the JSON answer to a GET, or to a POST if there is a body."""
    headers |= {
        "Authorization": f"Bearer {os.environ['TOKEN']}",
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the caller's own address
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return json.load(response)


def main() -> None:
    """Start a run, wait until it has ended, and print its images."""
    api = sys.argv[1]
    # Use a key of your own, such as an order's number. Sending it again never pays again.
    key = {"Idempotency-Key": str(uuid.uuid4())}
    run = call(f"{api}runs", {"topic": "Sport", "count": 2}, **key)
    while run["status"] == "running":
        time.sleep(2)
        run = call(f"{api}runs/{run['id']}")
    if run["error"]:
        sys.exit(f"{run['error']['title']}: {run['error']['message']}")
    for image in run["pictures"]:
        print(f"${image['cost_usd']:.4f}", image["links"]["picture"])


if __name__ == "__main__":
    main()
