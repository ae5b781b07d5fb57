"""The stack with faults.

Its calls go through the proxies, and a function that is killed during a call is started again.
"""

import time

from tests.faults.faulty_stack import FaultyStack
from tests.faults.proxy import Call
from tests.faults.rule import Rule

SMALL = {"size": "1024x640", "quality": "low"}


def failures(stack: FaultyStack, arn: str) -> list[str]:
    return [
        event["taskFailedEventDetails"]["error"]
        for event in stack.history(arn)
        if event["type"] == "TaskFailed"
    ]


def test_image_function_calls_are_listed_in_order(faulty_stack: FaultyStack) -> None:
    execution = faulty_stack.run(SMALL)
    assert execution["status"] == "SUCCEEDED"

    run, staging = f"run#{execution['name']}", f"staging/{execution['name']}/1/1"
    calls = faulty_stack.calls("Image")
    seen = [(call.operation, call.target) for call in calls]
    # The first image of a new table also writes the item of the rate limit.
    claim, settled = [
        place
        for place, (operation, target) in enumerate(seen)
        if operation == "TransactWriteItems" and f"{run} image#1" in target
    ]
    order = [
        seen.index(("GetItem", f"{run} prompt")),
        seen.index(("GetItem", f"{run} image#1")),
        seen.index(("PutObject", f"{staging}.json")),
        claim,
        seen.index(("image", "/v1/images/generations")),
        seen.index(("PutObject", f"{staging}.bytes")),
        settled,
    ]
    assert order == sorted(order)
    assert {call.pid for call in calls} == {calls[0].pid}
    assert {call.fault for call in calls} == {None}
    assert all(call.function for call in faulty_stack.calls())


def test_killed_function_is_restarted(faulty_stack: FaultyStack) -> None:
    faulty_stack.aws_faults.script(Rule(operation="CopyObject", step="Upload", kill="before"))
    arn = faulty_stack.start(SMALL)
    execution = faulty_stack.wait_for_end(arn)
    assert (execution["status"], execution["report"]["stored"]) == ("SUCCEEDED", 1)
    assert failures(faulty_stack, arn) == ["Runtime.ExitError"]

    copies = [call for call in faulty_stack.calls("Upload") if call.operation == "CopyObject"]
    assert [call.fault for call in copies] == ["kill", None]
    assert copies[0].pid != copies[1].pid
    assert faulty_stack.charges()["images"] == 1
    assert [
        version["deleted"]
        for version in faulty_stack.versions(execution["report"]["pictures"][0]["key"])
    ] == [False, False]
    assert faulty_stack.staged(execution["name"]) == []


def test_killed_purchase_lease_expires_on_request(faulty_stack: FaultyStack) -> None:
    live: list[int] = []

    def run_out(call: Call) -> None:
        live.extend(
            faulty_stack.let_leases_run_out("killed-purchase", sk=sk)
            for sk in ("image#2", "image#1")
        )

    faulty_stack.openai_faults.on_kill = run_out
    faulty_stack.openai_faults.script(Rule(operation="image", kill="after"))
    execution = faulty_stack.run(SMALL, name="killed-purchase")
    assert (execution["status"], execution["report"]["possibly_paid"]) == ("SUCCEEDED", 1)
    assert live == [0, 1]
    assert faulty_stack.charges()["images"] == 2

    image = next(
        item for item in faulty_stack.records("killed-purchase") if item["sk"] == "image#1"
    )
    assert (image["status"], image["purchase"]) == ("stored", 2)


def test_only_claims_expire(faulty_stack: FaultyStack) -> None:
    execution = faulty_stack.run(SMALL)
    before = faulty_stack.records(execution["name"])

    # A finished purchase leaves its lease like this.
    assert any(item.get("lease_until", 0) > time.time() for item in before)
    assert faulty_stack.let_leases_run_out(execution["name"]) == 0
    assert faulty_stack.records(execution["name"]) == before


def test_monthly_budget_is_fully_settled(faulty_stack: FaultyStack) -> None:
    before = faulty_stack.budget().get("spent", 0)
    cost = faulty_stack.run(SMALL)["report"]["cost_usd"]
    after = faulty_stack.budget()

    assert after["committed"] - after["spent"] == 0
    assert after["spent"] - before == round(cost * 1_000_000)


def test_stack_itself_bypasses_the_proxies(faulty_stack: FaultyStack) -> None:
    faulty_stack.keys("")
    faulty_stack.charges()
    assert faulty_stack.calls() == []
