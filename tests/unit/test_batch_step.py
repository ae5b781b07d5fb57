"""Batches: each is checked before anything is paid, and priced for what is missing.

The report of a batch is made from the records of its lines.
"""

import json
from dataclasses import replace
from typing import Any

import pytest

from easel.contract.errors import BatchFailedError, BudgetExceededError, InputError
from easel.contract.status import Status
from easel.ledger.budget import month_of
from easel.request import models
from functions.batch.manifest import COLUMNS
from infra import ROOT
from tests.support.memory_aws import keys_in
from tests.support.services import BUCKET, CAP, NOW, FakeServices
from tests.support.steps import BatchStep

MANIFEST = "batches/spring.jsonl"
BATCH = {"trigger": "batch"}
PAINTED = {"prompt": "A kite", "quality": "low"}


@pytest.fixture
def step(services: FakeServices, s3: Any) -> BatchStep:
    return BatchStep(services, s3)


def test_line_run_id_is_batch_and_number(step: BatchStep) -> None:
    step.put_bytes(b'{"topic": "Sport"}\n\n{"description": "A kite", "count": 3}\n')
    batch = step.check()
    assert (batch.batch, batch.lines, batch.pictures, batch.todo, batch.bad) == (
        "spring",
        2,
        4,
        2,
        0,
    )
    assert step.read(batch.todo_key) == [
        {"line": 1, "run_id": "spring-1", "pictures": 1, "request": {"topic": "Sport"} | BATCH},
        {
            "line": 3,
            "run_id": "spring-3",
            "pictures": 3,
            "request": {"description": "A kite", "count": 3} | BATCH,
        },
    ]


def test_lines_name_the_starter_and_no_other_person(step: BatchStep) -> None:
    step.put(
        *[{"topic": f"Topic {n}"} for n in range(18)], {"person": "0a0a0a0a"}, {"trigger": "page"}
    )

    batch = step.check(person="1f0c9a2e")

    assert {item["request"]["person"] for item in step.read(batch.todo_key)} == {"1f0c9a2e"}
    assert [(problem.line, problem.field) for problem in batch.problems] == [
        (19, "person"),
        (20, "trigger"),
    ]


def test_batch_fits_into_the_budget_of_its_starter(step: BatchStep) -> None:
    step.put(*[PAINTED | {"count": n} for n in range(1, 4)])
    whole = step.check(dry_run=True, person="1f0c9a2e").estimate_usd
    assert whole
    limit = round(whole * 1_000_000 / 2)
    step.services.limits.set(month_of(NOW), "person#1f0c9a2e", limit)

    with pytest.raises(BudgetExceededError, match="person 1f0c9a2e has"):
        step.check(person="1f0c9a2e")
    assert step.check(person="0a0a0a0a", dry_run=True).fits
    partial = step.check(person="1f0c9a2e", allow_partial=True)
    assert (partial.todo, partial.postponed) == (2, 1)
    assert partial.budget_left_usd == limit / 1_000_000


def test_manifest_version_is_pinned(step: BatchStep) -> None:
    step.put({"topic": "Sport"})
    first = step.s3.head_object(Bucket=BUCKET, Key=MANIFEST)["VersionId"]
    step.put({"topic": "Sport"}, {"topic": "Science"})

    assert step.check(version_id=first).lines == 1
    assert step.check().lines == 2
    assert step.check(version_id=first).version_id == first


def test_estimate_sums_the_lines(step: BatchStep) -> None:
    step.put(PAINTED, PAINTED | {"count": 2, "style": None, "quality": "high"})
    first, second = (
        models.estimate_image(
            "gpt-image-2.6-flare", prompt="A kite", size="1024x1024", quality=quality
        )
        for quality in ("low", "high")
    )

    assert first
    assert second
    assert step.check().estimate_usd == pytest.approx((first + 2 * second) / 1_000_000)


