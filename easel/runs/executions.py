"""The executions of one state machine: a thin client for Step Functions."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from easel.aws.client import error_code, translate_errors
from easel.contract.errors import (
    ENDS_ONE_IMAGE,
    NEVER_RESUMED,
    ConflictError,
    InputError,
    StorageBusyError,
)
from easel.contract.naming import RUN_ID, scheduled_run
from easel.contract.states import ExecutionStatus, State
from easel.runs.history import Progress, read_history

VISIBLE_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds
PAGE = 100
WHOLE_PAGES = {"includeExecutionData": False, "PaginationConfig": {"PageSize": 1000}}
STOPPED = "Stopped"  # the error of an execution that somebody stopped
NO_SUCH = ("ExecutionDoesNotExist", "InvalidArn")


@dataclass(frozen=True, kw_only=True)
class Execution:
    """The state of one execution.

    `status` is the status in Step Functions. `output` is set once the execution has succeeded.
    """

    arn: str
    status: str
    started: datetime
    redriven: datetime | None
    ended: datetime | None
    input: Any
    output: dict[str, Any] | None
    error: str | None
    cause: str | None
    redrivable: bool

    @property
    def name(self) -> str:
        """Return the execution's name, or for a batch's line its run id, which is the known name.

        The name is also the run id unless the request has a request_id.
        """
        return self.run_id if self.is_line else self.arn.rpartition(":")[2]

    @property
    def is_line(self) -> bool:
        """Return whether it is a line of a batch. AWS redrives it only with its whole batch."""
        return "/" in self.arn.rpartition(":")[0]

    @property
    def run_id(self) -> str:
        """Return the id of the run's records."""
        request_id = self.input.get("request_id") if isinstance(self.input, dict) else None
        if isinstance(request_id, str) and RUN_ID.fullmatch(run_id := scheduled_run(request_id)):
            return run_id
        return self.arn.rpartition(":")[2]

    @property
    def action(self) -> str:
        """Return the run's action. Invalid input counts as `create`: its first step refuses it."""
        return (
            str(self.input.get("action") or "create") if isinstance(self.input, dict) else "create"
        )

    @property
    def makes_images(self) -> bool:
        """Return whether this run creates images."""
        return self.action == "create"

    @property
    def only_writes_prompt(self) -> bool:
        """Return whether this run writes its prompt and stops, so that it can be read first."""
        return isinstance(self.input, dict) and self.input.get("only_prompt") is True

    @property
    def is_open(self) -> bool:
        """Return whether the run is running or has succeeded, so it cannot be resumed."""
        return self.status in (ExecutionStatus.RUNNING, ExecutionStatus.SUCCEEDED)

    @property
    def can_be_resumed(self) -> bool:
        """Return whether a new attempt may have another result. A purge is never resumed."""
        if self.is_open or self.error in NEVER_RESUMED or not isinstance(self.input, dict):
            return False
        return self.makes_images or (self.redrivable and self.input.get("purge") is not True)

    @property
    def is_image_failure(self) -> bool:
        """Return whether it failed because an image cannot be made.

        A redrive would only report the image again. A new start may find an image that arrived
        late.
        """
        return self.error in ENDS_ONE_IMAGE


@dataclass(frozen=True, kw_only=True)
class ExecutionSummary:
    """One execution in a list."""

    arn: str
    name: str
    status: str
    started: datetime
    ended: datetime | None


@dataclass(frozen=True, kw_only=True)
class LineCounts:
    """The number of a batch's lines in each state."""

    total: int
    pending: int
    running: int
    succeeded: int
    failed: int
    aborted: int


