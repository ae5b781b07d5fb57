"""A batch is checked whole before a cent is spent, prices what is missing, and is reported from
the records of its lines.
"""

import json
from dataclasses import replace
from typing import Any

import pytest

from easel.contract.errors import BatchFailedError, BudgetExceededError, InputError
from easel.contract.status import Status
from easel.ledger.budget import month_of
from easel.request import models
from tests.support.memory_aws import keys_in
from tests.support.services import BUCKET, CAP, NOW, FakeServices
from tests.support.steps import BatchStep

MANIFEST = "batches/spring.jsonl"
PAINTED = {"prompt": "A kite", "quality": "low"}


@pytest.fixture
def step(services: FakeServices, s3: Any) -> BatchStep:
    return BatchStep(services, s3)


def test_each_line_gets_a_run_id_of_the_batch_s_name_and_its_number(step: BatchStep) -> None:
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
        {"line": 1, "run_id": "spring-1", "pictures": 1, "request": {"topic": "Sport"}},
        {
            "line": 3,
            "run_id": "spring-3",
            "pictures": 3,
            "request": {"description": "A kite", "count": 3},
        },
    ]


def test_the_manifest_is_the_version_that_was_named_whatever_stands_there_now(
    step: BatchStep,
) -> None:
    step.put({"topic": "Sport"})
    first = step.s3.head_object(Bucket=BUCKET, Key=MANIFEST)["VersionId"]
    step.put({"topic": "Sport"}, {"topic": "Science"})
    assert step.check(version_id=first).lines == 1
    assert step.check().lines == 2
    assert step.check(version_id=first).version_id == first


def test_the_estimate_is_the_sum_of_what_each_line_may_cost(step: BatchStep) -> None:
    step.put(PAINTED, PAINTED | {"count": 2, "style": None, "quality": "high"})
    one, two = (
        models.estimate_image(
            "gpt-image-2.6-flare", prompt="A kite", size="1024x1024", quality=quality
        )
        for quality in ("low", "high")
    )
    assert one
    assert two
    assert step.check().estimate_usd == pytest.approx((one + 2 * two) / 1_000_000)


BAD = (
    {"count": 11},
    {"colour": "red"},
    {"action": "delete_folder", "folder_name": "x", "confirm": True},
    {"dry_run": True},
    PAINTED,
)


def test_a_dry_run_tells_every_bad_line_and_the_estimate_and_buys_nothing(step: BatchStep) -> None:
    step.put(PAINTED, *BAD)
    batch = step.check(dry_run=True)
    assert (batch.dry_run, batch.lines, batch.bad, batch.fits) == (True, 1, 5, True)
    assert [(one.line, one.field, one.error) for one in batch.problems] == [
        (2, "count", "InputError"),
        (3, "colour", "InputError"),
        (4, "action", "InputError"),
        (5, "dry_run", "InputError"),
        (6, "the line", "InputError"),
    ]
    assert batch.problems[0].message == "count is 11; allowed: a whole number from 1 to 10"
    assert "the same as line 1" in batch.problems[4].message
    assert batch.problems_key
    assert [one["line"] for one in step.read(batch.problems_key)] == [2, 3, 4, 5, 6]


def test_more_bad_lines_than_are_tolerated_refuse_the_batch_with_their_numbers(
    step: BatchStep,
) -> None:
    step.put(PAINTED, *BAD)
    with pytest.raises(
        InputError, match=r"5 of 6 lines are wrong.*line 2: count is 11.*line 6"
    ) as refused:
        step.check()
    assert "batches/spring/problems.jsonl" in str(refused.value)
    with pytest.raises(InputError):
        step.check(tolerated_failure_percentage=83)
    assert step.check(tolerated_failure_percentage=84).todo == 1


