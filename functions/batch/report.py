"""What became of a batch: from the records of its lines, and from the results that Step Functions wrote for the reasons of failures."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any

from functions import json_lines, keys, signals
from functions.adapters import records
from functions.adapters.history import message
from functions.adapters.object_store import ObjectStore
from functions.adapters.records import Records, RunRecords
from functions.batch.checking import FINISHED, SHOWN
from functions.contract import Batch, BatchReport, Problem
from functions.errors import BatchFailedError, ConflictError
from functions.telemetry import count, say

MAX_MANIFEST = 1_000_000  # bytes of the list of result files
MAX_REASON = 500  # characters of a failure's words
NOT_STARTED = "NotStarted"  # the batch ended before, or the month's budget has no room for it
STOPPED = "Stopped"  # with the batch, in the middle
UNKNOWN = "Unknown"


@dataclass(kw_only=True)
class Outcome:
    """The sums over all lines so far; micro-dollars."""

    pictures: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    not_started: int = 0
    possibly_paid: int = 0
    cost: int = 0
    unknown_costs: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)


def report(batch: Batch, *, now: datetime, store: ObjectStore, book: Records, mirror: str | None) -> BatchReport:
    """Write report.json and failed.jsonl, and give the report. Raises BatchFailedError where the batch ended before its end."""
    outcome = Outcome()
    reasons = _unmade(f"{batch.work}unmade/", store) | _reasons(batch.results_prefix, store)
    report_key, failed_key = (keys.batch_file(batch.batch, file) for file in ("report.json", "failed.jsonl"))
    with TemporaryFile() as failed:
        if batch.bad:
            for problem in json_lines.read(f"{batch.work}problems.jsonl", store):
                _fail(outcome, line=problem["line"], why=(problem["error"], problem["message"]))
                if problem["raw"] is not None:
                    _keep(failed, problem, batch.batch)
        for item, known in book.of_lines(json_lines.read(batch.lines_key, store)):
            _add(outcome, item, known, reasons.get(item["run_id"]), failed, mirror=mirror)
        made = BatchReport(
            batch=batch.batch,
            manifest=batch.manifest,
            version_id=batch.version_id,
            lines=batch.lines + batch.bad,
            stored=outcome.pictures[records.STORED],
            refused=outcome.pictures[records.REFUSED],
            deleted=outcome.pictures[records.DELETED],
            failed=outcome.failed,
            not_started=outcome.not_started,
            possibly_paid=outcome.possibly_paid,
            reasons=dict(outcome.reasons),
            failures=tuple(outcome.failures),
            cost_usd=None if outcome.unknown_costs else outcome.cost / 1_000_000,
            known_cost_usd=outcome.cost / 1_000_000,
            unknown_costs=outcome.unknown_costs,
            estimate_usd=batch.estimate_usd,
            seconds=round((now - datetime.fromisoformat(batch.started)).total_seconds(), 1),
            report_key=report_key,
            failed_key=failed_key if failed.tell() else None,
        )
        # That of an earlier start is written over, also by nothing.
        if made.failed_key or store.head(failed_key):
            store.put_file(failed_key, failed, content_type=json_lines.CONTENT_TYPE)
    body = json.dumps(made.to_state(), indent=2, ensure_ascii=False).encode(errors="backslashreplace")
    store.put(report_key, body, content_type="application/json")
    count(signals.BATCH_LINES_FAILED, made.failed)
    say("batch finished", batch=batch.batch, stored=made.stored, failed=made.failed, cost_usd=made.known_cost_usd)
    if batch.ended_by:
        raise BatchFailedError(_said(batch, made))
    return made


def _add(
    outcome: Outcome, item: dict[str, Any], known: RunRecords, why: tuple[str, str] | None, failed: IO[bytes], *, mirror: str | None
) -> None:
    prompt, chat, images = known
    outcome.pictures.update(image.status for image in images)
    outcome.possibly_paid += sum(image.possibly_paid for image in images) + (chat.possibly_paid if chat else 0)
    costs = [prompt.chat_cost_micro_usd] if prompt else []
    costs += [image.cost_micro_usd for image in images if image.status != records.REFUSED]
    outcome.cost += sum(cost for cost in costs if cost)
    outcome.unknown_costs += costs.count(None)
    if sum(image.status in FINISHED and not image.is_missed(mirror) for image in images) == item["pictures"]:
        return
    stopped = why is not None and why[0] == STOPPED
    if stopped or (why is None and prompt is None and chat is None):
        outcome.not_started += 1
        outcome.reasons[STOPPED if stopped else NOT_STARTED] += 1
    else:
        _fail(outcome, line=item["line"], why=why or (UNKNOWN, "begun and not finished: the batch was stopped, or it goes on elsewhere"))
    # With its run id, so that another start of these lines pays only for what is missing.
    json_lines.write(failed, item["request"] | {"request_id": item["run_id"]})


def _keep(failed: IO[bytes], problem: dict[str, Any], name: str) -> None:
    """Write a bad line as it came, to be mended; with its run id where it is a request at all, so that it stays that line's."""
    try:
        said = json.loads(problem["raw"])
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        # The id of a line that conflicts is another picture's.
        own = {} if problem["error"] == ConflictError.__name__ else {"request_id": keys.batch_line(name, problem["line"])}
        json_lines.write(failed, own | said)
    else:
        failed.write(problem["raw"].encode(errors="backslashreplace") + b"\n")


def _fail(outcome: Outcome, *, line: int, why: tuple[str, str]) -> None:
    outcome.failed += 1
    outcome.reasons[why[0]] += 1
    if len(outcome.failures) < SHOWN:
        outcome.failures.append(Problem(line=line, field=None, error=why[0], message=why[1]).to_state())


def _reasons(prefix: str, store: ObjectStore) -> dict[str, tuple[str, str]]:
    """The error of each failed line by its run id, its name and its words, as Step Functions wrote them down."""
    found = {}
    for manifest in [one.key for one in store.objects(f"{prefix}/") if one.key.endswith("/manifest.json")]:
        written = json.loads(store.get(manifest, limit=MAX_MANIFEST) or b"{}")
        for results in written.get("ResultFiles", {}).get("FAILED", []):
            for child in json_lines.read(results["Key"], store):
                error = str(child.get("Error") or (STOPPED if child.get("Status") == "ABORTED" else UNKNOWN))
                said = message(child.get("Cause")) or error
                given = json.loads(child["Input"])
                # A child is a line; in an economy batch also an order, of the pictures of many lines.
                for one in given.get("pictures", [{"run_id": given.get("execution_name")}]):
                    found[one["run_id"]] = (error, said[:MAX_REASON])
    return found


def _unmade(prefix: str, store: ObjectStore) -> dict[str, tuple[str, str]]:
    """Of an economy batch, what OpenAI did not make, by run id."""
    made = {}
    for file in [one.key for one in store.objects(prefix)]:
        for one in json_lines.read(file, store):
            made[one["run_id"]] = (one["error"], one["message"])
    return made


def _said(batch: Batch, made: BatchReport) -> str:
    whys = ", ".join(f"{error} {number}" for error, number in made.reasons.items())
    return (
        f"{made.failed} of {made.lines} lines failed ({whys}), more than the {batch.tolerated_failure_percentage:g} % that are tolerated; "
        f"{made.stored} pictures are stored; which and why is in {made.report_key}; mend that, then start the same batch again: it pays "
        "only for what is missing"
    )
