"""Batches through the API.

The tests cover the link for a manifest, the checks of a start, and the view of a batch at each
stage.
"""

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from easel.aws.observability import logger
from easel.contract.states import State
from easel.ledger.batches import BatchStart
from easel.runs.executions import Executions
from functions.api.batches import START_FIELDS
from functions.api.request_bodies import start_schema
from tests.support.api import BATCH_MACHINE, Answer, Api
from tests.support.services import NOW

BEGAN = NOW - timedelta(seconds=90)
CHECKED: dict[str, Any] = {
    "refusal": None,
    "batch": "spring",
    "manifest": "batches/spring.jsonl",
    "version_id": "v1",
    "lines": 20,
    "pictures": 25,
    "todo": 12,
    "postponed": 3,
    "bad": 1,
    "problems": [{"line": 7, "field": "count", "error": "InputError", "message": "count is 11"}],
    "problems_key": "batches/spring/problems.jsonl",
    "estimate_usd": 0.3,
    "budget_left_usd": 20.0,
    "fits": True,
}
REPORT: dict[str, Any] = {
    "batch": "spring",
    "manifest": "batches/spring.jsonl",
    "version_id": "v1",
    "lines": 21,
    "stored": 24,
    "refused": 0,
    "deleted": 0,
    "failed": 2,
    "not_started": 0,
    "possibly_paid": 0,
    "reasons": {"InputError": 1, "BadImageError": 1},
    "failures": [{"line": 7, "field": None, "error": "InputError", "message": "count is 11"}],
    "cost_usd": 0.2,
    "known_cost_usd": 0.2,
    "unknown_costs": 0,
    "estimate_usd": 0.3,
    "seconds": 61.5,
    "report_key": "batches/spring/report.json",
    "failed_key": "batches/spring/failed.jsonl",
    "failures_key": "batches/spring/failures.jsonl",
}
COUNTS = {
    "total": 12,
    "pending": 4,
    "running": 3,
    "succeeded": 2,
    "failed": 1,
    "timedOut": 1,
    "aborted": 1,
    "resultsWritten": 0,
}


class FakeStepFunctions:
    """A fake Step Functions with executions of the batch machine, newest first.

    Its answers are given to the constructor.
    """

    def __init__(self, *names: str, checked: Any = None, counts: Any = None, **fields: Any) -> None:
        self.names, self.checked, self.counts = names, checked, counts
        self.description: dict[str, Any] = {
            "status": "RUNNING",
            "input": '{"manifest": "batches/spring.jsonl"}',
        } | fields

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        name = executionArn.rpartition(":")[2]
        if name not in self.names:
            raise ClientError(
                {"Error": {"Code": "ExecutionDoesNotExist", "Message": "no"}}, "DescribeExecution"
            )
        started = BEGAN - timedelta(minutes=self.names.index(name))
        return self.description | {"executionArn": executionArn, "startDate": started}

    def list_executions(self, **_: Any) -> dict[str, Any]:
        return {
            "executions": [
                {
                    "executionArn": f"arn:aws:states:x:1:execution:batches:{name}",
                    "name": name,
                    "status": "RUNNING",
                    "startDate": BEGAN,
                }
                for name in self.names
            ]
        }

    def get_execution_history(self, **parameters: Any) -> dict[str, Any]:
        assert parameters["includeExecutionData"]
        left = {
            "stateExitedEventDetails": {
                "name": State.CHECK_MANIFEST,
                "output": json.dumps(self.checked),
            }
        }
        return {"events": [{"type": "ExecutionStarted"}, *([left] if self.checked else [])]}

    def list_map_runs(self, **_: Any) -> dict[str, Any]:
        earlier, later = (
            {"mapRunArn": arn, "startDate": BEGAN + timedelta(seconds=n)}
            for n, arn in enumerate(("first", "second"))
        )
        return {"mapRuns": [later, earlier] if self.counts else []}

    def describe_map_run(self, *, mapRunArn: str) -> dict[str, Any]:  # noqa: N803
        assert mapRunArn == "second"
        return {"itemCounts": self.counts}


def show(api: Api, states: FakeStepFunctions, name: str = "spring") -> Answer:
    services = api.services.replace_services(
        batch_executions=Executions(states, machine=BATCH_MACHINE)
    )
    return api("GET", f"/batches/{name}", services=services)


