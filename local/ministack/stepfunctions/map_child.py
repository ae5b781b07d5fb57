"""The child executions of a Distributed Map: what each knows of itself, and what is kept of it."""

import json
from collections import deque
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import stepfunctions

# A Map may have 10,000 children: of those that ended before the newest 1,000 only status and times are kept, and these
# of 10,000, since ListExecutions looks through all there are.
_REMEMBERED = 1_000
_LISTED = 10_000
_remembered: deque[dict[str, Any]] = deque()
_listed: deque[str] = deque()


@dataclass(frozen=True, kw_only=True)
class ChildMachine:
    """The machine that a Distributed Map's ItemProcessor is."""

    arn: str
    processor: dict[str, Any]
    query_language: str

    def child(self, given: Any, *, map_run_arn: str, parent: dict[str, Any]) -> dict[str, Any]:
        """The record of a new execution."""
        name = new_uuid()
        return {
            "executionArn": f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}",
            "stateMachineArn": self.arn,
            "mapRunArn": map_run_arn,
            "name": name,
            "status": "RUNNING",
            "startDate": now_iso(),
            "stopDate": None,
            "input": json.dumps(given),
            "output": None,
            "testCase": parent.get("testCase"),
            "mockAttempts": {},
            "events": [],
        }

    def run(self, child: dict[str, Any]) -> str:
        """Gives the output as a JSON text; the child sees neither its parent's execution nor its variables."""
        text = child["input"]
        stepfunctions._add_event(child, "ExecutionStarted", {"executionStartedEventDetails": {"input": text}})
        given = json.loads(text)
        context = {
            "QueryLanguage": self.query_language,
            "Execution": {"Id": child["executionArn"], "Input": given, "Name": child["name"], "StartTime": child["startDate"]},
            "StateMachine": {"Id": self.arn, "Name": self.arn.partition(":stateMachine:")[2]},
            "variables": {},
        }
        states, start_at = self.processor.get("States", {}), self.processor.get("StartAt")
        return json.dumps(stepfunctions._run_sub_machine(states, start_at, given, child, context))


def end(child: dict[str, Any], status: str, **outcome: str) -> None:
    """Note how the child ended, unless it was stopped by itself."""
    if child["status"] == "RUNNING":
        child.update(status=status, stopDate=now_iso(), **outcome)
        what = status.capitalize()
        stepfunctions._add_event(child, f"Execution{what}", {f"execution{what}EventDetails": outcome})
    _remembered.append(child)
    if len(_remembered) > _REMEMBERED:
        older = _remembered.popleft()
        not_included = {"included": False}
        older.update(events=[], input=None, output=None, inputDetails=not_included, outputDetails=not_included)
        _listed.append(older["executionArn"])
    if len(_listed) > _LISTED:
        stepfunctions._executions.pop(_listed.popleft(), None)
