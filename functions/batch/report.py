"""Reports a batch.

The results of its lines come from their records, and the reasons of failures from the result files
of Step Functions.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any

from easel.aws import json_lines
from easel.aws.bucket import Bucket
from easel.aws.observability import count, log_result
from easel.contract import metric_names, naming
from easel.contract.batch_messages import BatchPlan, BatchReport, LineProblem
from easel.contract.errors import (
    BatchFailedError,
    ConflictError,
    OutcomeUnknownError,
    cause_message,
)
from easel.contract.money import dollars
from easel.contract.states import ExecutionStatus
from easel.contract.status import Status
from easel.ledger.batches import FAILURES, PROBLEMS, Reason, refusal_of
from easel.ledger.records import RunRecords
from easel.services import Services

SHOWN = 20
FAILED = "failed.jsonl"  # the unfinished lines, itself a manifest
MAX_MANIFEST = 1_000_000  # bytes of the manifest that lists the result files
MAX_REASON = 500  # characters of a failure's message
NOT_STARTED = "NotStarted"  # the batch ended first, or the budget had no room for the line
STOPPED = "Stopped"  # the line was running when the batch was stopped
UNKNOWN = "Unknown"


@dataclass(kw_only=True)
class Outcome:
    """The totals of all lines so far, in micro-dollars."""

    failed_file: IO[bytes]
    reasons_file: IO[bytes]
    mirror: str | None
    images: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    not_started: int = 0
    possibly_paid: int = 0
    cost: int = 0
    unknown_costs: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[LineProblem] = field(default_factory=list)

    def fail(
        self, line: int, reason: Reason, *, run_id: str | None, wrong_field: str | None = None
    ) -> None:
        """Count a failed line, and write its reason."""
        self.failed += 1
        self.reasons[reason[0]] += 1
        if len(self.failures) < SHOWN:
            problem = LineProblem(line=line, field=None, error=reason[0], message=reason[1])
            self.failures.append(problem)
        self._explain(line, reason, run_id=run_id, wrong_field=wrong_field)

    def _explain(
        self, line: int, reason: Reason, *, run_id: str | None, wrong_field: str | None = None
    ) -> None:
        problem = LineProblem(line=line, field=wrong_field, error=reason[0], message=reason[1])
        json_lines.write(self.reasons_file, problem.to_state() | {"run_id": run_id})

    def add(self, item: dict[str, Any], records: RunRecords, reason: Reason | None) -> None:
        """Add a line. Write it to the failed lines if it is not finished."""
        prompt, images = records.prompt, records.images
        self.images.update(image.status for image in images)
        self.possibly_paid += records.possibly_paid
        costs = [*([prompt.chat_cost_micro_usd] if prompt else []), *records.image_costs]
        self.cost += sum(cost for cost in costs if cost)
        self.unknown_costs += costs.count(None)
        finished = [
            image
            for image in images
            if image.status.is_finished and not image.is_missing_from(self.mirror)
        ]
        if len(finished) == item["pictures"]:
            refusal = refusal_of(records, item["pictures"])
            if refusal:
                self._explain(item["line"], refusal, run_id=item["run_id"])
            return
        stopped = reason is not None and reason[0] == STOPPED
        if stopped or (reason is None and prompt is None and records.chat is None):
            self.not_started += 1
            self.reasons[STOPPED if stopped else NOT_STARTED] += 1
        else:
            self.fail(item["line"], reason or _reason_in(records), run_id=item["run_id"])
        # The run id is kept, so that another start of these lines pays only for what is missing.
        request = item["request"] | {"request_id": item["run_id"]}
        json_lines.write(self.failed_file, request)

    def keep_bad_line(self, problem: dict[str, Any], batch: str) -> None:
        """Write a bad line to the failed lines unchanged, so that it can be fixed.

        If it is a JSON object, add its run id, so that it keeps the id when its line number
        changes.
        """
        reason = (problem["error"], problem["message"])
        self.fail(problem["line"], reason, run_id=None, wrong_field=problem["field"])
        if problem["raw"] is None:
            return
        try:
            fields = json.loads(problem["raw"])
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raw = problem["raw"].encode(errors="backslashreplace")
            self.failed_file.write(raw + b"\n")
            return
        # The run id of a line with a conflict belongs to another request.
        conflicts = problem["error"] == ConflictError.__name__
        own = {} if conflicts else {"request_id": naming.batch_line(batch, problem["line"])}
        json_lines.write(self.failed_file, own | fields)


def report_batch(plan: BatchPlan, services: Services) -> BatchReport:
    """Write report.json, failed.jsonl and failures.jsonl, and return the report.

    Raises BatchFailedError if the batch was ended early.
    """
    bucket, ledger = services.bucket, services.ledger
    order_failures = _read_order_failures(f"{plan.work}unmade/", bucket)
    reasons = order_failures | _read_reasons(plan.results_prefix, bucket)
    with TemporaryFile() as failed, TemporaryFile() as explained:
        outcome = Outcome(failed_file=failed, reasons_file=explained, mirror=services.mirror_url)
        if plan.bad:
            for problem in json_lines.read(f"{plan.work}{PROBLEMS}", bucket):
                outcome.keep_bad_line(problem, plan.batch)
        for item, records in ledger.join_records(json_lines.read(plan.lines_key, bucket)):
            outcome.add(item, records, reasons.get(item["run_id"]))
        report = _make_report(plan, outcome, now=services.now())
        _replace(plan.batch, FAILED, failed, bucket)
        _replace(plan.batch, FAILURES, explained, bucket)
    text = json.dumps(report.to_state(), indent=2, ensure_ascii=False)
    body = text.encode(errors="backslashreplace")
    bucket.put(report.report_key, body, content_type="application/json")
    count(metric_names.BATCH_LINES_FAILED, report.failed)
    facts = {"stored": report.stored, "failed": report.failed, "cost_usd": report.known_cost_usd}
    log_result("batch finished", batch=plan.batch, **facts)
    if plan.ended_by:
        raise BatchFailedError(_describe_failure(plan, report))
    return report


def _replace(batch: str, name: str, file: IO[bytes], bucket: Bucket) -> None:
    """Write one of the batch's files, if it has lines or there is one of an earlier start."""
    key = naming.batch_file(batch, name)
    if file.tell() or bucket.head(key):
        bucket.put_file(key, file, content_type=json_lines.CONTENT_TYPE)