BAD = (
    {"count": 11},
    {"colour": "red"},
    {"action": "delete_folder", "folder_name": "x", "confirm": True},
    {"dry_run": True},
    PAINTED,
)


def test_dry_run_lists_bad_lines_and_estimate(step: BatchStep) -> None:
    step.put(PAINTED, *BAD)
    batch = step.check(dry_run=True)

    assert (batch.dry_run, batch.lines, batch.bad, batch.fits) == (True, 1, 5, True)
    assert [(problem.line, problem.field, problem.error) for problem in batch.problems] == [
        (2, "count", "InputError"),
        (3, "colour", "InputError"),
        (4, "action", "InputError"),
        (5, "dry_run", "InputError"),
        (6, "the line", "InputError"),
    ]
    assert batch.problems[0].message == "count is 11; allowed: a whole number from 1 to 10"
    assert "the same as line 1" in batch.problems[4].message
    assert batch.problems_key
    assert [line["line"] for line in step.read(batch.problems_key)] == [2, 3, 4, 5, 6]


def test_too_many_bad_lines_refuse_the_batch(step: BatchStep) -> None:
    step.put(PAINTED, *BAD)

    with pytest.raises(
        InputError, match=r"5 of 6 lines are wrong.*line 2: count is 11.*line 6"
    ) as exc_info:
        step.check()
    assert "batches/spring/problems.jsonl" in str(exc_info.value)
    with pytest.raises(InputError):
        step.check(tolerated_failure_percentage=83)
    assert step.check(tolerated_failure_percentage=84).todo == 1


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"manifest": "catalogue.jsonl"}, "manifest is"),
        ({"manifest": "batches/../x.jsonl"}, "manifest is"),
        ({"manifest": "batches/missing.jsonl"}, "a file in the bucket"),
        ({"manifest": f"batches/{'x' * 61}.jsonl"}, "1 to 60"),
        ({"manifest": "batches/inbox.jsonl"}, "not inbox"),
        ({"manifets": 1}, "did you mean manifest"),
        ({"max_parallel_images": 6}, "from 1 to 5"),
        ({"tolerated_failure_percentage": 101}, "from 0 to 100"),
        ({"dry_run": "yes"}, "true or false"),
        ({"version_id": 7}, "version_id"),
        ({"version_id": "00000000-0000-0000-0000-000000000000"}, "version that exists"),
    ],
)
def test_invalid_start_is_named(step: BatchStep, fields: dict[str, Any], why: str) -> None:
    step.put(PAINTED)
    with pytest.raises(InputError, match=why):
        step.check(**fields)


def test_empty_and_oversized_manifests_are_refused(step: BatchStep) -> None:
    step.put_bytes(b"\n\n")
    with pytest.raises(InputError, match="has no line"):
        step.check()
    step.services.configure(max_batch_lines=2)
    step.put({"topic": "a"}, {"topic": "b"}, {"topic": "c"})
    with pytest.raises(InputError, match=r"more lines.*at most 2 lines \(max_batch_lines\)"):
        step.check()

    step.put({"topic": "a"}, {"topic": "b"})
    assert step.check().lines == 2


def test_batch_over_budget_is_refused_unless_partial(step: BatchStep) -> None:
    lines = [PAINTED | {"file_name": f"a{n}"} for n in range(200)]
    step.put(*lines)
    with pytest.raises(BudgetExceededError, match=r"batch spring.*allow_partial"):
        step.check()

    plan = step.check(dry_run=True)
    assert (plan.fits, plan.todo) == (False, 200)
    part = step.check(allow_partial=True)
    estimate = plan.estimate_usd
    assert estimate
    assert part.todo == int(200 * CAP / 1_000_000 / estimate)
    assert part.todo + part.postponed == 200


