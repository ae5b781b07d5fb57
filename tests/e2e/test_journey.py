"""An image's way through the API: it is requested, watched, viewed, deleted and restored."""

import io
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from functions.api.links import ImageLinks, Signer, SigningConfig
from local.stack import ACCOUNT
from tests.support.api_caller import Caller, fetch
from tests.support.emulator import policy
from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low"}


def test_image_is_requested_watched_deleted_and_restored(aws: LocalStack, caller: Caller) -> None:
    folder = f"journey/{uuid4().hex}"
    started = caller.run(
        {"topic": "Sport", "folder_name": folder, "count": 2, **SMALL}, key=uuid4().hex
    )
    assert started.status == 202

    run = caller.wait_for_end(started.json)
    assert [(step["step"], step["status"], step["done"], step["of"]) for step in run["steps"]] == [
        ("prompt", "succeeded", 1, 1),
        ("image", "succeeded", 2, 2),
        ("upload", "succeeded", 2, 2),
        ("cleanup", "succeeded", 1, 1),
    ]
    assert run["cost_usd"] <= run["estimate_usd"]

    def listed(status: str) -> list[dict[str, Any]]:
        query = {"folder": folder, "status": status}
        return list(caller("GET", "/images", query=query).json["images"])

    def wait_for_lists(*, stored: list[str], deleted: list[str]) -> None:
        """Wait for the lists, which show a change a little later."""
        expected = {"stored": stored, "deleted": deleted}
        aws.until(
            lambda: {name: [item["id"] for item in listed(name)] for name in expected} == expected
        )

    ids = {picture["id"] for picture in run["pictures"]}
    aws.until(lambda: {image["id"] for image in listed("stored")} == ids)
    page = listed("stored")
    image, other = page
    for name, kind in (("picture", "PNG"), ("thumbnail", "WEBP"), ("download", "PNG")):
        answer = fetch(image["links"][name])
        assert (answer.status, Image.open(io.BytesIO(answer.body)).format) == (200, kind)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert (image["width"], image["height"]) == (1024, 640)
    assert caller("GET", f"/images/{image['id']}").json["usage"]["output_tokens"] > 0

    removed = caller.wait_for_end(caller("DELETE", f"/images/{image['id']}").json)
    assert (removed["status"], removed["objects"]) == ("succeeded", 4)
    wait_for_lists(stored=[other["id"]], deleted=[image["id"]])
    assert fetch(image["links"]["picture"]).status == 404

    restored = caller.wait_for_end(caller("POST", f"/images/{image['id']}/restore").json)
    assert (restored["status"], restored["objects"]) == ("succeeded", 4)
    wait_for_lists(stored=[image["id"], other["id"]], deleted=[])
    assert fetch(image["links"]["picture"]).status == 200


def test_folder_is_deleted_and_restored(aws: LocalStack, caller: Caller) -> None:
    folder = f"doors {uuid4().hex}/ünder"
    caller.wait_for_end(
        caller.run({"prompt": "A kite", "folder_name": folder, **SMALL}, key=uuid4().hex).json
    )

    def count() -> int:
        return sum(
            entry["count"]
            for entry in caller("GET", "/folders").json["folders"]
            if entry["name"] == folder
        )

    assert count() == 1
    assert (
        caller.wait_for_end(
            caller("DELETE", "/folders", query={"name": folder, "confirm": "true"}).json
        )["status"]
        == "succeeded"
    )
    assert count() == 0
    assert (
        caller.wait_for_end(caller("POST", "/folders/restore", {"name": folder}).json)["status"]
        == "succeeded"
    )
    assert count() == 1


def test_failed_run_shows_reason_and_can_resume(aws: LocalStack, caller: Caller) -> None:
    no_credit = {
        "error": {"message": "no", "type": "insufficient_quota", "code": "insufficient_quota"}
    }
    aws.script({"path": "/v1/images/generations", "status": 429, "body": no_credit})
    failed = caller.wait_for_end(caller.run({"topic": "Sport", **SMALL}, key=uuid4().hex).json)
    assert (failed["status"], failed["error"]["error"], failed["can_redrive"]) == (
        "failed",
        "QuotaExhaustedError",
        True,
    )
    assert "credit" in failed["error"]["what_to_do"]

    states = {step["step"]: step["status"] for step in failed["steps"]}
    assert states == {
        "prompt": "succeeded",
        "image": "failed",
        "upload": "waiting",
        "cleanup": "waiting",
    }
    assert (
        next(step for step in failed["steps"] if step["step"] == "image")["error"]["error"]
        == "QuotaExhaustedError"
    )

    response = caller("POST", f"/runs/{failed['id']}/redrive")
    assert response.status == 202
    result = caller.wait_for_end(response.json)
    assert (result["status"], [picture["status"] for picture in result["pictures"]]) == (
        "succeeded",
        ["stored"],
    )
    assert (aws.charges()["images"], aws.charges()["chat"]) == (1, 1)
    assert caller("POST", f"/runs/{failed['id']}/redrive").status == 409


def test_retried_step_is_reported_as_retried(aws: LocalStack, caller: Caller) -> None:
    aws.script({"path": "/v1/images/generations", "status": 500, "times": 2})
    run = caller.wait_for_end(caller.run({"prompt": "A kite", **SMALL}, key=uuid4().hex).json)
    image = next(step for step in run["steps"] if step["step"] == "image")
    assert (image["status"], image["attempts"], image["error"]) == ("succeeded", 3, None)


def test_stopped_run_keeps_purchases_for_redrive(aws: LocalStack, caller: Caller) -> None:
    aws.script({"path": "/v1/images/generations", "delay": 3.0})
    run = caller.run({"prompt": "A kite", **SMALL}, key=uuid4().hex).json
    aws.until(lambda: caller("GET", f"/runs/{run['id']}").json["pictures"] != [])
    assert caller("POST", f"/runs/{run['id']}/stop").json["status"] == "aborted"

    result = caller.wait_for_end(caller("POST", f"/runs/{run['id']}/redrive").json)
    assert (result["status"], result["pictures"][0]["status"]) == ("succeeded", "stored")
    assert aws.charges()["images"] == 1


def test_console_runs_are_found_too(aws: LocalStack, caller: Caller) -> None:
    name = aws.run(SMALL)["name"]
    assert caller("GET", f"/runs/{name}").json["status"] == "succeeded"
    assert name in [
        run["id"] for run in caller("GET", "/runs", query={"limit": "100"}).json["runs"]
    ]


@pytest.fixture
def reader_role(aws: LocalStack) -> Iterator[str]:
    """Create a role that reads images like the stack's own, but that a test may assume."""
    iam, name = aws.client("iam"), f"reader-{uuid4().hex}"
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    trust = {"Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole"}
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{aws.bucket}/*"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=policy(read))
    yield role["Arn"]
    iam.delete_role_policy(RoleName=name, PolicyName="read")
    iam.delete_role(RoleName=name)


def test_link_expires_at_the_stated_time(aws: LocalStack, reader_role: str) -> None:
    key = aws.run({"prompt": "A kite", **SMALL})["report"]["pictures"][0]["key"]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", aws.outputs["endpoint"])
        signing = SigningConfig(
            role=reader_role,
            session="links",
            bucket=aws.bucket,
            region=aws.outputs["region"],
        )
        signed = ImageLinks(Signer(aws.client("sts"), signing, seconds=2)).of(key)
    assert fetch(signed.picture).status == 200

    aws.until(lambda: fetch(signed.picture).status == 403)
    assert 0 <= time.time() - signed.expires_at.timestamp() < 2
