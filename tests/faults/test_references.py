"""Rows 134 to 150 of docs/faults.md.

Images from images: inputs that change while they are used, and uploads.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from easel.contract import naming
from functions.api.links import Signer, SigningConfig, UploadLinks
from local.stack import ACCOUNT
from tests.faults import inputs
from tests.faults.fault_menu import EDITS
from tests.faults.faulty_stack import FaultyStack
from tests.faults.inputs import FIRST, LARGE, MASK, SECOND, SIZE
from tests.faults.lease_clock import run_out_after_kills
from tests.faults.proxy import Call
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL, Scenario, error_rule, play, rows
from tests.support.api_caller import fetch
from tests.support.images import png

EDIT: dict[str, Any] = {
    "prompt": "A teapot on a table",
    "reference_images": [FIRST, SECOND],
    "mask": MASK,
}


@pytest.fixture
def stack(faulty_stack: FaultyStack) -> FaultyStack:
    """Return the stack with the inputs of UPLOADS."""
    inputs.prepare(faulty_stack)
    faulty_stack.forget()
    return faulty_stack


def same_inputs(stack: FaultyStack, _execution: dict[str, Any]) -> None:
    """Check that each call has sent the same whole images."""
    sent = [(edit["images"], edit["mask"]) for edit in stack.charges()["edits"]]
    assert sent
    assert all(images == sent[0] for images in sent)


def nothing_claimed(stack: FaultyStack, execution: dict[str, Any]) -> None:
    """Check that a run has no image, and that no money is reserved."""
    records = {item["sk"] for item in stack.records(execution["name"])}
    assert not {sk for sk in records if sk.startswith("image#")}
    assert stack.budget()["committed"] == stack.budget()["spent"]


def read(**fault: Any) -> Rule:
    return Rule(operation="GetObject", step="Image", contains=SECOND, **fault)


def row(name: str, **more: Any) -> Scenario:
    expected: dict[str, Any] = {"request": EDIT, "chat": 0, "also": same_inputs}
    return Scenario(name=name, **expected | more)


@rows(
    row("134 SlowDown while an input is read", aws=[read(status=503, code="SlowDown", times=2)]),
    row("134 an input that does not arrive", aws=[read(lose_answer=True, times=4)]),
    row(
        "73 an input that is denied",
        aws=[read(status=403, code="AccessDenied", times=9)],
        error="StorageDeniedError",
        images=0,
        also=nothing_claimed,
    ),
    row(
        "135 a connection that is cut while the images are sent",
        request=EDIT | {"reference_images": [LARGE], "mask": None},
        openai=[Rule(operation="image", cut=True)],
        possibly_paid=1,
    ),
    row(
        "135 an answer that is lost",
        openai=[Rule(operation="image", lose_answer=True)],
        images=2,
        possibly_paid=1,
    ),
    row(
        "135 a rate limit after the images were sent",
        stand_in=[error_rule(429, path=EDITS, headers={"Retry-After": "1"})],
        expected_calls=("image", 2),
    ),
    row(
        "135 a key that was rotated",
        stand_in=[error_rule(401, "invalid_api_key", path=EDITS)],
        expected_calls=("image", 2),
    ),
)
def test_faults_around_inputs_have_the_listed_outcome(
    stack: FaultyStack, scenario: Scenario
) -> None:
    play(stack, scenario)


def own_upload(stack: FaultyStack, data: bytes | None = None) -> str:
    """Upload an image for one test, and return its key."""
    uploaded = inputs.upload(stack, uuid4().hex, data or png(*SIZE, "green"))
    assert uploaded.key
    return uploaded.key


Change = Callable[[FaultyStack, str], None]


def run_with_change(stack: FaultyStack, key: str, change: Change, **request: Any) -> dict[str, Any]:
    """Run a request, and change its input after the prompt is written."""
    go = threading.Event()
    hold = Rule(operation="GetItem", step="Image", hold=go, times=9)
    stack.aws_faults.script(hold)
    arn = stack.start({"prompt": "A teapot", "reference_images": [key], **SMALL} | request)
    stack.until(lambda: any(call.fault == "hold" for call in stack.calls("Image")))
    change(stack, key)
    go.set()
    return stack.wait_for_end(arn)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(inputs.delete, id="137 deleted"),
        pytest.param(inputs.replace, id="138 replaced"),
        pytest.param(inputs.tag, id="140 tagged"),
    ],
)
def test_run_uses_version_that_it_found(stack: FaultyStack, change: Change) -> None:
    key = own_upload(stack)
    sha256 = inputs.sha256_of(stack, key)

    execution = run_with_change(stack, key, change)

    assert execution["status"] == "SUCCEEDED", execution["cause"]
    assert [edit["images"] for edit in stack.charges()["edits"]] == [[sha256]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(inputs.delete, "it was deleted", id="137 deleted"),
        pytest.param(inputs.replace, "it has changed", id="138 replaced"),
        pytest.param(inputs.purge, "it was deleted", id="139 purged"),
    ],
)
def test_next_run_refuses_changed_input(stack: FaultyStack, change: Change, reason: str) -> None:
    key = own_upload(stack)
    change(stack, key)

    request = {"reference_images": [key]}
    scenario = Scenario(name="", request=request, error="InputError", images=0, chat=0)
    execution = play(stack, scenario)

    assert key in execution["cause"]
    assert reason in execution["cause"]


def test_139_purged_input_claims_nothing(stack: FaultyStack) -> None:
    key = own_upload(stack)

    execution = run_with_change(stack, key, inputs.purge, count=2)

    assert execution["error"] == "ReferenceGoneError"
    assert key in execution["cause"]
    assert stack.charges()["images"] == 0
    nothing_claimed(stack, execution)


def test_139_bought_images_are_stored_despite_purged_input(stack: FaultyStack) -> None:
    key, first, second = own_upload(stack), threading.Event(), threading.Event()
    stack.openai_faults.script(Rule(operation="image", hold=first))
    stack.aws_faults.script(Rule(operation="GetItem", contains="image#2", hold=second))
    request = {"prompt": "A teapot", "reference_images": [key], "count": 2, **SMALL}

    arn = stack.start(request | {"folder_name": "catalogue"})
    stack.until(lambda: sum(call.fault == "hold" for call in stack.calls("Image")) == 2)
    inputs.purge(stack, key)
    second.set()
    stack.wait_for_start(arn)
    stack.until(lambda: "No image" in stack.entered(arn))
    first.set()
    execution = stack.wait_for_end(arn)

    assert execution["error"] == "ReferenceGoneError"
    assert "1 of 2 images are stored; not bought: image 2" in execution["cause"]
    assert stack.charges()["images"] == 1
    assert stack.staged(execution["name"]) == []


def test_150_chat_call_is_settled_although_input_is_gone(stack: FaultyStack) -> None:
    key = own_upload(stack)
    run_out_after_kills(stack)
    run_out = stack.openai_faults.on_kill
    assert run_out

    def delete(killed: Call) -> None:
        inputs.delete(stack, key)
        run_out(killed)

    stack.openai_faults.on_kill = delete
    stack.openai_faults.script(Rule(operation="chat", kill="before"))
    execution = stack.run({"reference_images": [key], **SMALL})

    assert execution["error"] == "InputError"
    (chat,) = [item for item in stack.records(execution["name"]) if item["sk"] == "chat"]
    assert (chat["possibly_paid"], chat["lease_until"]) == (1, 0)
    nothing_claimed(stack, execution)


@pytest.fixture
def uploader(stack: FaultyStack) -> Iterator[str]:
    """Create a role that uploads images like the stack's own, but that a test may assume."""
    iam, name = stack.client("iam"), f"uploader-{uuid4().hex}"
    inbox = f"arn:aws:s3:::{stack.bucket}/{naming.REFERENCE_INBOX}*"
    trust = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    put = {"Action": "s3:PutObject", "Resource": inbox}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="put", PolicyDocument=policy(put))
    yield role["Arn"]
    iam.delete_role_policy(RoleName=name, PolicyName="put")
    iam.delete_role(RoleName=name)


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | statement]})


