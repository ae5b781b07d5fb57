"""Many runs are resumed in one call, and the outcome of each is reported."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from easel.runs.executions import Executions
from tests.support.api import MACHINE, Answer, Api
from tests.support.services import NOW
from tests.unit.api.test_run_list import FakeStepFunctions, failed


class RedrivableStepFunctions(FakeStepFunctions):
    """A fake Step Functions that redrives failed executions, and does not know others."""

    def __init__(self, **executions: dict[str, Any]) -> None:
        super().__init__(**executions)
        self.redriven: list[str] = []

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        if executionArn.rpartition(":")[2] not in self.executions:
            error: Any = {"Error": {"Code": "ExecutionDoesNotExist", "Message": "no"}}
            raise ClientError(error, "DescribeExecution")
        described = super().describe_execution(executionArn=executionArn)
        return described | {"redriveStatus": "REDRIVABLE"}

    def redrive_execution(self, *, executionArn: str) -> None:  # noqa: N803 - boto3's
        self.redriven.append(executionArn.rpartition(":")[2])


def redrive(api: Api, states: RedrivableStepFunctions, body: Any, **more: Any) -> Answer:
    services = api.services.replace_services(executions=Executions(states, machine=MACHINE), **more)
    return api("POST", "/runs/redrive", body, services=services)


def test_each_run_has_its_own_outcome(api: Api) -> None:
    purge = {"action": "delete_folder", "folder_name": "a", "purge": True}
    states = RedrivableStepFunctions(
        broken=failed("AuthError"),
        busy={"status": "RUNNING"},
        purged=failed("StorageBusyError", input=purge),
        other=failed("QuotaExhaustedError"),
    )

    answer = redrive(api, states, {"ids": ["broken", "busy", "gone", "purged", "other", "broken"]})

    assert answer.status == 200
    assert [(run["id"], run["resumed"], run["execution"]) for run in answer.json["runs"]] == [
        ("broken", True, "broken"),
        ("busy", False, None),
        ("gone", False, None),
        ("purged", False, None),
        ("other", True, "other"),
    ]
    errors = [run["error"] and run["error"]["error"] for run in answer.json["runs"]]
    assert errors == [None, "ConflictError", "NotFoundError", "ConflictError", None]
    assert all(run["error"]["what_to_do"] for run in answer.json["runs"] if run["error"])
    assert (answer.json["resumed"], states.redriven) == (2, ["broken", "other"])


def test_runs_without_time_left_are_reported(api: Api) -> None:
    states = RedrivableStepFunctions(
        **{f"run_{n}": failed("AuthError", input={"topic": "Sport"}) for n in range(100)}
    )
    moments = (NOW + timedelta(seconds=n) for n in range(1_000))

    answer = redrive(api, states, {"ids": list(states.executions)}, now=lambda: next(moments))

    late = [run for run in answer.json["runs"] if not run["resumed"]]
    assert len(late) + len(states.redriven) == 100
    assert late
    assert {run["error"]["error"] for run in late} == {"StorageBusyError"}
    assert "send it again" in late[0]["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": []}, {"ids": None}, {"ids": "run_1"}, {"ids": [7]}, {"ids": ["x" * 81]}],
)
def test_call_needs_a_list_of_ids(api: Api, body: dict[str, Any]) -> None:
    answer = redrive(api, RedrivableStepFunctions(), body)

    assert (answer.status, answer.json["field"]) == (400, "ids")


def test_101_runs_are_refused_before_any_is_resumed(api: Api) -> None:
    states = RedrivableStepFunctions(**{f"run_{n}": failed("AuthError") for n in range(101)})

    answer = redrive(api, states, {"ids": list(states.executions)})

    assert (answer.status, answer.json["field"]) == (400, "ids")
    assert "a list of 101 runs" in answer.json["detail"]
    assert "at most 100" in answer.json["allowed"]
    assert states.redriven == []
