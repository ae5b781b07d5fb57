"""Checks a manifest whole before a cent is spent, prices what is missing of it, and writes down what there is to do."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any

from functions import json_lines, keys, request
from functions.adapters import records
from functions.adapters.batches import Batches, BatchStart
from functions.adapters.budget import Budget, MonthBudget, month_of
from functions.adapters.claims import CLAIMED
from functions.adapters.object_store import ObjectStore
from functions.adapters.records import LINES_AT_ONCE, NO_RECORDS, Records, RunRecords
from functions.batch.asked import Asked, parse
from functions.batch.manifest import MAX_BYTES, Line, lines
from functions.contract import Batch, Problem, Start
from functions.errors import BudgetExceededError, ConflictError, EaselError, InputError
from functions.prompt import pricing, writing
from functions.prompt.pricing import Question
from functions.request import Request
from functions.settings import Settings
from functions.telemetry import say

SHOWN = 20
FINISHED = (records.STORED, records.DELETED, records.REFUSED)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One good line: its run id, its request as it came and as it is understood, and the question that its prompt needs."""

    line: int
    run_id: str
    raw: str
    said: dict[str, Any]
    wanted: Request
    question: Question | None


@dataclass(kw_only=True)
class Tally:
    """What has been found so far; micro-dollars, None once a price is unknown."""

    lines: int = 0
    pictures: int = 0
    todo: int = 0
    postponed: int = 0
    bad: int = 0
    estimate: int | None = 0
    taken: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)

    def refuses(self, line: int, raw: str | None, error: EaselError, bad: IO[bytes]) -> None:
        """Count a bad line, and write it down; `raw` is None where there is nothing about it to be mended."""
        self.bad += 1
        field_ = error.field if isinstance(error, InputError) else None
        problem = Problem(line=line, field=field_, error=type(error).__name__, message=str(error)).to_state()
        self.problems += [problem][: SHOWN - len(self.problems)]
        json_lines.write(bad, problem | {"raw": raw})

    def takes(self, cost: int | None, *, finished: bool, pictures: int, room: Callable[[int], bool] | None) -> bool:
        """Count a good line; whether it is to be made: it is not finished, and where `room` is asked, its cost fits with those before."""
        self.lines += 1
        self.pictures += pictures
        self.estimate = None if cost is None or self.estimate is None else self.estimate + cost
        if finished:
            return False
        if room and cost and not room(self.taken + cost):
            self.postponed += 1
            return False
        self.taken += cost or 0
        self.todo += 1
        return True