def test_142_link_expires(
    stack: FaultyStack, uploader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stack.outputs["endpoint"])
    signing = SigningConfig(
        role=uploader, session="uploads", bucket=stack.bucket, region=stack.outputs["region"]
    )
    # A second is the least that a link may have.
    signer = Signer(stack.client("sts"), signing, seconds=1)
    link = UploadLinks(signer).of_image(uuid4().hex, "image/png", size=len(png()))

    stack.until(lambda: time.time() > link.expires_at.timestamp() + 1)
    answer = fetch(link.url, method="PUT", data=png(), headers=link.headers)

    assert answer.status == 403
    assert b"expired" in answer.body
    assert stack.keys(link.key) == []


def test_144_event_that_arrives_twice_changes_nothing(stack: FaultyStack) -> None:
    upload_id = uuid4().hex
    inputs.put(stack, upload_id, png())
    inputs.send_event(stack, upload_id)
    first = inputs.wait(stack, upload_id)
    stack.run({"prompt": "A teapot", "reference_images": [first.key], **SMALL})

    done = len(stack.calls("References"))
    inputs.send_event(stack, upload_id)
    stack.until(lambda: len(stack.calls("References")) >= done + 9)

    assert inputs.find(stack, upload_id) == replace(first, is_used=True)
    assert [version["IsLatest"] for version in stack.versions(first.key or "")] == [True]


