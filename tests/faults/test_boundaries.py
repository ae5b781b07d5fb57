"""Every function is killed before and after each of its external calls.

The run succeeds in the end, and every payment is accounted for.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal
from uuid import uuid4

import pytest

from easel.contract import naming
from easel.ledger.uploads import UploadStatus
from local.ministack.awslambda.workers import AT_MOST
from tests.faults import inputs
from tests.faults.faulty_stack import FaultyStack
from tests.faults.invariants import Tally, check_run, check_whole
from tests.faults.lease_clock import run_out_after_kills
from tests.faults.proxy import Call
from tests.faults.rule import Rule
from tests.support.images import png

When = Literal["before", "during", "after"]

# The calls of each function for one image, in order, in a warm process. A test below verifies them.
READ_BUDGETS = ["BatchGetItem head", "BatchGetItem shards", "BatchGetItem limits"]
CALLS = {
    "Prompt": [
        "GetItem chat",
        "GetItem prompt",
        "PutObject folder",
        *READ_BUDGETS,
        "TransactWriteItems claim",
        "chat",
        "TransactWriteItems keep",
    ],
    "Image": [
        "GetItem prompt",
        "GetItem image",
        "PutObject note",
        "UpdateItem turn",
        "TransactWriteItems claim",
        "image",
        "PutObject bytes",
        "UpdateItem leave",
        "TransactWriteItems stage",
    ],
    "Upload": [
        "GetItem prompt",
        "GetItem image",
        "GetObject staged",
        "TransactWriteItems name",
        "CopyObject picture",
        "PutObject thumbnail",
        "PutObject preview",
        "PutObject sidecar",
        "TransactWriteItems finish",
    ],
    "Cleanup": ["Query run", "ListObjectsV2 staging", "DeleteObjects staging"],
}
# The calls of each function for an image that is made from an upload with a mask, and for the check
# of an upload.
CALLS_WITH_INPUTS = {
    "Prompt": [
        *CALLS["Prompt"][:2],
        "GetItem image",
        "HeadObject image",
        "GetItem mask",
        "HeadObject mask",
        "PutObject folder",
        *READ_BUDGETS,
        "TransactWriteItems image",
        "PutObjectTagging image",
        "PutObjectTagging thumbnail",
        "UpdateItem image",
        "TransactWriteItems mask",
        "PutObjectTagging mask",
        "PutObjectTagging its thumbnail",
        "UpdateItem mask",
        "GetObject thumbnail",
        *CALLS["Prompt"][3 + len(READ_BUDGETS) :],
    ],
    "Image": [*CALLS["Image"][:2], "GetObject image", "GetObject mask", *CALLS["Image"][2:]],
    "References": [
        "HeadObject inbox",
        "TransactWriteItems add",
        "GetItem upload",
        "GetObject inbox",
        "UpdateItem key",
        "PutObject thumbnail",
        "PutObject image",
        "HeadObject image",
        "UpdateItem ready",
    ],
}
# The calls of each function for an image with two exact sizes.
CALLS_WITH_SIZES = CALLS | {
    "Upload": [*CALLS["Upload"][:7], "PutObject first", "PutObject second", *CALLS["Upload"][7:]]
}
# Between the claim and the saved result, a death may have cost money. It is counted, and the call
# is repeated once.
UNKNOWN = {
    ("TransactWriteItems claim", "after"),
    ("chat", "before"),
    ("chat", "after"),
    ("TransactWriteItems keep", "before"),
    ("image", "before"),
    ("image", "during"),
    ("image", "after"),
    ("PutObject bytes", "before"),
}
# In these cases OpenAI has received the call, so the first of two calls was paid.
PAID_TWICE = {
    ("chat", "after"),
    ("TransactWriteItems keep", "before"),
    ("image", "after"),
    ("PutObject bytes", "before"),
}
FOLDER = "boundaries"
# For each run of this process, the images that OpenAI charged, and those that records should count.
# Under xdist, the other runs are in other processes.
PAID: list[tuple[int, int]] = []
BOUNDARIES = [
    pytest.param(step, place, when, id=f"66 67 68 {step} is killed {when} {call}")
    for step, calls in CALLS.items()
    for place, call in enumerate(calls)
    for when in ("before", "after")
]
# After a call is also before the next one. The other calls are the same as in a run without inputs.
BOUNDARIES_WITH_INPUTS: list[tuple[str, str, str, When]] = [
    ("", "Prompt", "HeadObject mask", "after"),
    ("140", "Prompt", "TransactWriteItems image", "after"),
    ("140", "Prompt", "PutObjectTagging image", "after"),
    ("140", "Prompt", "UpdateItem image", "after"),
    ("", "Prompt", "TransactWriteItems keep", "before"),
    ("134", "Image", "GetObject image", "before"),
    ("134", "Image", "GetObject image", "after"),
    ("134", "Image", "GetObject mask", "after"),
    ("136", "Image", "TransactWriteItems claim", "after"),
    ("135", "Image", "image", "during"),
    ("135", "Image", "image", "after"),
]
WRITES_OF_CHECK = [
    call
    for call in CALLS_WITH_INPUTS["References"]
    if call.startswith(("Transact", "Update", "Put"))
]


def request(run_id: str) -> dict[str, Any]:
    return {
        "request_id": run_id,
        "folder_name": FOLDER,
        "description": f"A lighthouse, {run_id}",
        "size": "1024x640",
        "quality": "low",
    }


def with_sizes(run_id: str) -> dict[str, Any]:
    return request(run_id) | {"output_sizes": ["open-graph", "64x64"], "folder_name": "sized"}


def operations(calls: list[Call]) -> list[str]:
    return [call.operation for call in calls]


def with_inputs(run_id: str) -> dict[str, Any]:
    return request(run_id) | {"reference_images": [inputs.FIRST], "mask": inputs.MASK}


@pytest.fixture(scope="module")
def warm(running_faulty_stack: FaultyStack) -> FaultyStack:
    running_faulty_stack.forget()
    running_faulty_stack.run(request("warm"))
    return running_faulty_stack


@pytest.fixture
def warm_with_inputs(warm: FaultyStack) -> FaultyStack:
    inputs.prepare(warm)
    return warm


def read_calls(stack: FaultyStack, steps: Iterable[str]) -> dict[str, list[str]]:
    return {
        step: [call for call in operations(stack.calls(step)) if call != "GetSecretValue"]
        for step in steps
    }


def listed_names(calls: dict[str, list[str]]) -> dict[str, list[str]]:
    return {step: [call.split()[0] for call in listed] for step, listed in calls.items()}


def test_calls_match_the_list(warm: FaultyStack) -> None:
    # After other tests, a function has several processes. Each reads a folder's limit once.
    for number in range(AT_MOST):
        warm.forget()
        warm.run(request(f"clean-{number}"))
        if read_calls(warm, CALLS) == listed_names(CALLS):
            break

    assert read_calls(warm, CALLS) == listed_names(CALLS)


def test_calls_with_inputs_match_the_list(warm_with_inputs: FaultyStack) -> None:
    for number in range(AT_MOST):
        warm_with_inputs.forget()
        inputs.upload(warm_with_inputs, uuid4().hex, png())
        warm_with_inputs.run(with_inputs(f"clean-inputs-{number}"))
        if read_calls(warm_with_inputs, CALLS_WITH_INPUTS) == listed_names(CALLS_WITH_INPUTS):
            break

    assert read_calls(warm_with_inputs, CALLS_WITH_INPUTS) == listed_names(CALLS_WITH_INPUTS)


@pytest.mark.parametrize(("step", "place", "when"), BOUNDARIES)
def test_killed_function_recovers_at_any_call(
    warm: FaultyStack, step: str, place: int, when: When
) -> None:
    check_recovery(warm, request(f"{step}-{place}-{when}"), CALLS, (step, place), when)


@pytest.mark.parametrize(
    ("step", "call", "when"),
    [
        pytest.param(*rest, id=f"{row} {rest[0]} with inputs is killed {rest[2]} {rest[1]}".strip())
        for row, *rest in BOUNDARIES_WITH_INPUTS
    ],
)
def test_killed_function_recovers_with_inputs(
    warm_with_inputs: FaultyStack, step: str, call: str, when: When
) -> None:
    place = CALLS_WITH_INPUTS[step].index(call)
    run = with_inputs(f"inputs-{step}-{place}-{when}")

    check_recovery(warm_with_inputs, run, CALLS_WITH_INPUTS, (step, place), when)

    edits = warm_with_inputs.charges()["edits"]
    assert {(*edit["images"], edit["mask"]) for edit in edits} == {
        tuple(inputs.sha256_of(warm_with_inputs, key) for key in (inputs.FIRST, inputs.MASK))
    }


@pytest.mark.parametrize(
    ("call", "when"),
    [
        pytest.param(call, when, id=f"68 Upload with sizes is killed {when} {call}")
        for call, when in (("PutObject first", "after"), ("PutObject second", "after"))
    ],
)
def test_killed_upload_keeps_each_size_once(warm: FaultyStack, call: str, when: When) -> None:
    run_id, calls = f"sizes-{call.split()[1]}-{when}", CALLS_WITH_SIZES["Upload"]
    warm.forget()
    warm.aws_faults.script(rule_at("Upload", calls, calls.index(call), when))

    execution = warm.run(with_sizes(run_id))

    assert (execution["status"], execution["report"]["stored"]) == ("SUCCEEDED", 1)
    key = execution["report"]["pictures"][0]["key"]
    sizes = [f"{key}.1200x630.jpg", f"{key}.64x64.jpg"]
    assert [len(warm.versions(size)) for size in sizes] == [1, 1]
    assert warm.aws_faults.waiting() == []


@pytest.mark.parametrize(
    "call", [pytest.param(call, id=f"143 after {call}") for call in WRITES_OF_CHECK]
)
def test_killed_check_of_an_upload_recovers(warm_with_inputs: FaultyStack, call: str) -> None:
    stack, upload_id = warm_with_inputs, uuid4().hex
    calls = CALLS_WITH_INPUTS["References"]
    stack.forget()
    stack.aws_faults.script(rule_at("References", calls, calls.index(call), "after"))
    inputs.put(stack, upload_id, png())
    stack.until(lambda: stack.aws_faults.waiting() == [])

    # On AWS, Lambda repeats the event of a function that died.
    inputs.send_event(stack, upload_id)

    upload = inputs.wait(stack, upload_id)
    assert (upload.status, upload.sha256) == (UploadStatus.READY, hashlib.sha256(png()).hexdigest())
    assert [version["VersionId"] for version in stack.versions(upload.key or "")] == [
        upload.version_id
    ]


def rule_at(step: str, calls: list[str], place: int, when: When) -> Rule:
    """Return the rule that kills a step at one of its calls."""
    names = [call.partition(" ")[0] for call in calls]
    earlier = names[:place].count(names[place])
    return Rule(operation=names[place], step=step, skip=earlier, kill=when)


def check_recovery(
    warm: FaultyStack,
    run: dict[str, Any],
    calls: dict[str, list[str]],
    boundary: tuple[str, int],
    when: When,
) -> None:
    """Kill a step at one of its calls, and check that the run still ends with one image."""
    step, place = boundary
    call = calls[step][place]
    rule, run_id = rule_at(step, calls[step], place, when), run["request_id"]
    warm.forget()
    run_out_after_kills(warm)
    proxy = warm.openai_faults if rule.operation in ("chat", "image") else warm.aws_faults
    proxy.script(rule)
    execution = warm.run(run)
    assert proxy.waiting() == []
    assert (execution["status"], execution["report"]["stored"]) == ("SUCCEEDED", 1)
    assert execution["report"]["possibly_paid"] == ((call, when) in UNKNOWN)

    charges = warm.charges()
    twice = (call, when) in PAID_TWICE
    PAID.append((charges["images"], 1 + (twice and step == "Image")))
    assert (charges["chat"], charges["images"]) == (
        1 + (twice and step == "Prompt"),
        1 + (twice and step == "Image"),
    )

    tally = Tally()
    check_run(
        warm, tally, run_id, folder=FOLDER, count=1, paid_by_prompt=charges["images_by_prompt"]
    )
    assert not tally.broken


def test_nothing_is_overwritten_or_left_reserved(warm: FaultyStack) -> None:
    stored = [key for key in warm.keys(f"{FOLDER}/") if key.endswith(naming.PICTURES)]
    warm.wait_until_listed(FOLDER, stored)
    charged = sum(images for images, _ in PAID)
    counted = sum(images for _, images in PAID)
    tally = Tally(stored=len(stored), paid=counted)
    check_whole(warm, tally, folders=[FOLDER], prefix=FOLDER, paid=charged)

    assert not tally.broken