def check(start: Start, *, settings: Settings, now: datetime, store: ObjectStore, book: Records, batches: Batches, budget: Budget) -> Batch:
    """What a batch will do and what it costs at most. Raises InputError or BudgetExceededError where it may not begin."""
    asked = parse(start.request, settings)
    name, work = asked.name, keys.batch_work(asked.name, start.execution_name)
    problems_key = keys.batch_file(name, "problems.jsonl")
    state, tally = budget.read(month_of(now)), Tally()
    room = state.fits if asked.allow_partial else None
    with TemporaryFile() as manifest, TemporaryFile() as whole, TemporaryFile() as todo, TemporaryFile() as bad:
        asked, version_id = _fetched(asked, manifest, store)
        again = batches.latest(name) is not None
        if not asked.dry_run:  # which would hide a start that goes on
            batches.note(
                BatchStart(name=name, execution=start.execution_name, manifest=asked.manifest, version_id=version_id, started=start.started)
            )
        jobs = _jobs(lines(manifest, key=asked.manifest), asked, tally, bad, settings=settings, today=now.date())
        for group in _groups(jobs):
            wanted = {job.run_id: job.wanted.count for job in group if again or job.wanted.request_id}
            known = book.runs(wanted)
            for job in group:
                try:
                    _check_same(job, known.get(job.run_id, NO_RECORDS))
                except ConflictError as error:
                    tally.refuses(job.line, job.raw, error, bad)
                    continue
                json_lines.write(whole, _item(job))
                cost, finished = _missing(job, known.get(job.run_id, NO_RECORDS), economy=asked.economy, mirror=settings.mirror)
                if tally.takes(cost, finished=finished, pictures=job.wanted.count, room=room):
                    json_lines.write(todo, _item(job, user=asked.safety_identifier))
        if tally.bad:
            store.put_file(problems_key, bad, content_type=json_lines.CONTENT_TYPE)
            store.put_file(f"{work}problems.jsonl", bad, content_type=json_lines.CONTENT_TYPE)  # as this start found them
        refusal = _refusal(asked, tally, problems_key, state, budget)
        if refusal and not asked.dry_run:
            raise refusal
        store.put_file(f"{work}lines.jsonl", whole, content_type=json_lines.CONTENT_TYPE)
        store.put_file(f"{work}todo.jsonl", todo, content_type=json_lines.CONTENT_TYPE)
    say("manifest checked", batch=name, lines=tally.lines, bad=tally.bad, todo=tally.todo, estimate_micro_usd=tally.estimate)
    return Batch(
        batch=name,
        manifest=asked.manifest,
        version_id=version_id,
        execution=start.execution_name,
        started=start.started,
        dry_run=asked.dry_run,
        economy=asked.economy,
        lines=tally.lines,
        pictures=tally.pictures,
        todo=tally.todo,
        postponed=tally.postponed,
        bad=tally.bad,
        problems=tuple(tally.problems),
        problems_key=problems_key if tally.bad else None,
        estimate_usd=None if tally.estimate is None else tally.estimate / 1_000_000,
        budget_left_usd=max(0, state.cap - state.committed) / 1_000_000,
        fits=state.fits(tally.estimate),
        refusal=str(refusal) if refusal else None,
        work=work,
        lines_key=f"{work}lines.jsonl",
        todo_key=f"{work}todo.jsonl",
        results_prefix=f"{work}results",
        max_parallel_images=asked.max_parallel_images,
        tolerated_failure_percentage=asked.tolerated_failure_percentage,
        ended_by=None,
    )


def _jobs(found: Iterable[Line], asked: Asked, tally: Tally, bad: IO[bytes], *, settings: Settings, today: date) -> Iterator[Job]:
    """The good lines; the others are counted and written down."""
    first: dict[str, int] = {}  # the line that was the first to have an id, or to ask for this
    for read, line in enumerate(found):
        if read == settings.max_batch_lines:
            raise InputError(
                "manifest", f"{asked.manifest} with line {line.number:,}", f"at most {settings.max_batch_lines:,} lines (max_batch_lines)"
            )
        try:
            job = _job(line, asked.name, settings, today=today)
        except EaselError as error:
            tally.refuses(line.number, line.raw, error, bad)
            continue
        # Two users may want the same.
        same = request.digest(job.said) + (job.wanted.safety_identifier or "")
        earlier = first.setdefault(job.wanted.request_id or same, line.number)
        if earlier == line.number:
            yield job
        elif job.wanted.request_id:
            tally.refuses(line.number, line.raw, InputError("request_id", job.run_id, f"one of its own; line {earlier} has this one"), bad)
        else:
            # More often a slip than a wish, and would be paid twice: it is no line that is still to be made.
            twice = InputError("the line", f"the same as line {earlier}", "each request once: count makes variations of one")
            tally.refuses(line.number, None, twice, bad)


def _job(line: Line, name: str, settings: Settings, *, today: date) -> Job:
    if line.error or line.said is None:
        raise line.error or InputError("the line", line.raw, "a request")
    for field_, allowed in (("action", ("create",)), ("dry_run", (False,))):
        if line.said.get(field_) not in (None, *allowed):
            raise InputError(field_, line.said[field_], "not in a line: a batch makes pictures, and dry_run is said of all of it")
    wanted = request.parse(line.said, request.defaults(settings), today=today)
    run_id = wanted.request_id or keys.batch_line(name, line.number)
    question = pricing.question(wanted, writing.pick_topic(wanted, run_id=run_id), settings, today=today)
    return Job(line=line.number, run_id=run_id, raw=line.raw, said=line.said, wanted=wanted, question=question)


