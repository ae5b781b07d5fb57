"""The state machine's executions: how one is started, found, resumed and stopped, and what its history tells of the steps."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from functions.adapters import aws
from functions.adapters.records import Records
from functions.errors import ONE_PICTURE, ConflictError, InputError
from functions.keys import RUN_ID
from functions.settings import api_settings

# The step behind each state of infra/workflow.py; the others have none.
STEP_OF = {
    "Write the prompt": "prompt",
    "Make the image": "image",
    "Store the image": "upload",
    "Clean up and report": "cleanup",
    "Delete or restore": "cleanup",
}
STEPS = ("prompt", "image", "upload", "cleanup")
RUNNING, SUCCEEDED, STOPPED = "RUNNING", "SUCCEEDED", "ABORTED"
FAILURES = ("taskFailedEventDetails", "taskTimedOutEventDetails", "taskStartFailedEventDetails", "taskSubmitFailedEventDetails")
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
        """The execution's name, which is the run id unless the request has one."""
        return self.arn.rpartition(":")[2]

    @property
    def run_id(self) -> str:
        """What the records of the run stand under."""
        given = self.input.get("request_id") if isinstance(self.input, dict) else None
        return str(given or self.name)

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

    name: str
    status: str
    started: datetime
    ended: datetime | None


@dataclass(kw_only=True)
class Step:
    """One step of an execution so far. `entered` and `left` count its states, `attempts` its calls; `failure` is that of the last call."""

    entered: int = 0
    left: int = 0
    attempts: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    failure: tuple[str, str] | None = None


@dataclass(kw_only=True)
class Progress:
    """All steps of an execution so far; `wanted` is how many variations its Map has, `varied` whether all of them are over."""

    steps: dict[str, Step] = field(default_factory=lambda: {name: Step() for name in STEPS})
    wanted: int | None = None
    varied: bool = False


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
            input=json.loads(answer["input"]),
            output=json.loads(answer["output"]) if succeeded else None,
            error=answer.get("error"),
            cause=answer.get("cause"),
            redrivable=answer.get("redriveStatus") == "REDRIVABLE",
        )

    def find(self, name: str, *, book: Records) -> Execution | None:
        """A run's latest execution, by the name or ARN of one of them or by the run's id; None where its prompt is not written yet."""
        if not RUN_ID.fullmatch(name.rpartition(":")[2]):
            return None
        found = self.named(name)
        prompt = book.prompt(found.run_id if found else name)
        if prompt and (found is None or prompt.execution != found.name):
            found = self.named(prompt.execution) or found
        return found

    def progress(self, execution: Execution) -> Progress:
        """What the execution's history tells of its steps."""
        with aws.named(f"reading the history of run {execution.name}"):
            pages = self._client.get_paginator("get_execution_history").paginate(executionArn=execution.arn, includeExecutionData=False)
            return read_history(event for page in pages for event in page["events"])

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
            Listed(name=one["name"], status=one["status"], started=one["startDate"], ended=one.get("stopDate"))
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


def ended_a_picture(run: Execution) -> bool:
    """Whether it ended for a picture that can't be had: a redrive would only tell it again, a start may find what arrived late."""
    return run.error in {error.__name__ for error in ONE_PICTURE}


def message(cause: str | None) -> str:
    """A failure's cause for a person: the function's own message where there is one."""
    try:
        return str(json.loads(cause or "")["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause or ""


def read_history(events: Iterable[dict[str, Any]]) -> Progress:
    """The steps in an execution's history. Each event names the one before it, so that side by side variations are told apart."""
    progress = Progress()
    step_at: dict[int, str | None] = {}
    for event in events:
        name = step_at.get(event.get("previousEventId", 0))
        entered = event.get("stateEnteredEventDetails")
        if entered:
            name = STEP_OF.get(entered["name"])
        elif event["type"] == "MapStateStarted":
            progress.wanted = event["mapStateStartedEventDetails"]["length"]
        elif event["type"] == "MapStateSucceeded":
            progress.varied = True
        elif event["type"] == "ExecutionRedriven":
            for step in progress.steps.values():
                step.entered, step.failure = step.left, None
        step_at[event["id"]] = None if "stateExitedEventDetails" in event else name
        if name:
            _note(progress.steps[name], event)
    return progress


def _note(step: Step, event: dict[str, Any]) -> None:
    failed = next((event[details] for details in FAILURES if details in event), None)
    if "stateEnteredEventDetails" in event:
        step.entered += 1
        step.started = step.started or event["timestamp"]
        step.ended = None
    elif event["type"] == "TaskScheduled":
        step.attempts += 1
    elif failed:
        step.failure = (failed.get("error", "an error"), message(failed.get("cause")))
    elif event["type"] == "TaskSucceeded":
        step.failure = None
    elif "stateExitedEventDetails" in event:
        step.left += 1
        step.ended = event["timestamp"]


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


@cache
def executions() -> Executions:
    """Those of this stack's state machine."""
    return Executions(aws.client("stepfunctions"), machine=api_settings().state_machine)
