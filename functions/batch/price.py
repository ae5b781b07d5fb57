"""Parses the lines of a manifest as runs, and prices what each one is missing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import IO, Any

from easel.aws import json_lines
from easel.contract import naming
from easel.contract.batch_messages import LineProblem
from easel.contract.errors import ConflictError, EaselError, InputError, Summary, summarize
from easel.contract.money import add
from easel.contract.status import Status
from easel.ledger.ledger import LINES_AT_ONCE
from easel.ledger.records import RunRecords
from easel.request.batch_request import BatchRequest
from easel.request.estimate import Quote, quote
from easel.request.fields import drop_nulls
from easel.request.names import RESERVED
from easel.request.references import NO_INPUTS
from easel.request.request import digest, parse
from easel.services import Services
from functions.batch.manifest import Line

SHOWN = 20
NOT_IN_LINES = (
    (("person", "trigger"), "the start of the batch decides it for all lines"),
    (("only_prompt", "edited_prompt"), "a line is made at once"),
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One good line: its run id, its request, and its price."""

    line: int
    run_id: str
    raw: str
    fields: dict[str, Any]
    preset: dict[str, Any] | None
    quote: Quote

    def to_item(self, *, batch: BatchRequest | None = None) -> dict[str, Any]:
        """Return the line for the lists of lines.

        Pass the `batch` for a line to be made: the line then names who started it.
        """
        fields = self.fields
        if batch:
            user = self.quote.request.safety_identifier or batch.safety_identifier
            caller = {"safety_identifier": user, "person": batch.person, "trigger": "batch"}
            fields = fields | drop_nulls(caller)
        count = self.quote.request.count
        return {"line": self.line, "run_id": self.run_id, "pictures": count, "request": fields}


@dataclass(kw_only=True)
class Tally:
    """The totals so far, in micro-dollars. The estimate is None once a price is unknown.

    `room` returns whether a sum still fits under the month's cap. It is None if no line may be
    postponed.
    """

    bad_file: IO[bytes]
    room: Callable[[int], bool] | None
    lines: int = 0
    pictures: int = 0
    todo: int = 0
    postponed: int = 0
    bad: int = 0
    estimate: int | None = 0
    taken: int = 0
    problems: list[LineProblem] = field(default_factory=list)

    def refuse(self, line: int, raw: str | None, error: EaselError) -> None:
        """Count a bad line and write it to the problems. `raw` is None for a duplicate."""
        self.bad += 1
        problem = LineProblem(
            line=line,
            field=error.field if isinstance(error, InputError) else None,
            error=type(error).__name__,
            message=str(error),
        )
        if len(self.problems) < SHOWN:
            self.problems.append(problem)
        json_lines.write(self.bad_file, problem.to_state() | {"raw": raw})

    def take(self, cost: int | None, *, finished: bool, pictures: int) -> bool:
        """Count a good line, and return whether it is to be made.

        A finished line is not made again. A line that no longer fits into the budget is postponed.
        """
        self.lines += 1
        self.pictures += pictures
        self.estimate = add([self.estimate, cost])
        if finished:
            return False
        if self.room and cost and not self.room(self.taken + cost):
            self.postponed += 1
            return False
        self.taken += cost or 0
        self.todo += 1
        return True


