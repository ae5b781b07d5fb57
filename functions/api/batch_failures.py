"""The lines of a batch that cannot be made, that failed, or of which OpenAI refused images.

Once a batch has a report, the report's file lists them all. Until then, and after a stop, they come
from three sources, one after the other: the file of the check, the failed executions of lines, and
the records of refused images. Each request reads a bounded part of one or more sources.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.aws.table import MAX_BATCH
from easel.contract import naming
from easel.contract.errors import BatchFailedError, InputError, cause_message
from easel.contract.states import ExecutionStatus
from easel.ledger.batches import FAILURES, LINES, PROBLEMS, Reason, refusal_of
from easel.runs.executions import Execution, ExecutionSummary
from functions.api import batch_schemas, batches
from functions.api.batch_lines import MAX_OFFSET, Page, read_file, work_key
from functions.api.batch_schemas import BatchFailure
from functions.api.caller import check_parameters
from functions.api.problems import advice_for
from functions.api.run_filters import MAX_CURSOR
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
MOST = 50
SCANNED = 100  # lines whose records one request reads for refused images
CURSOR = re.compile(r"([a-z]+)~(.*)", re.DOTALL)
FIX_LINE = "Correct this line in the file, then start the batch again."
# A source takes a place and a number, and returns failures and the place of the next ones or None.
Found = tuple[list[BatchFailure], str | None]
Source = Callable[[str, int], Found]


@router.get("/batches/<name>/failures")
def list_failures(
    name: batches.BatchName,
    cursor: Annotated[str | None, Query(min_length=1, max_length=MAX_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 20,
    execution: batches.StartQuery = None,
) -> batch_schemas.BatchFailures:
    """Return the lines of a batch that failed or were refused, with reasons in plain words.

    A page may be short or empty while there is a `cursor`, and longer than `limit` if an order in
    economy failed with many lines.
    """
    services = services_of(router)
    check_parameters(router.current_event, "limit", "cursor", "execution")
    run = batches.find(name, services, execution=execution)
    sources = Failures(name, run, services).sources()
    source, place = _read_cursor(cursor, sources)
    names: list[str] = list(sources)
    found: list[BatchFailure] = []
    while source is not None and len(found) < limit:
        more, following = sources[source](place, limit - len(found))
        found += more
        if following is not None:
            place = following
            break
        later = names[names.index(source) + 1 :]
        source, place = (later[0] if later else None), ""
    rest = f"{source}~{place}" if source else None
    return batch_schemas.BatchFailures(failures=_with_links(found, services), cursor=rest)


class Failures:
    """The failures of one start of a batch."""

    def __init__(self, name: str, run: Execution, services: ApiServices) -> None:
        self._name, self._run, self._services = name, run, services

    def sources(self) -> Mapping[str, Source]:
        """Return the sources of failures in the order in which they are read."""
        run = self._run
        if run.error == BatchFailedError.__name__ or (run.output and "report_key" in run.output):
            return {"report": self._of_report}
        return {"check": self._of_check, "lines": self._of_lines, "refused": self._of_refused}

    def _of_report(self, place: str, most: int) -> Found:
        key = naming.batch_file(self._name, FAILURES)
        problems, following = self._read(key, place, most)
        return [self._of_problem(problem) for problem in problems], following

    def _of_check(self, place: str, most: int) -> Found:
        key = work_key(self._name, self._run, PROBLEMS)
        problems, following = self._read(key, place, most)
        return [self._of_problem(problem) for problem in problems], following

    def _of_lines(self, place: str, most: int) -> Found:
        """Return the failures of the executions of lines, and of orders in economy.

        The place is the number of the Map, and Step Functions' token.
        """
        executions = self._services.batch_executions
        number, _, token = place.partition(".")
        maps, at = executions.map_runs(self._run), _number(number)
        if at >= len(maps):
            return [], None
        page, following = executions.page(
            limit=most, after=token or None, status=ExecutionStatus.FAILED, map_run=maps[at]
        )
        found = [
            failure
            for child in page
            for failure in self._services.line_failures.read(child, self._of_execution) or ()
        ]
        if following:
            return found, f"{at}.{following}"
        return found, f"{at + 1}." if at + 1 < len(maps) else None

    def _of_execution(self, child: ExecutionSummary) -> list[BatchFailure] | None:
        execution = self._services.batch_executions.get(child.arn)
        if execution is None:
            return None
        reason = (execution.error or "Unknown", cause_message(execution.cause))
        pictures = execution.input.get("pictures") if isinstance(execution.input, dict) else None
        # An order in economy has pictures of many lines.
        run_ids = [picture["run_id"] for picture in pictures or [{"run_id": execution.run_id}]]
        return [
            self._failure(reason, line=self._line_of(run_id), run_id=run_id)
            for run_id in dict.fromkeys(run_ids)
        ]

    def _of_refused(self, place: str, _most: int) -> Found:
        """Return the refused lines among the next lines, which may be none or many."""
        key = work_key(self._name, self._run, LINES)
        items, following = self._read(key, place, SCANNED)
        found = []
        for item, records in self._services.ledger.join_records(items):
            reason = refusal_of(records, item["pictures"])
            if reason:
                found.append(self._failure(reason, line=item["line"], run_id=item["run_id"]))
        return found, following

    def _read(self, key: str, place: str, most: int) -> tuple[list[Any], str | None]:
        page: Page | None = read_file(key, self._services, start=_number(place), most=most)
        items, following = page or ([], None)
        return items, None if following is None else str(following)

    def _of_problem(self, problem: dict[str, Any]) -> BatchFailure:
        reason = (problem["error"], problem["message"])
        failure = {"line": problem["line"], "run_id": problem.get("run_id")}
        return self._failure(reason, **failure, field=problem["field"])

    def _failure(
        self, reason: Reason, *, line: int | None, run_id: str | None, field: str | None = None
    ) -> BatchFailure:
        error, message = reason
        advice = advice_for(error)
        return BatchFailure(
            line=line,
            run_id=run_id,
            field=field,
            error=error,
            title=advice.title if run_id else "This line cannot be made",
            message=message,
            what_to_do=advice.what_to_do if run_id else FIX_LINE,
            url=None,
        )

    def _line_of(self, run_id: str) -> int | None:
        """Return the number in a line's run id, or None if the line has its own request_id."""
        match = re.fullmatch(rf"{re.escape(self._name)}-(\d{{1,6}})", run_id)
        return int(match[1]) if match else None


def _with_links(found: list[BatchFailure], services: ApiServices) -> list[BatchFailure]:
    """Return the failures with the URLs of their runs. A run without a prompt is not found."""
    run_ids = [failure.run_id for failure in found if failure.run_id]
    known = {
        run_id
        for start in range(0, len(run_ids), MAX_BATCH)
        for run_id in services.gallery.prompts(run_ids[start : start + MAX_BATCH])
    }
    return [
        replace(failure, url=services.run_url(failure.run_id))
        if failure.run_id in known
        else failure
        for failure in found
    ]


def _read_cursor(cursor: str | None, sources: Mapping[str, Source]) -> tuple[str | None, str]:
    if cursor is None:
        return next(iter(sources)), ""
    match = CURSOR.fullmatch(cursor)
    if match is None:
        raise InputError("cursor", cursor, "the cursor of an earlier answer, unchanged")
    # A batch that has ended since then has a report, whose list begins at its beginning.
    return (match[1], match[2]) if match[1] in sources else (next(iter(sources)), "")


def _number(place: str) -> int:
    if not place:
        return 0
    if not (place.isascii() and place.isdecimal() and int(place) <= MAX_OFFSET):
        raise InputError("cursor", place, "the cursor of an earlier answer, unchanged")
    return int(place)