def note(api: Api, execution: str) -> None:
    """Leave the record that the check of a manifest leaves."""
    api.services.batch_starts.note(
        BatchStart(
            name="spring",
            execution=execution,
            manifest="batches/spring.jsonl",
            version_id="v1",
            started="2026-11-24T03:13:32Z",
        )
    )


@pytest.mark.parametrize(
    ("fields", "key"), [({}, "batches/spring.jsonl"), ({"format": "csv"}, "batches/spring.csv")]
)
def test_new_batch_gets_a_link_for_its_manifest(api: Api, fields: dict[str, Any], key: str) -> None:
    answer = api("POST", "/batches", {"name": "spring", "bytes": 1234, **fields})
    assert (answer.status, answer.json["manifest"]) == (201, key)
    assert answer.json["start"] == "https://pictures.example/batches/spring/start"

    upload = answer.json["upload"]
    address = urlsplit(upload["url"])
    assert (upload["method"], address.path) == ("PUT", f"/{key}")
    query = parse_qs(address.query)
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    content_type = "text/csv" if key.endswith(".csv") else "application/jsonl"
    assert upload["headers"] == {"Content-Type": content_type}

    left = datetime.fromisoformat(upload["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)


def test_link_is_never_logged(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    answer = api("POST", "/batches", {"name": "spring", "bytes": 1234})
    assert "X-Amz-Signature" in answer.text
    assert "X-Amz" not in log.getvalue()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "name"),
        ({"name": "inbox"}, "name"),
        ({"name": "inbox/x"}, "name"),
        ({"name": "../x"}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "spring", "bytes": 1, "format": "xlsx"}, "format"),
        ({"name": "spring"}, "bytes"),
        ({"name": "spring", "bytes": 0}, "bytes"),
        ({"name": "spring", "bytes": 100_000_001}, "bytes"),
        ({"name": "spring", "bytes": "1"}, "bytes"),
        ({"name": "12abcdef", "bytes": 1}, "name"),
        ({"name": "12abcdef-x", "bytes": 1}, "name"),
        ({"name": "schedule", "bytes": 1}, "name"),
        ({"name": "spring", "key": "my_s3_folder/a.png"}, "key"),
        ({"name": "spring", "key": None}, "key"),
    ],
)
def test_link_covers_no_other_key(api: Api, fields: dict[str, Any], field: str) -> None:
    answer = api("POST", "/batches", fields)
    assert (answer.status, answer.json["field"]) == (400, field)


def test_start_passes_caller_fields_and_shows_batch(api: Api) -> None:
    name = "x" * 60
    fields = {"format": "csv", "dry_run": True, "max_parallel_images": 2, "version_id": "v1"}
    started = api("POST", f"/batches/{name}/start", fields)
    assert started.status == 202

    (execution,) = api.executions(BATCH_MACHINE)
    assert execution["name"] == started.json["execution"]
    assert execution["name"].startswith(f"{name}.20261124031502-")

    execution_input = json.loads(
        api.states.describe_execution(executionArn=execution["executionArn"])["input"]
    )
    user = hashlib.sha256(f"{api.services.api.user_pool}\nanna".encode()).hexdigest()
    assert execution_input == {
        "manifest": f"batches/{name}.csv",
        "dry_run": True,
        "max_parallel_images": 2,
        "version_id": "v1",
        "safety_identifier": user,
        "person": hashlib.sha256(b"anna").hexdigest()[:8],
    }
    assert (
        started.headers["location"]
        == started.json["url"]
        == f"https://pictures.example/batches/{name}"
    )
    assert (
        started.json["status"],
        started.json["lines"],
        started.json["checked"],
        started.json["report"],
    ) == ("running", None, None, None)
    assert ":execution:batches:" in started.json["console_url"]
    assert api("GET", f"/batches/{name}").json["execution"] == execution["name"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"max_parallel_images": 6}, "max_parallel_images"),
        ({"tolerated_failure_percentage": 101}, "tolerated_failure_percentage"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"allow_partial": 1}, "allow_partial"),
        ({"version_id": 7}, "version_id"),
        ({"version_id": "\ud800"}, "version_id"),
        ({"version_id": "v" * 2_000}, "version_id"),
        ({"format": "xml"}, "format"),
        ({"manifest": "batches/other.jsonl"}, "manifest"),
        ({"dry_rum": True}, "dry_rum"),
        ({"dry_rum": None}, "dry_rum"),
        ({"": None}, "a field whose name has 0 characters"),
        ({"version_id": None}, "version_id"),
        ({"version_id": None, "dry_run": False}, "version_id"),
        ({"safety_identifier": "ben"}, "safety_identifier"),
    ],
)
def test_invalid_start_is_refused(api: Api, fields: dict[str, Any], field: str) -> None:
    answer = api("POST", "/batches/spring/start", {"version_id": "v1"} | fields)
    assert (answer.status, answer.json["field"]) == (400, field)
    assert api.executions(BATCH_MACHINE) == []