def test_restart_prices_only_what_is_missing(step: BatchStep) -> None:
    step.put(*(PAINTED | {"file_name": f"a{n}"} for n in range(6)))
    first = step.check()
    estimate = first.estimate_usd
    assert estimate
    for line, status in (
        (1, Status.STORED),
        (2, Status.REFUSED),
        (3, Status.DELETED),
        (4, Status.STAGED),
        (5, Status.CLAIMED),
    ):
        step.make(f"spring-{line}", status=status)

    second = step.check(execution="second")

    assert [item["line"] for item in step.read(second.todo_key)] == [4, 5, 6]
    # A staged image is already bought.
    assert second.estimate_usd == pytest.approx(estimate / 6 * 2)
    assert len(step.read(second.lines_key)) == 6


def test_report_counts_images_lines_money_and_reasons(step: BatchStep) -> None:
    step.put(*(PAINTED | {"file_name": f"a{n}"} for n in range(6)))
    batch = step.check()
    step.make("spring-1")
    step.make("spring-2", status=Status.REFUSED, cost_micro_usd=None)
    step.make("spring-3", status=Status.BAD, cost_micro_usd=6_000)
    step.make("spring-4", status=Status.CLAIMED, cost_micro_usd=6_000, possibly_paid=2)
    step.make("spring-5")
    step.results(
        batch,
        ("spring-3", "BadImageError", "the answer is not an image"),
        ("spring-4", "OutcomeUnknownError", "who knows"),
    )
    report = step.report(batch)
    assert (
        report.lines,
        report.stored,
        report.refused,
        report.failed,
        report.not_started,
        report.possibly_paid,
    ) == (6, 2, 1, 2, 1, 2)
    assert report.reasons == {"BadImageError": 1, "OutcomeUnknownError": 1, "NotStarted": 1}
    assert [(failure.line, failure.message) for failure in report.failures] == [
        (3, "the answer is not an image"),
        (4, "who knows"),
    ]
    assert report.cost_usd == pytest.approx((4 * 6_000 + 5 * 50) / 1_000_000)
    assert report.seconds == 2
    assert step.read(report.report_key.replace("report.json", "failed.jsonl")) == [
        PAINTED | {"file_name": f"a{n - 1}", "request_id": f"spring-{n}"} for n in (3, 4, 6)
    ]

    body = step.s3.get_object(Bucket=BUCKET, Key="batches/spring/report.json")["Body"].read()
    assert json.loads(body) == json.loads(json.dumps(report.to_state()))


def test_image_given_up_by_an_earlier_start_is_explained(step: BatchStep) -> None:
    step.put(PAINTED, PAINTED | {"file_name": "b"})
    batch = step.check()
    for n, lease in ((1, 0), (2, 9_999_999_999)):
        step.make(f"spring-{n}", status=Status.CLAIMED, order="o", lease_until=lease)

    report = step.report(batch)

    assert report.reasons == {"OutcomeUnknownError": 1, "Unknown": 1}
    assert "image 1 was ordered by an earlier start" in report.failures[0].message


def test_unknown_cost_makes_batch_cost_unknown(step: BatchStep) -> None:
    step.put(PAINTED)
    batch = step.check()
    step.make("spring-1", cost_micro_usd=None)
    report = step.report(batch)

    assert (report.cost_usd, report.unknown_costs) == (None, 1)
    assert report.known_cost_usd == pytest.approx(50 / 1_000_000)


def test_failed_lines_form_a_resumable_manifest(step: BatchStep) -> None:
    step.put_bytes(b'{"prompt": "A kite", "quality": "low"}\n{"topic": "Sport"\n')
    batch = step.check(tolerated_failure_percentage=50)
    step.results(batch, ("spring-1", "AuthError", "no key"))
    report = step.report(batch)
    assert (report.failed, report.reasons) == (2, {"InputError": 1, "AuthError": 1})
    assert report.failed_key == "batches/spring/failed.jsonl"
    assert report.failures_key == "batches/spring/failures.jsonl"

    body = (
        step.s3.get_object(Bucket=BUCKET, Key=report.failed_key)["Body"]
        .read()
        .decode()
        .splitlines()
    )
    assert body[0] == '{"topic": "Sport"'  # unchanged, so that it can be fixed
    second = step.check(
        manifest=report.failed_key, execution="again", tolerated_failure_percentage=50
    )
    assert second.batch == "spring.failed"
    assert [item["run_id"] for item in step.read(second.todo_key)] == ["spring-1"]


