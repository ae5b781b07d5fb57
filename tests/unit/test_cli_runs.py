"""Runs in the command line."""

from datetime import UTC, datetime
from typing import Any

from cli import runs
from cli.target import Target
from easel.contract.states import ExecutionStatus
from easel.ledger.ledger import Ledger
from easel.runs.executions import Executions
from easel.runs.runs import Runs

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:easel"


class SlowStepFunctions:
    """A fake Step Functions that shows a redriven execution as failed for two more queries."""

    def __init__(self) -> None:
        self.has_redrive, self.late = False, 2

    def describe_execution(self, **call: Any) -> dict[str, Any]:
        status = ExecutionStatus.FAILED
        if self.has_redrive:
            self.late -= 1
            status = ExecutionStatus.RUNNING if self.late < 0 else status
        return {
            "executionArn": call["executionArn"],
            "status": status,
            "startDate": datetime(2026, 11, 28, tzinfo=UTC),
            "input": "{}",
            "error": "AuthError",
            "redriveStatus": "REDRIVABLE",
        }

    def redrive_execution(self, **_: Any) -> None:
        self.has_redrive = True

    def get_paginator(self, _name: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"events": []}]


def test_redrive_waits_until_it_is_visible(ledger: Ledger) -> None:
    target = Target(endpoint=None, region="r", bucket="b", table="t", state_machine_arn=MACHINE)
    executions = Executions(SlowStepFunctions(), machine=MACHINE)
    vars(target)["runs"] = Runs(executions, ledger)

    assert runs.resume(target, "run-1").status == ExecutionStatus.RUNNING