def test_invalid_batch_name_starts_nothing(api: Api) -> None:
    assert api("POST", "/batches/inbox/start", {}).json["field"] == "name"
    assert api.executions(BATCH_MACHINE) == []


@pytest.mark.usefixtures("bucket")
def test_running_batch_shows_lines_and_check_results(api: Api) -> None:
    note(api, "first")
    view = show(api, FakeStepFunctions("first", checked=CHECKED, counts=COUNTS)).json

    assert view["lines"] == {
        "total": 12,
        "pending": 4,
        "running": 3,
        "succeeded": 2,
        "failed": 2,
        "aborted": 1,
    }
    assert {
        **view["checked"],
        **{name: CHECKED[name] for name in ("batch", "manifest", "version_id")},
    } == CHECKED
    assert (view["status"], view["seconds"], view["ended"], view["report"], view["error"]) == (
        "running",
        90.0,
        None,
        None,
        None,
    )


def test_ended_batch_shows_its_report(api: Api) -> None:
    note(api, "first")
    ended = FakeStepFunctions(
        "first",
        checked=CHECKED,
        counts=COUNTS,
        status="SUCCEEDED",
        output=json.dumps(REPORT),
        stopDate=BEGAN + timedelta(seconds=61),
    )
    view = show(api, ended).json
    assert (view["status"], view["seconds"], view["report"]) == ("succeeded", 61.0, REPORT)


def test_a_dry_run_has_no_report(api: Api) -> None:
    note(api, "first")
    view = show(
        api,
        FakeStepFunctions(
            "first",
            checked=CHECKED,
            status="SUCCEEDED",
            output=json.dumps(CHECKED),
            stopDate=NOW,
            input='{"manifest": "batches/spring.jsonl", "dry_run": true}',
        ),
    ).json
    assert (view["report"], view["lines"], view["checked"]["estimate_usd"]) == (None, None, 0.3)
    assert (view["dry_run"], view["version_id"], view["can_resume"]) == (True, "v1", False)


def test_failed_batch_shows_reason_and_remedy(api: Api) -> None:
    note(api, "first")
    cause = json.dumps({"errorMessage": "11 of 12 lines failed"})
    view = show(
        api,
        FakeStepFunctions(
            "first", status="FAILED", error="BatchFailedError", cause=cause, stopDate=NOW
        ),
    ).json

    assert (view["error"]["error"], view["error"]["message"]) == (
        "BatchFailedError",
        "11 of 12 lines failed",
    )
    assert "start the batch again" in view["error"]["what_to_do"]


YOUNG = "spring.20261124031500-0a1b"


@pytest.mark.parametrize(
    ("noted", "status", "expected"),
    [(None, "RUNNING", YOUNG), ("old", "FAILED", YOUNG), ("old", "RUNNING", "old")],
    ids=["none is noted yet", "another start is not noted yet", "the noted one is running"],
)
def test_start_is_found_before_it_is_noted(
    api: Api, noted: str | None, status: str, expected: str
) -> None:
    if noted:
        note(api, noted)
    others = (
        "spring.b.20261124031501-0a1b",
        "f00d",
        "spring.20261124031501-0a1b.20261124031501-0a1b",
    )
    assert (
        show(api, FakeStepFunctions(*others, YOUNG, "old", status=status)).json["execution"]
        == expected
    )


@pytest.mark.parametrize("name", ["summer", "a%20b", "x" * 61])
def test_unknown_batch_is_not_found(api: Api, name: str) -> None:
    missing = show(api, FakeStepFunctions(YOUNG), name)
    assert (missing.status, missing.json["error"]) == (404, "NotFoundError")


def test_every_start_field_is_described() -> None:
    assert set(start_schema()["properties"]) == set(START_FIELDS)