def _reason_in(records: RunRecords) -> Reason:
    """Return why a line is not finished, from its records alone.

    An earlier start may have given an ordered image up, and only its own files have the reason.
    """
    unknown = [image for image in records.images if image.order and image.is_counted]
    if unknown:
        numbers = ", ".join(str(image.n) for image in unknown)
        message = (
            f"image {numbers} was ordered by an earlier start, and no usable answer came; a start "
            "without economy buys it once more"
        )
        return OutcomeUnknownError.__name__, message
    cut_off = (
        "started but not finished: the batch was stopped, or another execution is still making it"
    )
    return UNKNOWN, cut_off


def _make_report(plan: BatchPlan, outcome: Outcome, *, now: datetime) -> BatchReport:
    known_cost = dollars(outcome.cost)
    started = datetime.fromisoformat(plan.started)
    has_failed = outcome.failed_file.tell() > 0
    has_reasons = outcome.reasons_file.tell() > 0
    return BatchReport(
        batch=plan.batch,
        manifest=plan.manifest,
        version_id=plan.version_id,
        lines=plan.lines + plan.bad,
        stored=outcome.images[Status.STORED],
        refused=outcome.images[Status.REFUSED],
        deleted=outcome.images[Status.DELETED] + outcome.images[Status.PURGED],
        failed=outcome.failed,
        not_started=outcome.not_started,
        possibly_paid=outcome.possibly_paid,
        reasons=dict(outcome.reasons),
        failures=tuple(outcome.failures),
        cost_usd=None if outcome.unknown_costs else known_cost,
        known_cost_usd=known_cost,
        unknown_costs=outcome.unknown_costs,
        estimate_usd=plan.estimate_usd,
        seconds=round((now - started).total_seconds(), 1),
        report_key=naming.batch_file(plan.batch, "report.json"),
        failed_key=naming.batch_file(plan.batch, FAILED) if has_failed else None,
        failures_key=naming.batch_file(plan.batch, FAILURES) if has_reasons else None,
    )


def _read_reasons(prefix: str, bucket: Bucket) -> dict[str, Reason]:
    """Return the error of each failed line by run id, from the result files of Step Functions."""
    reasons = {}
    object_keys = [item.key for item in bucket.objects(f"{prefix}/")]
    for manifest in [key for key in object_keys if key.endswith("/manifest.json")]:
        content = json.loads(bucket.get(manifest, limit=MAX_MANIFEST) or b"{}")
        for results in content.get("ResultFiles", {}).get("FAILED", []):
            for child in json_lines.read(results["Key"], bucket):
                aborted = child.get("Status") == ExecutionStatus.ABORTED
                error = str(child.get("Error") or (STOPPED if aborted else UNKNOWN))
                message = cause_message(child.get("Cause")) or error
                child_input = json.loads(child["Input"])
                # A child execution is one line. In an economy batch it may also be an order for
                # images of many lines.
                line = {"run_id": child_input.get("execution_name")}
                for image in child_input.get("pictures", [line]):
                    reasons[image["run_id"]] = (error, message[:MAX_REASON])
    return reasons


def _read_order_failures(prefix: str, bucket: Bucket) -> dict[str, Reason]:
    """Return why OpenAI did not make images of an economy batch, by run id."""
    reasons = {}
    for key in [item.key for item in bucket.objects(prefix)]:
        for failure in json_lines.read(key, bucket):
            reasons[failure["run_id"]] = (failure["error"], failure["message"])
    return reasons


def _describe_failure(plan: BatchPlan, report: BatchReport) -> str:
    reasons = ", ".join(f"{error} {number}" for error, number in report.reasons.items())
    tolerated = plan.tolerated_failure_percentage
    return (
        f"{report.failed} of {report.lines} lines failed ({reasons}), more than the tolerated "
        f"{tolerated:g} %; {report.stored} images are stored; {report.report_key} lists each "
        "failure; fix the lines, then start the same batch again: it pays only for what is missing"
    )
