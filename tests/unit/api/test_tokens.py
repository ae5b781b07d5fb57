"""A token's scope and subject: what its holder gets to see, and who they are."""

from typing import Any

import pytest

from functions.api.routes import DATA, WRITE
from tests.support.api import BATCH_MACHINE, Api, keep_prompt, store_image


def ended_run(api: Api) -> str:
    """Leave an ended run of Anna with one image, and return its id."""
    run_id = str(api.run({"topic": "Sport"}).json["id"])
    store_image(api, keep_prompt(api, run_id))
    api.states.stop_execution(executionArn=api.executions()[0]["executionArn"])
    return run_id


def test_write_token_gets_no_prompt_or_link(api: Api) -> None:
    run_id = ended_run(api)
    image = api("GET", "/images").json["images"][0]["id"]
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/runs", {"body": {"topic": "Sport"}, "headers": {"Idempotency-Key": "key-1"}}),
        ("POST", f"/runs/{run_id}/stop", {}),
        ("POST", f"/runs/{run_id}/redrive", {}),
        ("POST", f"/runs/{run_id}/paint", {"body": {}}),
        ("PUT", "/presets/spring", {"body": {"fields": {"quality": "high"}}}),
        ("DELETE", "/presets/spring", {}),
        ("PATCH", f"/images/{image}", {"body": {"favourite": True}}),
        ("POST", f"/images/{image}/move", {"body": {"folder": "ads"}}),
        ("POST", "/images/changes", {"body": {"ids": [image], "favourite": True}}),
        ("POST", "/images/actions", {"body": {"ids": [image], "action": "unshare"}}),
        ("POST", "/runs/redrive", {"body": {"ids": [run_id]}}),
        ("DELETE", f"/images/{image}", {}),
        ("POST", f"/images/{image}/restore", {}),
        ("POST", f"/images/{image}/share", {}),
        ("DELETE", f"/images/{image}/share", {}),
        ("DELETE", "/folders", {"query": {"name": "my_s3_folder", "confirm": "true"}}),
        ("POST", "/folders/restore", {"body": {"name": "my_s3_folder"}}),
        ("POST", "/batches/spring/start", {"body": {"version_id": "v1"}}),
        ("POST", "/batches/spring/stop", {}),
        ("POST", "/batches/spring/resume", {}),
    ]
    assert {path.replace(run_id, "{id}").replace(image, "{id}") for _, path, _ in calls} == {
        path.replace("{name}", "spring")
        for _, path, scope in DATA
        if scope == WRITE and path not in ("/batches", "/uploads")
    }

    for method, path, more in calls:
        read = api(method, path, **more)
        written = api(method, path, **more, scope="easel/write")

        # A second delete or stop finds nothing left to do.
        assert written.status in (read.status, 404, 409), (path, written.text)
        for word in ("red kite", "Kite", "Sport", "X-Amz-", "my_s3_folder/image"):
            assert word not in written.text, (path, word)


def test_both_scopes_see_the_run(api: Api) -> None:
    ended_run(api)

    whole = api.run({"topic": "Sport"})
    limited = api.run({"topic": "Sport"}, scope="easel/write")

    assert whole.json["prompt"] == "A red kite over a school yard"
    assert "X-Amz-Signature" in whole.json["pictures"][0]["links"]["picture"]
    assert (limited.status, limited.json["id"]) == (200, whole.json["id"])
    assert (limited.json["prompt"], limited.json["topic"], limited.json["title"]) == (None,) * 3
    assert limited.json["pictures"] == []
    assert limited.json["cost_usd"] == whole.json["cost_usd"]


@pytest.mark.parametrize("sub", [None, "", 7])
@pytest.mark.parametrize("path", ["/runs", "/batches/spring/start"])
def test_token_without_subject_is_refused(api: Api, path: str, sub: Any) -> None:
    body = {} if path == "/runs" else {"version_id": "v1"}

    answer = api("POST", path, body, headers={"Idempotency-Key": "key-1"}, sub=sub)

    assert (answer.status, answer.json["title"]) == (401, "Not signed in")
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.executions() == api.executions(BATCH_MACHINE) == []
