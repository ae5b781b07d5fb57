"""The child executions of a Distributed Map, and how long their records are kept."""

import json
from collections import deque
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import stepfunctions

# A Map may have 10,000 children. ListExecutions searches all executions, so only the newest 1,000
# ended children keep full records. Up to 10,000 older ones keep only their status and times.
_KEPT_IN_FULL = 1_000
_LISTED = 10_000
_in_full: deque[dict[str, Any]] = deque()
_listed: deque[str] = deque()


@dataclass(frozen=True, kw_only=True)
class ChildMachine:
    """The state machine that a Distributed Map's ItemProcessor defines."""

    arn: str
    processor: dict[str, Any]
    query_language: str

    def child(self, event: Any, *, map_run_arn: str, parent: dict[str, Any]) -> dict[str, Any]:
        """Return the record of a new execution with this input."""
        name = new_uuid()
        return {
            "executionArn": f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}",
            "stateMachineArn": self.arn,
            "mapRunArn": map_run_arn,
            "name": name,
            "status": "RUNNING",
            "startDate": now_iso(),
            "stopDate": None,
            "input": json.dumps(event),
            "output": None,
            "testCase": parent.get("testCase"),
            "mockAttempts": {},
            "events": [],
        }

    def run(self, child: dict[str, Any]) -> str:
        """Run the child and return its output as JSON.

        The child sees neither its parent's execution nor its parent's variables.
        """
        text = child["input"]
        details = {"executionStartedEventDetails": {"input": text}}
        stepfunctions._add_event(child, "ExecutionStarted", details)
        event = json.loads(text)
        context = {
            "QueryLanguage": self.query_language,
            "Execution": {
                "Id": child["executionArn"],
                "Input": event,
                "Name": child["name"],
                "StartTime": child["startDate"],
            },
            "StateMachine": {"Id": self.arn, "Name": self.arn.partition(":stateMachine:")[2]},
            "variables": {},
        }
        states, start_at = self.processor.get("States", {}), self.processor.get("StartAt")
        return json.dumps(stepfunctions._run_sub_machine(states, start_at, event, child, context))


def end(child: dict[str, Any], status: str, **outcome: str) -> None:
    """Record how the child ended, unless it was stopped on its own."""
    if child["status"] == "RUNNING":
        child.update(status=status, stopDate=now_iso(), **outcome)
        event_name = status.capitalize()
        details = {f"execution{event_name}EventDetails": outcome}
        stepfunctions._add_event(child, f"Execution{event_name}", details)
    _in_full.append(child)
    if len(_in_full) > _KEPT_IN_FULL:
        older = _in_full.popleft()
        older.update(events=[], input=None, output=None)
        older.update(inputDetails={"included": False}, outputDetails={"included": False})
        _listed.append(older["executionArn"])
    if len(_listed) > _LISTED:
        stepfunctions._executions.pop(_listed.popleft(), None)