def _check_same(job: Job, known: RunRecords) -> None:
    """Raise ConflictError where the line's run id stands for another picture already, which would be taken for this one."""
    prompt = known[0]
    if prompt and prompt.digest != request.digest(job.said):
        raise ConflictError(
            f"run {job.run_id} belongs to another request: put the line back as it was and a changed one at the end, or give it a "
            "request_id that was never used, or the batch another name"
        )


def _missing(job: Job, known: RunRecords, *, economy: bool, mirror: str | None) -> tuple[int | None, bool]:
    """The upper bound of what one line still costs, in micro-dollars or None, and whether it is finished."""
    prompt, _, images = known
    statuses = {image.n: image.status for image in images}
    numbers = range(1, job.wanted.count + 1)
    # What is ordered at OpenAI's Batch API has its money reserved already.
    ordered = {image.n for image in images if image.order}
    missing = sum(statuses.get(n, CLAIMED) == CLAIMED and n not in ordered for n in numbers)
    question = None if prompt else job.question
    cost = pricing.estimate(job.wanted, question, text=prompt.text if prompt else None, pictures=missing, economy=economy)
    finished = all(statuses.get(n) in FINISHED for n in numbers) and not any(image.is_missed(mirror) for image in images)
    return cost, finished


def _item(job: Job, *, user: str | None = None) -> dict[str, Any]:
    """A line as it is written down; to be made, with the batch's own user where it says none."""
    said = job.said if job.wanted.safety_identifier or not user else job.said | {"safety_identifier": user}
    return {"line": job.line, "run_id": job.run_id, "pictures": job.wanted.count, "request": said}


def _fetched(asked: Asked, file: IO[bytes], store: ObjectStore) -> tuple[Asked, str]:
    """Copy the manifest into a file, and give it with its version; a key without an ending stands for whichever is there."""
    named = asked.manifest.endswith(tuple(f".{ending}" for ending in keys.MANIFEST_ENDINGS))
    for key in (asked.manifest,) if named else [f"{asked.manifest}.{ending}" for ending in keys.MANIFEST_ENDINGS]:
        version_id = store.fetch(key, file, version_id=asked.version_id, limit=MAX_BYTES)
        if version_id is not None:
            return replace(asked, manifest=key), version_id
    raise InputError("manifest", asked.manifest, "the key of a file that is in the bucket, in a version that is there")


def _refusal(asked: Asked, tally: Tally, problems_key: str, state: MonthBudget, budget: Budget) -> EaselError | None:
    """Why the batch may not begin, if it may not."""
    total = tally.lines + tally.bad
    if total == 0:
        return InputError("manifest", f"{asked.manifest} without a line", "at least one request")
    if tally.bad * 100 > asked.tolerated_failure_percentage * total or not tally.lines:
        told = "; ".join(f"line {one['line']}: {one['message']}" for one in tally.problems[:5])
        more = f"; and {tally.bad - 5} more" if tally.bad > 5 else ""
        return InputError(
            "manifest",
            f"{asked.manifest} with {tally.bad} bad of {total} lines",
            f"{asked.tolerated_failure_percentage:g} % (tolerated_failure_percentage); all of them are in {problems_key}: {told}{more}",
        )
    if asked.allow_partial and (tally.todo or not tally.postponed):
        return None
    try:
        budget.check(state, tally.estimate, purpose=f"batch {asked.name}")
    except BudgetExceededError as error:
        if not asked.allow_partial:
            error.add("with allow_partial: true it makes as many lines as fit")
        return error
    return None


def _groups(jobs: Iterator[Job]) -> Iterator[list[Job]]:
    while group := list(islice(jobs, LINES_AT_ONCE)):
        yield group