class Executions:
    """The executions of one state machine."""

    def __init__(self, client: Any, *, machine: str) -> None:
        self._client = client
        self._machine = machine

    def start(self, request: Any, *, name: str | None = None) -> str | None:
        """Start an execution and return its name.

        Return None if an execution of this name has ended or has another input.
        """
        options = {"name": name} if name else {}
        with translate_errors("starting a run"):
            try:
                body = json.dumps(request, ensure_ascii=False)
                answer = self._client.start_execution(
                    stateMachineArn=self._machine, input=body, **options
                )
            except ClientError as error:
                if error_code(error) == "ExecutionAlreadyExists":
                    return None
                raise
        return str(answer["executionArn"]).rpartition(":")[2]

    def arn_of(self, name: str) -> str:
        """Return the ARN of an execution, by its name or ARN."""
        machine = self._machine.replace(":stateMachine:", ":execution:")
        return name if name.startswith("arn:") else f"{machine}:{name}"

    def get(self, name: str) -> Execution | None:
        """Return an execution by its name or ARN, or None if there is none."""
        return self.describe(name)

    def describe(self, name: str) -> Execution | None:
        """Return an execution as Step Functions describes it now, or None if there is none."""
        arn = self.arn_of(name)
        with translate_errors(f"reading run {name!a}"):
            try:
                answer = self._client.describe_execution(executionArn=arn)
            except ClientError as error:
                if error_code(error) in NO_SUCH:
                    return None
                raise
        succeeded = answer["status"] == ExecutionStatus.SUCCEEDED
        return Execution(
            arn=answer["executionArn"],
            status=answer["status"],
            started=answer["startDate"],
            redriven=answer.get("redriveDate"),
            ended=answer.get("stopDate"),
            input=_request(json.loads(answer["input"])),
            output=json.loads(answer["output"]) if succeeded else None,
            error=answer.get("error"),
            cause=answer.get("cause"),
            # For a batch's line, this status means that its Map Run can be redriven.
            redrivable=answer.get("redriveStatus") == "REDRIVABLE" and "mapRunArn" not in answer,
        )

    def wait_until_visible(
        self, name: str, *, until: Callable[[Execution], bool] = bool
    ) -> Execution:
        """Return an execution that was just started or resumed, which AWS may show late.

        Raises StorageBusyError if it does not appear at all.
        """
        execution = None
        for wait in (0, *VISIBLE_WAITS):
            time.sleep(wait)
            execution = self.describe(name) or execution
            if execution and until(execution):
                break
        if execution is None:
            raise StorageBusyError(f"run {name} was started, but is not visible yet")
        return execution

    def progress(self, execution: Execution) -> Progress:
        """Return the progress of an execution's steps."""
        with translate_errors(f"reading the history of run {execution.name}"):
            paginator = self._client.get_paginator("get_execution_history")
            pages = paginator.paginate(executionArn=execution.arn, **WHOLE_PAGES)
            return read_history(event for page in pages for event in page["events"])

    def checked_manifest(self, execution: Execution) -> dict[str, Any] | None:
        """Return the result of the check of a batch's manifest, or None if there is none yet.

        It is in the first page of the history.
        """
        with translate_errors(f"reading the history of {execution.name}"):
            answer = self._client.get_execution_history(
                executionArn=execution.arn, includeExecutionData=True
            )
        for event in answer["events"]:
            details = event.get("stateExitedEventDetails")
            if details and details["name"] == State.CHECK_MANIFEST:
                result: dict[str, Any] = json.loads(details["output"])
                return result
        return None

    def line_counts(self, execution: Execution) -> LineCounts | None:
        """Return the line counts of a batch's latest Distributed Map, or None if there is none yet.

        Lines that timed out count as failed.
        """
        runs = self.map_runs(execution)
        if not runs:
            return None
        with translate_errors(f"counting the lines of {execution.name}"):
            items = self._client.describe_map_run(mapRunArn=runs[-1])["itemCounts"]
        return LineCounts(
            total=items["total"],
            pending=items["pending"],
            running=items["running"],
            succeeded=items["succeeded"],
            failed=items["failed"] + items["timedOut"],
            aborted=items["aborted"],
        )

    def map_runs(self, execution: Execution) -> list[str]:
        """Return the ARNs of the runs of a batch's Distributed Maps, oldest first."""
        with translate_errors(f"listing the Map Runs of {execution.name}"):
            runs = self._client.list_map_runs(executionArn=execution.arn)["mapRuns"]
        return [run["mapRunArn"] for run in sorted(runs, key=lambda run: run["startDate"])]

    def page(
        self,
        *,
        limit: int,
        after: str | None,
        status: ExecutionStatus | None = None,
        map_run: str | None = None,
    ) -> tuple[list[ExecutionSummary], str | None]:
        """Return executions, newest first, and the cursor of the next page.

        `status` leaves only the executions with this status. `map_run` lists the children of this
        Map Run instead. Raises InputError for an unknown cursor.
        """
        of = {"mapRunArn": map_run} if map_run else {"stateMachineArn": self._machine}
        start = {"nextToken": after} if after else {}
        start |= {"statusFilter": status.value} if status else {}
        with translate_errors("listing the runs"):
            try:
                answer = self._client.list_executions(maxResults=limit, **of, **start)
            except ClientError as error:
                if after and error_code(error) in ("InvalidToken", "ValidationException"):
                    allowed = "the cursor of an earlier answer, unchanged"
                    raise InputError("cursor", after, allowed) from None
                raise
        summaries = [
            ExecutionSummary(
                arn=item["executionArn"],
                name=item["name"],
                status=item["status"],
                started=item["startDate"],
                ended=item.get("stopDate"),
            )
            for item in answer["executions"]
        ]
        return summaries, answer.get("nextToken")

    def names(self, *, most: int) -> Iterator[str]:
        """Yield the names of the latest executions, newest first."""
        cursor = None
        while most > 0:
            summaries, cursor = self.page(limit=min(most, PAGE), after=cursor)
            yield from (summary.name for summary in summaries)
            most -= len(summaries)
            if cursor is None:
                return

    def redrive(self, run: Execution) -> None:
        """Redrive a failed execution. Raises ConflictError if Step Functions refuses."""
        with translate_errors(f"redriving run {run.name}"):
            try:
                self._client.redrive_execution(executionArn=run.arn)
            except ClientError as error:
                if error_code(error) == "ExecutionNotRedrivable":
                    raise ConflictError(
                        f"run {run.name} cannot be resumed; another caller may have been first"
                    ) from error
                raise

    def stop(self, run: Execution) -> None:
        """Stop a running execution. The images it has bought stay in staging."""
        cause = "stopped by hand; a resume continues it and pays only for what is missing"
        with translate_errors(f"stopping run {run.name}"):
            self._client.stop_execution(executionArn=run.arn, error=STOPPED, cause=cause)


def _request(run_input: Any) -> Any:
    """Return a run's request. For a batch's line it is inside the input, next to the run id."""
    if not isinstance(run_input, dict) or "execution_name" not in run_input:
        return run_input
    if not isinstance(run_input.get("request"), dict):
        return run_input
    return run_input["request"] | {"request_id": run_input["execution_name"]}
