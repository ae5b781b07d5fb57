"""Uploads of images through the API of the local stack, as a program makes them."""

from typing import Any

from tests.support.api_caller import Answer, Caller, fetch


def begin(caller: Caller, data: bytes) -> dict[str, Any]:
    """Ask for a link to upload a PNG."""
    body = {"name": "teapot.png", "type": "image/png", "bytes": len(data)}
    new: dict[str, Any] = caller("POST", "/uploads", body).json
    return new


def put(new: dict[str, Any], data: bytes, **headers: str) -> Answer:
    """Upload a file by its link."""
    to = new["upload"]
    return fetch(to["url"], method=to["method"], data=data, headers=to["headers"] | headers)


def wait(caller: Caller, new: dict[str, Any]) -> dict[str, Any]:
    """Wait until an upload is checked, and return it."""
    seen: dict[str, Any] = {}

    def checked() -> bool:
        seen.update(caller("GET", f"/uploads/{new['id']}").json)
        return bool(seen["status"] != "waiting")

    caller.aws.until(checked)
    return seen


def uploaded(caller: Caller, data: bytes) -> dict[str, Any]:
    """Upload a file, and return the checked upload."""
    new = begin(caller, data)
    assert put(new, data).status == 200
    return wait(caller, new)