@pytest.mark.parametrize(
    ("asked", "why"),
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
def test_a_start_that_is_wrong_is_named(step: BatchStep, asked: dict[str, Any], why: str) -> None:
    step.put(PAINTED)
    with pytest.raises(InputError, match=why):
        step.check(**asked)


def test_a_manifest_without_a_line_and_one_with_too_many_are_refused(step: BatchStep) -> None:
    step.put_bytes(b"\n\n")
    with pytest.raises(InputError, match="has no line"):
        step.check()
    step.services.configure(max_batch_lines=2)
    step.put({"topic": "a"}, {"topic": "b"}, {"topic": "c"})
    with pytest.raises(InputError, match=r"line 3.*at most 2 lines \(max_batch_lines\)"):
        step.check()
    step.put({"topic": "a"}, {"topic": "b"})
    assert step.check().lines == 2


def test_a_batch_that_does_not_fit_into_the_month_s_budget_is_refused_unless_a_part_is_allowed(
    step: BatchStep,
) -> None:
    lines = [PAINTED | {"file_name": f"a{n}"} for n in range(200)]
    step.put(*lines)
    with pytest.raises(BudgetExceededError, match=r"batch spring.*allow_partial"):
        step.check()
    told = step.check(dry_run=True)
    assert (told.fits, told.todo) == (False, 200)
    part = step.check(allow_partial=True)
    estimate = told.estimate_usd
    assert estimate
    assert part.todo == int(200 * CAP / 1_000_000 / estimate)
    assert part.todo + part.postponed == 200


def test_another_start_has_to_do_only_what_is_missing_and_prices_only_that(step: BatchStep) -> None:
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
    again = step.check(execution="second")
    assert [item["line"] for item in step.read(again.todo_key)] == [4, 5, 6]
    assert again.estimate_usd == pytest.approx(estimate / 6 * 2)  # what is staged is bought already
    assert len(step.read(again.lines_key)) == 6


def test_the_report_counts_pictures_lines_money_and_reasons(step: BatchStep) -> None:
    step.put(*(PAINTED | {"file_name": f"a{n}"} for n in range(6)))
    batch = step.check()
    step.make("spring-1")
    step.make("spring-2", status=Status.REFUSED, cost_micro_usd=None)
    step.make("spring-3", status=Status.BAD, cost_micro_usd=6_000)
    step.make("spring-4", status=Status.CLAIMED, cost_micro_usd=6_000, possibly_paid=2)
    step.make("spring-5")
    step.results(
        batch,
        ("spring-3", "BadImageError", "what came is no picture"),
        ("spring-4", "OutcomeUnknownError", "who knows"),
    )
    made = step.report(batch)
    assert (
        made.lines,
        made.stored,
        made.refused,
        made.failed,
        made.not_started,
        made.possibly_paid,
    ) == (6, 2, 1, 2, 1, 2)
    assert made.reasons == {"BadImageError": 1, "OutcomeUnknownError": 1, "NotStarted": 1}
    assert [(one.line, one.message) for one in made.failures] == [
        (3, "what came is no picture"),
        (4, "who knows"),
    ]
    assert made.cost_usd == pytest.approx((4 * 6_000 + 5 * 50) / 1_000_000)
    assert made.seconds == 2
    assert step.read(made.report_key.replace("report.json", "failed.jsonl")) == [
        PAINTED | {"file_name": f"a{n - 1}", "request_id": f"spring-{n}"} for n in (3, 4, 6)
    ]
    body = step.s3.get_object(Bucket=BUCKET, Key="batches/spring/report.json")["Body"].read()
    assert json.loads(body) == json.loads(json.dumps(made.to_state()))


def test_a_cost_that_is_not_known_makes_the_batch_s_unknown(step: BatchStep) -> None:
    step.put(PAINTED)
    batch = step.check()
    step.make("spring-1", cost_micro_usd=None)
    made = step.report(batch)
    assert (made.cost_usd, made.unknown_costs) == (None, 1)
    assert made.known_cost_usd == pytest.approx(50 / 1_000_000)


def test_the_failed_lines_are_a_manifest_that_goes_on_with_the_same_runs(step: BatchStep) -> None:
    step.put_bytes(b'{"prompt": "A kite", "quality": "low"}\n{"topic": "Sport"\n')
    batch = step.check(tolerated_failure_percentage=50)
    step.results(batch, ("spring-1", "AuthError", "no key"))
    made = step.report(batch)
    assert (made.failed, made.reasons) == (2, {"InputError": 1, "AuthError": 1})
    assert made.failed_key == "batches/spring/failed.jsonl"
    body = (
        step.s3.get_object(Bucket=BUCKET, Key=made.failed_key)["Body"].read().decode().splitlines()
    )
    assert body[0] == '{"topic": "Sport"'  # as it came, to be mended
    again = step.check(manifest=made.failed_key, execution="again", tolerated_failure_percentage=50)
    assert again.batch == "spring.failed"
    assert [item["run_id"] for item in step.read(again.todo_key)] == ["spring-1"]


def test_a_batch_that_was_ended_is_reported_and_then_red(step: BatchStep) -> None:
    step.put(PAINTED, {"topic": "Sport"})
    batch = replace(step.check(), ended_by="States.ExceedToleratedFailureThreshold")
    step.results(batch, ("spring-1", "AuthError", "OpenAI refuses the key"))
    with pytest.raises(
        BatchFailedError, match=r"1 of 2 lines failed \(AuthError 1, NotStarted 1\)"
    ):
        step.report(batch)
    assert "batches/spring/report.json" in keys_in(step.s3)


def test_two_lines_with_one_request_id_are_refused(step: BatchStep) -> None:
    step.put(
        {"request_id": "a", "topic": "Sport"},
        {"request_id": "a", "topic": "Science"},
        {"request_id": "b", "topic": "Sport"},
    )
    batch = step.check(dry_run=True)
    assert [one.line for one in batch.problems] == [2]


def test_the_state_of_a_batch_stays_small_whatever_is_wrong_with_its_lines(step: BatchStep) -> None:
    step.put(*({"topic": "\N{SNOWMAN}" * 5_000, "file_name": f"{n}"} for n in range(200)))
    batch = step.check(dry_run=True)
    assert batch.bad == 200
    assert len(json.dumps(batch.to_state())) < 20_000


def test_the_budget_is_that_of_the_month(step: BatchStep) -> None:
    step.put(PAINTED)
    step.ledger.budget.set_cap(month_of(NOW), 0)
    with pytest.raises(BudgetExceededError):
        step.check()


def test_a_line_with_a_run_id_of_its_own_is_known_in_the_first_start_of_another_batch(
    step: BatchStep,
) -> None:
    step.put(PAINTED | {"request_id": "spring-1"}, PAINTED | {"request_id": "spring-2"})
    step.requests["spring-1"] = PAINTED
    step.make("spring-1")
    assert [item["run_id"] for item in step.read(step.check().todo_key)] == ["spring-2"]


def test_economy_is_priced_at_half_and_what_is_ordered_is_reserved_already(step: BatchStep) -> None:
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


def test_a_line_that_was_changed_is_a_conflict_and_not_taken_for_the_picture_that_is_there(
    step: BatchStep,
) -> None:
    step.put(PAINTED, PAINTED | {"style": None, "quality": "high"})
    step.check()
    step.make("spring-1")
    step.make("spring-2")
    step.put({"prompt": "A ship"}, PAINTED, {"prompt": "A tree"})
    told = step.check(dry_run=True)
    assert [(one.line, one.error) for one in told.problems] == [
        (1, "ConflictError"),
        (2, "ConflictError"),
    ]
    assert told.refusal
    assert "run spring-1 was made from another request" in told.refusal
    with pytest.raises(InputError, match="2 of 3 lines are wrong"):
        step.check()


def test_a_run_id_of_another_batch_is_a_conflict_where_the_request_is_another(
    step: BatchStep,
) -> None:
    step.requests["7"] = {"prompt": "A chair"}
    step.make("7")
    step.put({"prompt": "A cake", "request_id": "7"}, PAINTED)
    assert [one.error for one in step.check(dry_run=True).problems] == ["ConflictError"]


def test_a_dry_run_says_whether_a_start_would_be_refused(step: BatchStep) -> None:
    step.put(PAINTED, {"count": 11})
    assert "1 of 2 lines are wrong" in str(step.check(dry_run=True).refusal)
    assert step.check(dry_run=True, tolerated_failure_percentage=50).refusal is None
    step.ledger.budget.set_cap(month_of(NOW), 1)
    assert "allow_partial" in str(step.check(dry_run=True, tolerated_failure_percentage=50).refusal)
    with pytest.raises(BudgetExceededError):  # not even a part has room
        step.check(allow_partial=True, tolerated_failure_percentage=50)


def test_a_manifest_can_be_named_without_its_ending(step: BatchStep) -> None:
    step.put_bytes(b"topic\nSport\n", key="batches/autumn.csv")
    assert step.check(manifest="batches/autumn").manifest == "batches/autumn.csv"


def test_a_bad_line_keeps_its_run_id_to_be_mended_and_a_stopped_one_is_no_failure(
    step: BatchStep,
) -> None:
    step.put(PAINTED, {"count": 11}, {"topic": "Sport"})
    batch = step.check(tolerated_failure_percentage=50)
    step.make("spring-1")
    step.results(batch, ("spring-3", "", ""))
    made = step.report(batch)
    assert (made.failed, made.not_started, made.reasons) == (1, 1, {"InputError": 1, "Stopped": 1})
    assert step.read(str(made.failed_key)) == [
        {"request_id": "spring-2", "count": 11},
        {"topic": "Sport", "request_id": "spring-3"},
    ]
    step.make("spring-3")
    batch = replace(batch, bad=0)
    assert step.report(batch).failed_key is None
    assert step.read("batches/spring/failed.jsonl") == []  # that of before is gone


def test_a_repeated_line_is_no_line_that_is_still_to_be_made(step: BatchStep) -> None:
    step.put(PAINTED, PAINTED)
    batch = step.check(tolerated_failure_percentage=50)
    step.make("spring-1")
    made = step.report(batch)
    assert (made.stored, made.failed, made.failed_key) == (1, 1, None)


def test_whatever_a_line_is_it_can_be_read_again_from_the_failed_ones(step: BatchStep) -> None:
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
    made = step.report(batch)
    again = step.check(manifest=made.failed_key, execution="again", tolerated_failure_percentage=80)
    assert (again.lines, again.bad) == (1, 3)
    assert again.problems_key


def test_a_dry_run_does_not_hide_the_start_that_goes_on(step: BatchStep) -> None:
    step.put(PAINTED)
    step.check(execution="real")
    step.check(execution="dry", dry_run=True)
    latest = step.services.batch_starts.latest("spring")
    assert latest
    assert latest.execution == "real"


def test_a_report_tells_of_its_own_start_whatever_another_one_found_meanwhile(
    step: BatchStep,
) -> None:
    step.put(PAINTED, {"count": 11})
    batch = step.check(tolerated_failure_percentage=50)
    step.put(PAINTED, {"count": 11}, {"colour": "red"})
    step.check(dry_run=True, execution="another")
    step.make("spring-1")
    assert [one.line for one in step.report(batch).failures] == [2]


def test_a_line_that_conflicts_does_not_keep_the_run_id_of_the_other_picture(
    step: BatchStep,
) -> None:
    step.put(PAINTED)
    step.check()
    step.make("spring-1")
    step.put({"prompt": "A ship"}, {"prompt": "A tree"})
    batch = step.check(tolerated_failure_percentage=50)
    assert {"prompt": "A ship"} in step.read(str(step.report(batch).failed_key))


def test_a_batch_s_user_is_told_of_every_line_that_says_none(step: BatchStep) -> None:
    step.put({"topic": "Sport"}, {"topic": "Science", "safety_identifier": "own"})
    batch = step.check(safety_identifier="5e1f")
    assert [item["request"]["safety_identifier"] for item in step.read(batch.todo_key)] == [
        "5e1f",
        "own",
    ]


def test_another_user_s_start_of_a_batch_goes_on_with_it_and_what_failed_is_nobody_s(
    step: BatchStep,
) -> None:
    step.put({"topic": "Sport"}, {"topic": "Science"})
    batch = step.check(safety_identifier="5e1f")
    step.make("spring-1")
    again = step.check(execution="second", safety_identifier="0a0a")
    assert (again.bad, again.todo) == (0, 1)
    step.report(batch)
    assert step.read("batches/spring/failed.jsonl") == [
        {"topic": "Science", "request_id": "spring-2"}
    ]


def test_two_users_may_want_the_same(step: BatchStep) -> None:
    step.put(
        {"topic": "Sport", "safety_identifier": "a"}, {"topic": "Sport", "safety_identifier": "b"}
    )
    assert (step.check().todo, step.check().bad) == (2, 0)
