"""Checks a manifest before anything is paid, prices what is missing, and lists what is to be made.

The lists are files in the bucket: all good lines, the lines to be made, and the problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

from easel.aws import json_lines
from easel.aws.bucket import Bucket
from easel.aws.observability import log_result
from easel.contract import naming
from easel.contract.batch_messages import BatchPlan
from easel.contract.errors import BudgetExceededError, EaselError, InputError, Summary
from easel.contract.messages import StartRun
from easel.contract.money import dollars
from easel.ledger.attribution import person_scope
from easel.ledger.batches import LINES, PROBLEMS, BatchStart
from easel.ledger.budget import MonthBudget, month_of
from easel.ledger.limits import ScopeBudget
from easel.request import batch_request
from easel.request.batch_request import MAX_MANIFEST_BYTES, BatchRequest
from easel.services import Services
from functions.batch.manifest import read_lines
from functions.batch.price import Pricing, Tally

SHOWN_IN_ERROR = 5


def check(start: StartRun, services: Services) -> BatchPlan:
    """Return what a batch will do and its maximum cost.

    Raises InputError or BudgetExceededError if the batch must not start.
    """
    request = batch_request.parse(start.request, services.batching)
    with TemporaryFile() as manifest, TemporaryFile() as bad:
        request, version_id = _fetch(request, manifest, services.bucket)
        manifest_check = ManifestCheck(start, request, version_id, services)
        month = services.ledger.budget.read(month_of(services.now()))
        scopes = (person_scope(request.person),) if request.person else ()
        room = Room(month, services.limits.read(month.month, scopes))
        tally = Tally(bad_file=bad, room=room.fits if request.allow_partial else None)
        is_new = manifest_check.note_start()
        with TemporaryFile() as all_lines, TemporaryFile() as todo:
            pricing = Pricing(request, services)
            jobs = pricing.jobs(read_lines(manifest, key=request.manifest), tally)
            pricing.price(jobs, tally, (all_lines, todo), is_new=is_new)
            manifest_check.put_problems(tally)
            refusal = manifest_check.refusal(tally, room)
            if refusal and not request.dry_run:
                raise refusal
            manifest_check.put(LINES, all_lines)
            manifest_check.put("todo.jsonl", todo)
    log_result(
        "manifest checked",
        batch=request.name,
        lines=tally.lines,
        bad=tally.bad,
        todo=tally.todo,
        estimate_micro_usd=tally.estimate,
    )
    return manifest_check.plan(tally, room, refusal)


@dataclass(frozen=True)
class Room:
    """The rest of the budgets that a batch counts in: of the month, and of its starter.

    Budgets of folders are checked when each line is made.
    """

    month: MonthBudget
    scopes: Sequence[ScopeBudget]

    @property
    def left(self) -> int:
        """Return what can still be reserved, in micro-dollars."""
        limits = [scope.left for scope in self.scopes if scope.left is not None]
        return min([self.month.left, *limits])

    def fits(self, bound: int | None) -> bool:
        """Return whether an upper bound fits into all budgets."""
        return self.month.fits(bound) and all(scope.fits(bound) for scope in self.scopes)

    def check(self, bound: int | None, *, purpose: str) -> None:
        """Raise BudgetExceededError unless an upper bound fits into all budgets."""
        self.month.check(bound, purpose=purpose)
        for scope in self.scopes:
            scope.check(bound, purpose=purpose)


class ManifestCheck:
    """The check of one manifest, in the version that was fetched."""

    def __init__(
        self, start: StartRun, request: BatchRequest, version_id: str, services: Services
    ) -> None:
        self._start, self._request, self._services = start, request, services
        self._version_id = version_id
        self._work = naming.batch_work(request.name, start.execution_name)
        self._problems_key = naming.batch_file(request.name, PROBLEMS)

    def note_start(self) -> bool:
        """Record this start as the batch's latest, and return whether it is the first."""
        starts, name = self._services.batch_starts, self._request.name
        is_new = starts.latest(name) is None
        if not self._request.dry_run:  # a dry run would hide a start that is still running
            start = BatchStart(
                name=name,
                execution=self._start.execution_name,
                manifest=self._request.manifest,
                version_id=self._version_id,
                started=self._start.started,
            )
            starts.note(start)
        return is_new

    def put(self, name: str, file: IO[bytes]) -> None:
        """Write one of this start's files."""
        key = f"{self._work}{name}"
        self._services.bucket.put_file(key, file, content_type=json_lines.CONTENT_TYPE)

    def put_problems(self, tally: Tally) -> None:
        """Write the problems twice: as the batch's latest, and with this start's files."""
        if not tally.bad:
            return
        content_type = json_lines.CONTENT_TYPE
        bucket = self._services.bucket
        bucket.put_file(self._problems_key, tally.bad_file, content_type=content_type)
        self.put(PROBLEMS, tally.bad_file)

    def refusal(self, tally: Tally, room: Room) -> EaselError | None:
        """Return the reason why the batch must not start, or None."""
        request, total = self._request, tally.lines + tally.bad
        if total == 0:
            shown = Summary(f"{request.manifest}, which has no line")
            return InputError("manifest", shown, "at least one request")
        tolerated = request.tolerated_failure_percentage
        if tally.bad * 100 > tolerated * total or not tally.lines:
            shown = Summary(f"{request.manifest}, in which {tally.bad} of {total} lines are wrong")
            examples = "; ".join(
                f"line {problem.line}: {problem.message}"
                for problem in tally.problems[:SHOWN_IN_ERROR]
            )
            rest = tally.bad - SHOWN_IN_ERROR
            more = f"; and {rest} more" if rest > 0 else ""
            allowed = (
                f"{tolerated:g}% wrong lines (tolerated_failure_percentage); {self._problems_key} "
                f"lists all of them; {examples}{more}"
            )
            return InputError("manifest", shown, allowed)
        if request.allow_partial and (tally.todo or not tally.postponed):
            return None
        try:
            room.check(tally.estimate, purpose=f"batch {request.name}")
        except BudgetExceededError as error:
            if not request.allow_partial:
                error.add("with allow_partial: true the batch makes as many lines as fit")
            return error
        return None

    def plan(self, tally: Tally, room: Room, refusal: EaselError | None) -> BatchPlan:
        """Return the message for the batch's next states."""
        request, work = self._request, self._work
        return BatchPlan(
            batch=request.name,
            manifest=request.manifest,
            version_id=self._version_id,
            execution=self._start.execution_name,
            started=self._start.started,
            dry_run=request.dry_run,
            economy=request.economy,
            lines=tally.lines,
            pictures=tally.pictures,
            todo=tally.todo,
            postponed=tally.postponed,
            bad=tally.bad,
            problems=tuple(tally.problems),
            problems_key=self._problems_key if tally.bad else None,
            estimate_usd=dollars(tally.estimate),
            budget_left_usd=dollars(room.left),
            fits=room.fits(tally.estimate),
            refusal=str(refusal) if refusal else None,
            work=work,
            lines_key=f"{work}{LINES}",
            todo_key=f"{work}todo.jsonl",
            results_prefix=f"{work}results",
            max_parallel_images=request.max_parallel_images,
            tolerated_failure_percentage=request.tolerated_failure_percentage,
            ended_by=None,
        )


def _fetch(request: BatchRequest, file: IO[bytes], bucket: Bucket) -> tuple[BatchRequest, str]:
    """Copy the manifest into a file. Return the request with the manifest's key, and its version.

    If the key has no ending, use the first ending that exists.
    """
    endings = [f".{ending}" for ending in naming.MANIFEST_ENDINGS]
    has_ending = request.manifest.endswith(tuple(endings))
    for key in (
        (request.manifest,) if has_ending else [f"{request.manifest}{end}" for end in endings]
    ):
        version_id = bucket.fetch(
            key, file, version_id=request.version_id, limit=MAX_MANIFEST_BYTES
        )
        if version_id is not None:
            return request.with_manifest(key), version_id
    allowed = "the key of a file in the bucket, in a version that exists"
    raise InputError("manifest", request.manifest, allowed)