def test_stopped_batch_is_reported_and_fails(step: BatchStep) -> None:
    step.put(PAINTED, {"topic": "Sport"})
    batch = replace(step.check(), ended_by="States.ExceedToleratedFailureThreshold")
    step.results(batch, ("spring-1", "AuthError", "OpenAI refuses the key"))

    with pytest.raises(
        BatchFailedError, match=r"1 of 2 lines failed \(AuthError 1, NotStarted 1\)"
    ):
        step.report(batch)
    assert "batches/spring/report.json" in keys_in(step.s3)


def test_duplicate_request_id_is_refused(step: BatchStep) -> None:
    step.put(
        {"request_id": "a", "topic": "Sport"},
        {"request_id": "a", "topic": "Science"},
        {"request_id": "b", "topic": "Sport"},
    )
    batch = step.check(dry_run=True)
    assert [problem.line for problem in batch.problems] == [2]


def test_batch_state_stays_small(step: BatchStep) -> None:
    step.put(*({"topic": "\N{SNOWMAN}" * 5_000, "file_name": f"{n}"} for n in range(200)))
    batch = step.check(dry_run=True)
    assert batch.bad == 200
    assert len(json.dumps(batch.to_state())) < 20_000


def test_batch_uses_the_monthly_budget(step: BatchStep) -> None:
    step.put(PAINTED)
    step.ledger.budget.set_cap(month_of(NOW), 0)
    with pytest.raises(BudgetExceededError):
        step.check()


def test_given_run_id_is_known_across_batches(step: BatchStep) -> None:
    step.put(PAINTED | {"request_id": "spring-1"}, PAINTED | {"request_id": "spring-2"})
    step.requests["spring-1"] = PAINTED
    step.make("spring-1")
    assert [item["run_id"] for item in step.read(step.check().todo_key)] == ["spring-2"]


def test_economy_costs_half_and_orders_stay_reserved(step: BatchStep) -> None:
    step.put(PAINTED, PAINTED | {"style": None, "quality": "high"})
    whole, half = (
        step.check(dry_run=True).estimate_usd,
        step.check(dry_run=True, economy=True).estimate_usd,
    )
    assert whole
    assert half == pytest.approx(whole / 2, abs=2e-6)

    step.check(economy=True)
    step.make("spring-1", status=Status.CLAIMED, order="an-order")
    step.make("spring-2", status=Status.CLAIMED, order="an-order")
    assert step.check(economy=True, execution="second").estimate_usd == 0


def test_changed_line_is_a_conflict(step: BatchStep) -> None:
    step.put(PAINTED, PAINTED | {"style": None, "quality": "high"})
    step.check()
    step.make("spring-1")
    step.make("spring-2")
    step.put({"prompt": "A ship"}, PAINTED, {"prompt": "A tree"})

    plan = step.check(dry_run=True)

    assert [(problem.line, problem.error) for problem in plan.problems] == [
        (1, "ConflictError"),
        (2, "ConflictError"),
    ]
    assert plan.refusal
    assert "run spring-1 was made from another request" in plan.refusal
    with pytest.raises(InputError, match="2 of 3 lines are wrong"):
        step.check()


def test_reused_run_id_conflicts_if_request_differs(step: BatchStep) -> None:
    step.requests["7"] = {"prompt": "A chair"}
    step.make("7")
    step.put({"prompt": "A cake", "request_id": "7"}, PAINTED)
    assert [problem.error for problem in step.check(dry_run=True).problems] == ["ConflictError"]