def lines(stack: FaultyStack, name: str, *keys: str) -> list[dict[str, Any]]:
    """Return a batch's lines: one from each of these inputs, and one from FIRST."""
    line = {"folder_name": name, **SMALL}
    return [
        line | {"prompt": f"Teapot {n} of {name}", "reference_images": [key]}
        for n, key in enumerate((*keys, FIRST))
    ]


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        pytest.param(Rule(operation="batch", kill="before"), 0, id="145 killed before the batch"),
        pytest.param(Rule(operation="file", kill="after"), 1, id="145 killed after an upload"),
        pytest.param(Rule(operation="file", lose_answer=True), 1, id="146 a lost answer"),
    ],
)
def test_order_is_placed_once_with_its_inputs(stack: FaultyStack, fault: Rule, left: int) -> None:
    run_out_after_kills(stack)
    name = f"order-{uuid4().hex[:8]}"
    stack.openai_faults.script(fault)

    execution = stack.run_batch(name, lines(stack, name, SECOND), economy=True)

    report = execution["report"]
    assert (report["stored"], report["possibly_paid"]) == (2, 0)
    charges = stack.charges()
    assert (charges["batches"], charges["batch_images"]) == (1, 2)
    # OpenAI deletes a file later whose id never arrived.
    assert len(stack.files_at_openai()) == left


def test_147_collecting_outlives_a_failed_deletion(stack: FaultyStack) -> None:
    name = f"order-{uuid4().hex[:8]}"
    stack.script({"path": "/v1/files/delete", "status": 500})

    execution = stack.run_batch(name, lines(stack, name, SECOND), economy=True)

    assert execution["report"]["stored"] == 2
    assert len(stack.files_at_openai()) == 1


def test_148_purged_input_leaves_the_other_lines(stack: FaultyStack) -> None:
    key, name, go = own_upload(stack), f"order-{uuid4().hex[:8]}", threading.Event()

    def purge() -> None:
        stack.until(lambda: any(call.fault == "hold" for call in stack.calls("Economy")))
        inputs.purge(stack, key)
        go.set()

    stack.aws_faults.script(Rule(operation="GetObject", step="Economy", contains=key, hold=go))
    with ThreadPoolExecutor(1) as pool:
        purging = pool.submit(purge)
        execution = stack.run_batch(
            name, lines(stack, name, key), economy=True, tolerated_failure_percentage=100
        )
        purging.result()

    report = execution["report"]
    assert (report["stored"], report["reasons"]) == (1, {"ReferenceGoneError": 1})
    assert key in report["failures"][0]["message"]
    assert stack.charges()["batch_images"] == 1
    assert stack.files_at_openai() == []
    assert stack.budget()["committed"] == stack.budget()["spent"]
