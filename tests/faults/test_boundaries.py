"""Every function is killed before and after each of its external calls.

The run succeeds in the end, and every payment is accounted for.
"""

from typing import Any, Literal

import pytest

from easel.contract import naming
from tests.faults.faulty_stack import FaultyStack
from tests.faults.invariants import Tally, check_run, check_whole
from tests.faults.lease_clock import run_out_after_kills
from tests.faults.proxy import Call
from tests.faults.rule import Rule

# The calls of each function for one image, in order, in a warm process. A test below verifies them.
CALLS = {
    "Prompt": [
        "GetItem chat",
        "GetItem prompt",
        "PutObject folder",
        "GetItem budget",
        "GetItem budget",
        "TransactWriteItems claim",
        "chat",
        "TransactWriteItems keep",
    ],
    "Image": [
        "GetItem prompt",
        "GetItem image",
        "PutObject note",
        "UpdateItem turn",
        "GetItem budget",
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
        "PutObject sidecar",
        "TransactWriteItems finish",
    ],
    "Cleanup": ["Query run", "ListObjectsV2 staging", "DeleteObjects staging"],
}
# Between the claim and the saved result, a death may have cost money. It is counted, and the call
# is repeated once.
UNKNOWN = {
    ("TransactWriteItems claim", "after"),
    ("chat", "before"),
    ("chat", "after"),
    ("TransactWriteItems keep", "before"),
    ("image", "before"),
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


def request(run_id: str) -> dict[str, Any]:
    return {
        "request_id": run_id,
        "folder_name": FOLDER,
        "description": f"A lighthouse, {run_id}",
        "size": "1024x640",
        "quality": "low",
    }


def operations(calls: list[Call]) -> list[str]:
    return [call.operation for call in calls]


@pytest.fixture(scope="module")
def warm(running_faulty_stack: FaultyStack) -> FaultyStack:
    running_faulty_stack.forget()
    running_faulty_stack.run(request("warm"))
    return running_faulty_stack


def test_calls_match_the_list(warm: FaultyStack) -> None:
    warm.forget()
    warm.run(request("clean"))
    for step, calls in CALLS.items():
        assert [call for call in operations(warm.calls(step)) if call != "GetSecretValue"] == [
            call.split()[0] for call in calls
        ], step


@pytest.mark.parametrize(("step", "place", "when"), BOUNDARIES)
def test_killed_function_recovers_at_any_call(
    warm: FaultyStack, step: str, place: int, when: Literal["before", "after"]
) -> None:
    call = CALLS[step][place]
    operation, run_id = call.split()[0], f"{step}-{place}-{when}"
    warm.forget()
    run_out_after_kills(warm)
    proxy = warm.openai_faults if operation in ("chat", "image") else warm.aws_faults
    earlier = sum(other.split()[0] == operation for other in CALLS[step][:place])
    proxy.script(Rule(operation=operation, step=step, skip=earlier, kill=when))
    execution = warm.run(request(run_id))
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
