"""Every function is killed before and after each of its calls to the outside.

The run ends well, and every payment is accounted for.
"""

from typing import Any, Literal

import pytest

from tests.faults.faulty_stack import Storm
from tests.faults.invariants import Tally, check_run, check_whole
from tests.faults.lease_clock import run_out_after_kills
from tests.faults.proxy import Call
from tests.faults.rule import Rule

# What each function calls for one picture, in order, as a warm process; the test below keeps it
# true.
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
        "CopyObject picture",
        "PutObject thumbnail",
        "PutObject sidecar",
        "TransactWriteItems finish",
    ],
    "Cleanup": ["Query run", "ListObjectsV2 staging", "DeleteObjects staging"],
}
# From the claim on until its result is safe, a death may have cost money: it is counted, and the
# call is made once more.
UNKNOWN = {
    ("TransactWriteItems claim", "after"),
    ("chat", "before"),
    ("chat", "after"),
    ("TransactWriteItems keep", "before"),
    ("image", "before"),
    ("image", "after"),
    ("PutObject bytes", "before"),
}
# Of these OpenAI has seen the call, and so was paid for the first of two.
PAID_TWICE = {
    ("chat", "after"),
    ("TransactWriteItems keep", "before"),
    ("image", "after"),
    ("PutObject bytes", "before"),
}
FOLDER = "boundaries"
PAID: list[int] = []  # the pictures that OpenAI charged, by run
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
        "size": "256x256",
        "quality": "low",
    }


def operations(calls: list[Call]) -> list[str]:
    return [call.operation for call in calls]


@pytest.fixture(scope="module")
def warm(running_storm: Storm) -> Storm:
    running_storm.forget()
    running_storm.run(request("warm"))
    return running_storm


def test_the_calls_are_those_that_are_broken_below(warm: Storm) -> None:
    warm.forget()
    warm.run(request("clean"))
    for step, calls in CALLS.items():
        assert [call for call in operations(warm.calls(step)) if call != "GetSecretValue"] == [
            call.split()[0] for call in calls
        ], step


@pytest.mark.parametrize(("step", "place", "when"), BOUNDARIES)
def test_a_death_at_any_call_is_outlived(
    warm: Storm, step: str, place: int, when: Literal["before", "after"]
) -> None:
    call = CALLS[step][place]
    operation, run_id = call.split()[0], f"{step}-{place}-{when}"
    warm.forget()
    run_out_after_kills(warm)
    proxy = warm.openai_faults if operation in ("chat", "image") else warm.aws_faults
    earlier = sum(other.split()[0] == operation for other in CALLS[step][:place])
    proxy.script(Rule(operation=operation, step=step, skip=earlier, kill=when))
    ended = warm.run(request(run_id))
    assert proxy.waiting() == []
    assert (ended["status"], ended["report"]["stored"]) == ("SUCCEEDED", 1)
    assert ended["report"]["possibly_paid"] == ((call, when) in UNKNOWN)
    charged = warm.charged()
    PAID.append(charged["images"])
    twice = (call, when) in PAID_TWICE
    assert (charged["chat"], charged["images"]) == (
        1 + (twice and step == "Prompt"),
        1 + (twice and step == "Image"),
    )
    tally = Tally()
    check_run(
        warm, tally, run_id, folder=FOLDER, count=1, paid_by_prompt=charged["images_by_prompt"]
    )
    assert not tally.broken


def test_after_all_of_it_nothing_was_written_over_and_no_money_is_open(warm: Storm) -> None:
    found = warm.dynamodb.query(
        TableName=warm.table,
        IndexName="by_folder",
        KeyConditionExpression="shelf_folder = :folder",
        ExpressionAttributeValues={":folder": {"S": f"stored#{FOLDER}"}},
    )["Items"]
    # Of what was paid beside the pictures of this module, each is counted in a record.
    extra = len([boundary for boundary in PAID_TWICE if boundary[0] in CALLS["Image"]])
    tally = Tally(stored=len(found), paid=len(PAID) + extra)
    check_whole(warm, tally, folders=[FOLDER], prefix=FOLDER, paid=sum(PAID))
    assert not tally.broken
