"""The stack with faults.

Its calls go through the proxies, and a function that is killed during a call is started again.
"""

import time

from tests.faults.faulty_stack import Storm
from tests.faults.proxy import Call
from tests.faults.rule import Rule

SMALL = {"size": "256x256", "quality": "low"}


def failures(storm: Storm, arn: str) -> list[str]:
    return [
        event["taskFailedEventDetails"]["error"]
        for event in storm.history(arn)
        if event["type"] == "TaskFailed"
    ]


def test_image_function_calls_are_listed_in_order(stormy: Storm) -> None:
    ended = stormy.run(SMALL)
    assert ended["status"] == "SUCCEEDED"

    run, staging = f"run#{ended['name']}", f"staging/{ended['name']}/1/1"
    calls = stormy.calls("Image")
    seen = [(call.operation, call.target) for call in calls]
    claim, settled = [
        place for place, (operation, _) in enumerate(seen) if operation == "TransactWriteItems"
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
    assert all(call.function for call in stormy.calls())


def test_killed_function_is_restarted(stormy: Storm) -> None:
    stormy.aws_faults.script(Rule(operation="CopyObject", step="Upload", kill="before"))
    arn = stormy.start(SMALL)
    ended = stormy.ended(arn)
    assert (ended["status"], ended["report"]["stored"]) == ("SUCCEEDED", 1)
    assert failures(stormy, arn) == ["Runtime.ExitError"]

    copies = [call for call in stormy.calls("Upload") if call.operation == "CopyObject"]
    assert [call.fault for call in copies] == ["kill", None]
    assert copies[0].pid != copies[1].pid
    assert stormy.charged()["images"] == 1
    assert [
        version["deleted"] for version in stormy.versions(ended["report"]["pictures"][0]["key"])
    ] == [False, False]
    assert stormy.staged(ended["name"]) == []


def test_killed_purchase_lease_expires_on_request(stormy: Storm) -> None:
    live: list[int] = []

    def run_out(call: Call) -> None:
        live.extend(
            stormy.let_leases_run_out("killed-purchase", sk=sk) for sk in ("image#2", "image#1")
        )

    stormy.openai_faults.on_kill = run_out
    stormy.openai_faults.script(Rule(operation="image", kill="after"))
    ended = stormy.run(SMALL, name="killed-purchase")
    assert (ended["status"], ended["report"]["possibly_paid"]) == ("SUCCEEDED", 1)
    assert live == [0, 1]
    assert stormy.charged()["images"] == 2

    image = next(item for item in stormy.records("killed-purchase") if item["sk"] == "image#1")
    assert (image["status"], image["purchase"]) == ("stored", 2)


def test_only_claims_expire(stormy: Storm) -> None:
    ended = stormy.run(SMALL)
    before = stormy.records(ended["name"])

    # A finished purchase leaves its lease like this.
    assert any(item.get("lease_until", 0) > time.time() for item in before)
    assert stormy.let_leases_run_out(ended["name"]) == 0
    assert stormy.records(ended["name"]) == before


def test_monthly_budget_is_fully_settled(stormy: Storm) -> None:
    before = stormy.budget().get("spent", 0)
    cost = stormy.run(SMALL)["report"]["cost_usd"]
    after = stormy.budget()

    assert after["committed"] - after["spent"] == 0
    assert after["spent"] - before == round(cost * 1_000_000)


def test_stack_itself_bypasses_the_proxies(stormy: Storm) -> None:
    stormy.keys("")
    stormy.charged()
    assert stormy.calls() == []