def test_dry_run_predicts_a_refusal(step: BatchStep) -> None:
    step.put(PAINTED, {"count": 11})
    assert "1 of 2 lines are wrong" in str(step.check(dry_run=True).refusal)
    assert step.check(dry_run=True, tolerated_failure_percentage=50).refusal is None

    step.ledger.budget.set_cap(month_of(NOW), 1)
    assert "allow_partial" in str(step.check(dry_run=True, tolerated_failure_percentage=50).refusal)
    with pytest.raises(BudgetExceededError):  # there is no room for even a part
        step.check(allow_partial=True, tolerated_failure_percentage=50)


def test_manifest_ending_is_optional(step: BatchStep) -> None:
    step.put_bytes(b"topic\nSport\n", key="batches/autumn.csv")
    assert step.check(manifest="batches/autumn").manifest == "batches/autumn.csv"


def test_bad_and_stopped_lines_keep_their_run_ids(step: BatchStep) -> None:
    step.put(PAINTED, {"count": 11}, {"topic": "Sport"})
    batch = step.check(tolerated_failure_percentage=50)
    step.make("spring-1")
    step.results(batch, ("spring-3", "", ""))
    report = step.report(batch)
    assert (report.failed, report.not_started, report.reasons) == (
        1,
        1,
        {"InputError": 1, "Stopped": 1},
    )
    assert step.read(str(report.failed_key)) == [
        {"request_id": "spring-2", "count": 11},
        {"topic": "Sport", "request_id": "spring-3"},
    ]

    step.make("spring-3")
    batch = replace(batch, bad=0)
    assert step.report(batch).failed_key is None
    assert step.read("batches/spring/failed.jsonl") == []  # the earlier failed lines are gone


def test_failures_list_every_reason(step: BatchStep) -> None:
    step.put(*(PAINTED | {"file_name": f"a{n}"} for n in range(3)), {"count": 11})
    batch = step.check(tolerated_failure_percentage=50)
    step.make("spring-1")
    step.make("spring-2", status=Status.REFUSED, refusal="moderation_blocked", cost_micro_usd=0)
    step.results(batch, ("spring-3", "AuthError", "no key"))

    report = step.report(batch)

    wrong, refused, failed = step.read(str(report.failures_key))
    assert (wrong["line"], wrong["field"], wrong["run_id"]) == (4, "count", None)
    assert (refused["run_id"], refused["error"]) == ("spring-2", "ContentRefusedError")
    assert refused["message"] == "OpenAI refused 1 of 1 images (moderation_blocked)"
    assert (failed["line"], failed["error"], failed["message"]) == (3, "AuthError", "no key")
    assert (report.failed, report.refused) == (2, 1)


def test_repeated_line_is_not_counted_as_pending(step: BatchStep) -> None:
    step.put(PAINTED, PAINTED)
    batch = step.check(tolerated_failure_percentage=50)
    step.make("spring-1")
    report = step.report(batch)

    assert (report.stored, report.failed, report.failed_key) == (1, 1, None)


def test_every_failed_line_can_be_read_again(step: BatchStep) -> None:
    longest = {"prompt": "\N{GRINNING FACE}" * 32_000}
    step.put_bytes(
        b"\n".join(
            [
                json.dumps(longest, ensure_ascii=False).encode(),
                b"[" * 150_000,
                b'{"topic": "\\udcff"}',
                b'"\xff"',
            ]
        )
    )
    batch = step.check(tolerated_failure_percentage=80)
    assert (batch.lines, batch.bad) == (1, 3)

    report = step.report(batch)
    second = step.check(
        manifest=report.failed_key, execution="again", tolerated_failure_percentage=80
    )
    assert (second.lines, second.bad) == (1, 3)
    assert second.problems_key


def test_dry_run_does_not_hide_running_start(step: BatchStep) -> None:
    step.put(PAINTED)
    step.check(execution="real")
    step.check(execution="dry", dry_run=True)

    latest = step.services.batch_starts.latest("spring")
    assert latest
    assert latest.execution == "real"