def test_dry_run_needs_no_version(api: Api) -> None:
    assert api("POST", "/batches/spring/start", {"dry_run": True}).status == 202


def test_one_start_is_shown_by_its_name(api: Api) -> None:
    states = FakeStepFunctions(YOUNG, "by-hand")
    services = use(api, states)

    older = api("GET", "/batches/spring", query={"execution": "by-hand"}, services=services)
    other = api("GET", "/batches/summer", query={"execution": "by-hand"}, services=services)

    assert (older.json["execution"], older.json["name"]) == ("by-hand", "spring")
    assert (other.status, other.json["error"]) == (404, "NotFoundError")


class StoppableStepFunctions(FakeStepFunctions):
    """A fake Step Functions whose only execution can be stopped, and that keeps new starts."""

    def __init__(self, *names: str, **fields: Any) -> None:
        super().__init__(*names, **fields)
        self.started: list[dict[str, Any]] = []

    def stop_execution(self, **_: Any) -> None:
        self.description |= {"status": "ABORTED", "error": "Stopped", "stopDate": NOW}

    def start_execution(self, **call: Any) -> dict[str, Any]:
        self.started.append(json.loads(call["input"]))
        return {"executionArn": f"arn:aws:states:x:1:execution:batches:{YOUNG}"}


def use(api: Api, states: FakeStepFunctions) -> Any:
    return api.services.replace_services(batch_executions=Executions(states, machine=BATCH_MACHINE))


@pytest.mark.usefixtures("bucket")
def test_stop_ends_only_a_running_batch(api: Api) -> None:
    states = StoppableStepFunctions(YOUNG, checked=CHECKED, counts=COUNTS)
    services = use(api, states)

    stopped, again = (api("POST", "/batches/spring/stop", services=services) for _ in range(2))

    assert (stopped.status, stopped.json["status"]) == (202, "aborted")
    assert (stopped.json["can_stop"], stopped.json["can_resume"]) == (False, True)
    assert stopped.json["error"]["title"] == "Stopped"
    assert (again.status, again.json["error"]) == (409, "ConflictError")


@pytest.mark.usefixtures("bucket")
def test_resume_repeats_the_start_with_its_version(api: Api) -> None:
    sent = {"manifest": "batches/inbox/spring.csv", "economy": True, "safety_identifier": "s"}
    states = StoppableStepFunctions(
        YOUNG, checked=CHECKED, status="ABORTED", stopDate=NOW, input=json.dumps(sent)
    )

    resumed = api("POST", "/batches/spring/resume", services=use(api, states))

    assert resumed.status == 202
    (started,) = states.started
    assert (started["manifest"], started["economy"]) == (sent["manifest"], True)
    assert (started["version_id"], started["person"]) == (
        "v1",
        hashlib.sha256(b"anna").hexdigest()[:8],
    )
    assert started["safety_identifier"] != "s"  # the user who resumes it


FINISHED = REPORT | {"failed": 1, "failed_key": "batches/spring/failed.jsonl"}
DRY = '{"manifest": "batches/spring.jsonl", "dry_run": true}'


@pytest.mark.parametrize(
    ("fields", "can_resume"),
    [
        ({"status": "RUNNING"}, False),
        ({"status": "SUCCEEDED", "output": json.dumps(FINISHED)}, False),  # one line is wrong
        ({"status": "SUCCEEDED", "output": json.dumps(REPORT)}, True),  # one more has failed
        ({"status": "SUCCEEDED", "output": json.dumps(CHECKED), "input": DRY}, False),
        ({"status": "FAILED", "error": "InputError"}, False),
        ({"status": "FAILED", "error": "BudgetExceededError"}, True),
        ({"status": "FAILED", "error": "BatchFailedError"}, True),
        ({"status": "ABORTED", "error": "Stopped"}, True),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_resume_is_offered_where_it_helps(
    api: Api, fields: dict[str, Any], can_resume: bool
) -> None:
    ended = {} if fields["status"] == "RUNNING" else {"stopDate": NOW}
    states = StoppableStepFunctions(YOUNG, checked=CHECKED, **fields, **ended)
    services = use(api, states)

    assert api("GET", "/batches/spring", services=services).json["can_resume"] is can_resume

    answer = api("POST", "/batches/spring/resume", services=services)
    assert (answer.status == 202, len(states.started)) == (can_resume, int(can_resume))
