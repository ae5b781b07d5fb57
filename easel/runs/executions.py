"""The state machine's executions: how one is started, found, resumed and stopped."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from functions.adapters import aws
from functions.adapters.history import Progress, read_history
from functions.adapters.records import Records
from functions.errors import ONE_PICTURE, ConflictError, InputError, StorageBusyError
from functions.keys import RUN_ID
from functions.settings import api_settings

RUNNING, SUCCEEDED, STOPPED = "RUNNING", "SUCCEEDED", "ABORTED"
BEGUN_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds; Step Functions tells of a new execution in the end
WHOLE_PAGES = {"includeExecutionData": False, "PaginationConfig": {"PageSize": 1000}}
CHECK = "Check the manifest"  # the first state of infra/batch.py
NO_SUCH = ("ExecutionDoesNotExist", "InvalidArn")


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution as it stands; `status` in Step Functions' own words, `output` once it has succeeded."""

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
        """The execution's name, which is the run id unless the request has one; a batch's line goes by its run id, which people know."""
        machine, _, name = self.arn.rpartition(":")
        return self.run_id if "/" in machine else name

    @property
    def run_id(self) -> str:
        """What the records of the run stand under."""
        given = self.input.get("request_id") if isinstance(self.input, dict) else None
        return given if isinstance(given, str) and RUN_ID.fullmatch(given) else self.arn.rpartition(":")[2]

    @property
    def action(self) -> str:
        """What it does; input that is no object is refused by the step that makes pictures."""
        return str(self.input.get("action") or "create") if isinstance(self.input, dict) else "create"

    @property
    def makes_pictures(self) -> bool:
        """Whether it is no delete and no restore."""
        return self.action == "create"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One execution in a list."""

    arn: str
    name: str
    status: str
    started: datetime
    ended: datetime | None


class Executions:
    """The executions of one state machine."""

    def __init__(self, client: Any, *, machine: str) -> None:
        self._client = client
        self._machine = machine

    def start(self, request: Any, *, name: str | None = None) -> str | None:
        """Start an execution and give its name; None where this name was taken by one that has ended, or has another input."""
        named = {"name": name} if name else {}
        with aws.named("starting a run"):
            try:
                body = json.dumps(request, ensure_ascii=False)
                answer = self._client.start_execution(stateMachineArn=self._machine, input=body, **named)
            except ClientError as error:
                if _code(error) == "ExecutionAlreadyExists":
                    return None
                raise
        return str(answer["executionArn"]).rpartition(":")[2]

    def named(self, name: str) -> Execution | None:
        """An execution by its name or ARN, None where there is none."""
        arn = name if name.startswith("arn:") else f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"
        with aws.named(f"looking at run {name!a}"):
            try:
                answer = self._client.describe_execution(executionArn=arn)
            except ClientError as error:
                if _code(error) in NO_SUCH:
                    return None
                raise
        succeeded = answer["status"] == SUCCEEDED
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
            redrivable=answer.get("redriveStatus") == "REDRIVABLE",
        )

    def begun(self, name: str, *, until: Callable[[Execution], bool] = bool) -> Execution:
        """An execution that was started or resumed just now: it may be told late. Raises StorageBusyError where it is not told at all."""
        found = None
        for wait in (0, *BEGUN_WAITS):
            time.sleep(wait)
            found = self.named(name) or found
            if found and until(found):
                break
        if found is None:
            raise StorageBusyError(f"run {name} was started, and can't be looked at yet")
        return found

    def latest(self, run_id: str, *, book: Records, than: Execution | None) -> Execution | None:
        """A run's latest execution that came past the request's check, if it is later `than` the one that is known already."""
        prompt = book.prompt(run_id)
        found = self.named(prompt.execution) if prompt else None
        return found if found and (than is None or found.started > than.started) else than

    def progress(self, execution: Execution) -> Progress:
        """What the execution's history tells of its steps."""
        with aws.named(f"reading the history of run {execution.name}"):
            pages = self._client.get_paginator("get_execution_history").paginate(executionArn=execution.arn, **WHOLE_PAGES)
            return read_history(event for page in pages for event in page["events"])

    def checked(self, execution: Execution) -> dict[str, Any] | None:
        """What the check of a batch's manifest found, None where it has not passed. It is in the first page of the history."""
        with aws.named(f"reading the history of {execution.name}"):
            events = self._client.get_execution_history(executionArn=execution.arn, includeExecutionData=True)["events"]
        left = (event["stateExitedEventDetails"] for event in events if "stateExitedEventDetails" in event)
        found = next((details for details in left if details["name"] == CHECK), None)
        return json.loads(found["output"]) if found else None

    def page(self, *, limit: int, after: str | None) -> tuple[list[Listed], str | None]:
        """Executions, newest first, and the cursor of the next page. Raises InputError for a cursor that is none."""
        start = {"nextToken": after} if after else {}
        with aws.named("listing the runs"):
            try:
                answer = self._client.list_executions(stateMachineArn=self._machine, maxResults=limit, **start)
            except ClientError as error:
                if after and _code(error) in ("InvalidToken", "ValidationException"):
                    raise InputError("cursor", after, "the cursor of an earlier answer, unchanged") from None
                raise
        listed = [
            Listed(arn=one["executionArn"], name=one["name"], status=one["status"], started=one["startDate"], ended=one.get("stopDate"))
            for one in answer["executions"]
        ]
        return listed, answer.get("nextToken")

    def names(self, *, most: int) -> Iterator[str]:
        """The names of the latest executions, newest first."""
        cursor = None
        while most > 0:
            listed, cursor = self.page(limit=min(most, 100), after=cursor)
            yield from (one.name for one in listed)
            most = most - len(listed) if cursor else 0

    def resume(self, run: Execution) -> str:
        """Go on with a run that failed: by Redrive, else by a new start with its input and run id. Gives the execution's name.

        Raises ConflictError where there is nothing to go on with.
        """
        if run.status in (RUNNING, SUCCEEDED):
            raise ConflictError(f"run {run.name} is {run.status}: there is nothing to go on with")
        if run.redrivable and not ended_a_picture(run):
            with aws.named(f"redriving run {run.name}"):
                try:
                    self._client.redrive_execution(executionArn=run.arn)
                except ClientError as error:
                    if _code(error) == "ExecutionNotRedrivable":
                        raise ConflictError(f"run {run.name} can't be redriven: somebody else may have been first") from error
                    raise
            return run.name
        if not isinstance(run.input, dict) or not run.makes_pictures:
            raise ConflictError(f"run {run.name} can't be redriven any more, and starting it anew is yours to decide: it makes no pictures")
        return str(self.start(run.input | {"request_id": run.run_id}))

    def stop(self, run: Execution) -> None:
        """Stop a run that is running; what it has bought waits in staging."""
        with aws.named(f"stopping run {run.name}"):
            self._client.stop_execution(executionArn=run.arn, error="Stopped", cause="stopped by hand; a redrive goes on with it")


def _request(given: Any) -> Any:
    """What was asked for; a batch's line has it inside of its input, and its run id beside."""
    if isinstance(given, dict) and isinstance(given.get("request"), dict) and "execution_name" in given:
        return given["request"] | {"request_id": given["execution_name"]}
    return given


def ended_a_picture(run: Execution) -> bool:
    """Whether it ended for a picture that can't be had: a redrive would only tell it again, a start may find what arrived late."""
    return run.error in {error.__name__ for error in ONE_PICTURE}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


@cache
def executions() -> Executions:
    """Those of this stack's state machine."""
    return Executions(aws.client("stepfunctions"), machine=api_settings().state_machine)


@cache
def batch_executions() -> Executions:
    """Those of this stack's machine of batches."""
    return Executions(aws.client("stepfunctions"), machine=api_settings().batch_state_machine)