def test_report_covers_only_its_own_start(step: BatchStep) -> None:
    step.put(PAINTED, {"count": 11})
    batch = step.check(tolerated_failure_percentage=50)
    step.put(PAINTED, {"count": 11}, {"colour": "red"})
    step.check(dry_run=True, execution="another")
    step.make("spring-1")

    assert [failure.line for failure in step.report(batch).failures] == [2]


def test_conflicting_line_loses_the_other_run_id(step: BatchStep) -> None:
    step.put(PAINTED)
    step.check()
    step.make("spring-1")
    step.put({"prompt": "A ship"}, {"prompt": "A tree"})

    batch = step.check(tolerated_failure_percentage=50)

    assert {"prompt": "A ship"} in step.read(str(step.report(batch).failed_key))


def test_line_cannot_name_another_user(step: BatchStep) -> None:
    step.put(*[{"topic": f"Topic {n}"} for n in range(9)], {"safety_identifier": "victim"})

    batch = step.check(safety_identifier="5e1f")

    users = [item["request"]["safety_identifier"] for item in step.read(batch.todo_key)]
    assert users == ["5e1f"] * 9
    (problem,) = batch.problems
    assert (problem.line, problem.field) == (10, "safety_identifier")
    assert "the start of this batch names the user" in problem.message
    assert "victim" not in problem.message


def test_line_names_its_user_if_the_start_does_not(step: BatchStep) -> None:
    step.put({"topic": "Sport"}, {"topic": "Science", "safety_identifier": "own"})

    batch = step.check()

    users = [item["request"].get("safety_identifier") for item in step.read(batch.todo_key)]
    assert users == [None, "own"]


@pytest.mark.parametrize("run_id", ["12abcdef-1", "0badcafe-order-4711", "schedule-2026-11-24"])
def test_line_cannot_take_the_run_id_of_others(step: BatchStep, run_id: str) -> None:
    step.put(*[{"topic": f"Topic {n}"} for n in range(9)], {"request_id": run_id})

    batch = step.check()

    (problem,) = batch.problems
    assert (problem.line, problem.field, batch.todo) == (10, "request_id", 9)
    assert "does not begin like the run ids of the API's callers" in problem.message


@pytest.mark.parametrize("run_id", ["12abcdeg-1", "1abcdef-1", "order-12abcdef-1", "12ABCDEF-1"])
def test_similar_run_ids_are_accepted(step: BatchStep, run_id: str) -> None:
    step.put({"request_id": run_id})

    assert (step.check().bad, step.check().todo) == (0, 1)


def test_other_user_can_resume_the_batch(step: BatchStep) -> None:
    step.put({"topic": "Sport"}, {"topic": "Science"})
    batch = step.check(safety_identifier="5e1f")
    step.make("spring-1")
    second = step.check(execution="second", safety_identifier="0a0a")
    assert (second.bad, second.todo) == (0, 1)

    step.report(batch)
    assert step.read("batches/spring/failed.jsonl") == [
        {"topic": "Science", "request_id": "spring-2"}
    ]


def test_two_users_may_request_the_same(step: BatchStep) -> None:
    step.put(
        {"topic": "Sport", "safety_identifier": "a"}, {"topic": "Sport", "safety_identifier": "b"}
    )
    assert (step.check().todo, step.check().bad) == (2, 0)


def test_template_of_the_page_is_a_manifest(step: BatchStep) -> None:
    template = (ROOT / "web" / "batch-template.csv").read_bytes()
    step.put_bytes(template, key="batches/template.csv")

    batch = step.check(manifest="batches/template.csv")

    header = template.decode().splitlines()[0].split(",")
    assert set(header) <= set(COLUMNS)
    assert (batch.lines, batch.bad, batch.pictures) == (2, 0, 3)
