"""Upload an image with the API and print its key: TOKEN=… python3 upload.py API_URL FILE."""

import json
import mimetypes
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def call(url: str, body: object = None) -> dict:
    """Return the JSON answer to a GET, or to a POST if there is a body. Exit on an error."""
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, data, headers)  # noqa: S310
        with urllib.request.urlopen(request) as response:  # noqa: S310 - the caller's address
            return json.load(response)
    except urllib.error.HTTPError as error:
        answer = json.load(error)
        sys.exit(f"{error.code}: {answer.get('detail') or answer.get('message')}")


def main() -> None:
    """Upload the file, wait until it is checked, and print the key for reference_images."""
    if len(sys.argv) != 3 or "TOKEN" not in os.environ:
        sys.exit(__doc__)
    api, file = sys.argv[1].rstrip("/"), Path(sys.argv[2])
    data, kind = file.read_bytes(), mimetypes.guess_type(file.name)[0]
    new = call(f"{api}/uploads", {"name": file.name, "type": kind, "bytes": len(data)})
    to = new["upload"]
    put = urllib.request.Request(to["url"], data, to["headers"], method=to["method"])  # noqa: S310
    urllib.request.urlopen(put).close()  # noqa: S310 - the link comes from the API
    upload = call(new["url"])
    while upload["status"] == "waiting":
        time.sleep(1)
        upload = call(new["url"])
    print(upload["key"] or sys.exit(f"{file} was refused: {upload['problem']}"))


if __name__ == "__main__":
    main()