class Pricing:
    """Prices the lines of one manifest."""

    def __init__(self, batch: BatchRequest, services: Services) -> None:
        self._batch, self._services = batch, services
        self._references, self._presets = services.references(), services.presets

    def jobs(self, lines: Iterable[Line], tally: Tally) -> Iterator[Job]:
        """Yield the good lines. Count the bad ones and write them to the problems."""
        first: dict[str, int] = {}  # line number by run id or by request
        most = self._services.batching.max_batch_lines
        for count, line in enumerate(lines):
            if count == most:
                shown = Summary(f"{self._batch.manifest}, which has more lines")
                raise InputError("manifest", shown, f"at most {most:,} lines (max_batch_lines)")
            try:
                job = self._parse_line(line)
            except EaselError as error:
                tally.refuse(line.number, line.raw, error)
                continue
            request = job.quote.request
            # Two users may send the same request, so the user is part of the comparison.
            identity = digest(job.fields, preset=job.preset) + (request.safety_identifier or "")
            earlier = first.setdefault(request.request_id or identity, line.number)
            if earlier == line.number:
                yield job
            elif request.request_id:
                reason = f"line {earlier} already has it"
                duplicate = InputError("request_id", job.run_id, "one of its own", but=reason)
                tally.refuse(line.number, line.raw, duplicate)
            else:
                # A repeated line is usually a mistake, and it would be paid for twice.
                allowed = "each request once; use count for variations of one"
                duplicate = InputError("the line", Summary(f"the same as line {earlier}"), allowed)
                tally.refuse(line.number, None, duplicate)

    def price(
        self,
        jobs: Iterator[Job],
        tally: Tally,
        files: tuple[IO[bytes], IO[bytes]],
        *,
        is_new: bool,
    ) -> None:
        """Price what each line is missing. Write all lines, and the lines to be made."""
        all_lines, todo = files
        batch, ledger = self._batch, self._services.ledger
        while group := list(islice(jobs, LINES_AT_ONCE)):
            # The lines of a new batch have no records yet, except a line with its own request_id.
            counts = {
                job.run_id: job.quote.request.count
                for job in group
                if not is_new or job.quote.request.request_id
            }
            known = ledger.runs(counts)
            self._references.look_ahead(
                job.quote.request
                for job in group
                if job.run_id not in known or known[job.run_id].prompt is None
            )
            for new_job in group:
                records = known.get(new_job.run_id, RunRecords())
                try:
                    job = self._with_inputs(new_job, records)
                    _check_same(job, records)
                except (ConflictError, InputError) as error:
                    tally.refuse(new_job.line, new_job.raw, error)
                    continue
                json_lines.write(all_lines, job.to_item())
                cost, finished = self._price_missing(job, records)
                count = job.quote.request.count
                if tally.take(cost, finished=finished, pictures=count):
                    json_lines.write(todo, job.to_item(batch=batch))

    def _parse_line(self, line: Line) -> Job:
        fields = line.fields
        if line.error or fields is None:
            raise line.error or InputError("the line", summarize(line.raw), "a request")
        self._check_owner(fields)
        for names, reason in NOT_IN_LINES:
            for name in names:
                if fields.get(name) is not None:
                    shown = summarize(fields[name])
                    raise InputError(name, shown, "no value in a line", but=reason)
        for name, only in (("action", "create"), ("dry_run", False)):
            if fields.get(name) not in (None, only):
                reason = "a line creates images, and dry_run is a field of the whole batch"
                raise InputError(name, fields[name], str(only).lower(), but=reason)
        settings, today = self._services.requests, self._services.now().date()
        expanded, preset = self._presets.expand(fields)
        request = parse(expanded, settings, today=today)
        run_id = request.request_id or naming.batch_line(self._batch.name, line.number)
        topic = request.pick_topic(run_id)
        line_quote = quote(request, topic, settings, today=today, inputs=NO_INPUTS)
        return Job(
            line=line.number,
            run_id=run_id,
            raw=line.raw,
            fields=fields,
            preset=preset,
            quote=line_quote,
        )

    def _with_inputs(self, job: Job, records: RunRecords) -> Job:
        """Return a line with the images that it names, as its run has fixed them, or as they are.

        Raises InputError if one of them cannot be used.
        """
        request, prompt = job.quote.request, records.prompt
        if not request.reference_images:
            return job
        inputs = prompt.inputs if prompt else self._references.resolve(request)
        settings, today = self._services.requests, self._services.now().date()
        topic = request.pick_topic(job.run_id)
        return replace(job, quote=quote(request, topic, settings, today=today, inputs=inputs))

    def _check_owner(self, fields: Mapping[str, Any]) -> None:
        """Raise InputError for a line in somebody else's name.

        The file may be from someone whom the starter of the batch does not know.
        """
        run_id = fields.get("request_id")
        if isinstance(run_id, str) and naming.is_reserved(run_id):
            raise InputError("request_id", run_id, f"an id that does not begin like {RESERVED}")
        if self._batch.safety_identifier and fields.get("safety_identifier") is not None:
            value = summarize(fields["safety_identifier"])
            reason = "the start of this batch names the user of all its lines"
            raise InputError("safety_identifier", value, "no value in a line", but=reason)

    def _price_missing(self, job: Job, records: RunRecords) -> tuple[int | None, bool]:
        """Return the maximum cost of what the line is missing, and whether it is finished."""
        statuses = {image.n: image.status for image in records.images}
        numbers = range(1, job.quote.request.count + 1)
        # Images ordered at OpenAI's Batch API already have a reservation.
        ordered = {image.n for image in records.images if image.order}
        claimed = Status.CLAIMED
        missing = sum(statuses.get(n, claimed) == claimed and n not in ordered for n in numbers)
        prompt = records.prompt
        line_quote = job.quote.without_question(prompt.text) if prompt else job.quote
        cost = line_quote.total(images=missing, economy=self._batch.economy)
        mirror = self._services.mirror_url
        unmirrored = any(image.is_missing_from(mirror) for image in records.images)
        return cost, not unmirrored and all(statuses.get(n, claimed).is_finished for n in numbers)


def _check_same(job: Job, records: RunRecords) -> None:
    """Raise ConflictError if the line's run id already belongs to another request."""
    prompt = records.prompt
    if prompt and prompt.digest != digest(job.fields, prompt.inputs, preset=prompt.preset):
        raise ConflictError(
            f"run {job.run_id} was made from another request; restore the original line and add the"
            " changed one at the end, or give the line a new request_id, or the batch another name"
        )
