"""RedriveExecution, which plain MiniStack does not have."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.ministack.stepfunctions import redrive
from tests.support.emulator import CLOSED, Emulator, until

STEP = """
import os, pathlib

class NotYet(Exception):
    pass

def handler(event, context):
    if "calls" in event:
        with open(event["calls"], "a") as calls:
            calls.write(event["name"] + "\\n")
    if not os.path.exists(event.get("needs", "/")):
        raise NotYet(event["needs"])
    return event
"""

TURNS = """
import pathlib, time

def handler(event, context):
    folder = pathlib.Path(event)
    turn = len(list(folder.glob("began-*"))) + 1
    (folder / f"began-{turn}").touch()
    while not (folder / f"released-{turn}").exists():
        time.sleep(0.01)
    (folder / f"ended-{turn}").touch()
    return turn
"""
TURN = "{% $states.result.Payload %}"


@pytest.fixture(scope="session")
def step(patched_emulator: Emulator) -> str:
    """Create a function that fails as long as a file that it needs is missing."""
    return patched_emulator.create_function(STEP)


def task(step: str, payload: Any, **more: Any) -> dict[str, Any]:
    arguments = {"FunctionName": step, "Payload": payload}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": arguments,
        **more,
    }


def inner(states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def refusal(emulator: Emulator, execution: str) -> str:
    with pytest.raises(ClientError) as exc_info:
        emulator.states.redrive_execution(executionArn=execution)
    return str(exc_info.value.response["Error"]["Code"])


def entered(emulator: Emulator, execution: str) -> list[str]:
    """Return the names of the states that were entered since the last redrive."""
    names: list[str] = []
    for event in emulator.history(execution):
        if event["type"] == "ExecutionRedriven":
            names.clear()
        elif event["type"].endswith("StateEntered"):
            names.append(event["stateEnteredEventDetails"]["name"])
    return sorted(names)


def test_plain_ministack_does_not_know_redrives(plain_emulator: Emulator) -> None:
    machine = plain_emulator.create_machine("Stop", {"Stop": {"Type": "Fail"}})
    execution = plain_emulator.begin(machine)
    plain_emulator.wait_for_end(execution)
    assert refusal(plain_emulator, execution) == "InvalidAction", CLOSED


def test_redrive_starts_at_the_failed_state(
    patched_emulator: Emulator, step: str, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    states = {
        "Begin": {
            "Type": "Pass",
            "Assign": {"kept": "{% $states.input.secret %}"},
            "Output": {"n": 7},
            "Next": "Work",
        },
        "Work": task(step, {"needs": str(there)}, Next="Finish", Output="{% $states.input %}"),
        "Finish": {
            "Type": "Pass",
            "Output": {"n": "{% $states.input.n %}", "kept": "{% $kept %}"},
            "End": True,
        },
    }
    execution = patched_emulator.begin(
        patched_emulator.create_machine("Begin", states), {"secret": "x"}
    )
    assert patched_emulator.wait_for_end(execution)["error"] == "NotYet"
    description = patched_emulator.states.describe_execution(executionArn=execution)
    assert description["redriveStatus"] == "REDRIVABLE"

    patched_emulator.states.redrive_execution(executionArn=execution)
    assert patched_emulator.wait_for_end(execution)["error"] == "NotYet", "still missing"
    there.touch()
    answer = patched_emulator.states.redrive_execution(executionArn=execution)

    result = patched_emulator.wait_for_end(execution)
    assert (result["status"], result["output"]) == ("SUCCEEDED", '{"n": 7, "kept": "x"}')
    assert (result["redriveCount"], result["redriveDate"]) == (2, answer["redriveDate"])
    assert "error" not in result
    assert entered(patched_emulator, execution) == ["Finish", "Work"]
    field = "executionRedrivenEventDetails"
    redrives = [event[field] for event in patched_emulator.history(execution) if field in event]
    assert [redrive["redriveCount"] for redrive in redrives] == [1, 2]


def test_each_iteration_resumes_at_its_state(
    patched_emulator: Emulator, step: str, tmp_path: Path
) -> None:
    calls, there = tmp_path / "calls", tmp_path / "there"
    states = {
        "Make": task(
            step,
            {"calls": str(calls), "name": "{% $states.input.name %}"},
            Next="Keep",
            Output="{% $states.input %}",
            Assign={"made": "{% $states.input.name %}"},
        ),
        "Keep": task(step, {"needs": "{% $states.input.needs %}"}, End=True, Output="{% $made %}"),
    }
    each = {
        "Type": "Map",
        "Items": "{% $states.input.items %}",
        "ItemProcessor": inner(states),
        "MaxConcurrency": 1,
        "End": True,
    }
    items = [
        {"name": "a", "needs": "/"},
        {"name": "b", "needs": str(there)},
        {"name": "c", "needs": "/"},
    ]
    execution = patched_emulator.begin(
        patched_emulator.create_machine("Each", {"Each": each}), {"items": items}
    )
    assert patched_emulator.wait_for_end(execution)["error"] == "NotYet"
    assert calls.read_text().split() == ["a", "b"]

    patched_emulator.states.redrive_execution(executionArn=execution)
    assert patched_emulator.wait_for_end(execution)["error"] == "NotYet", "still missing"
    there.touch()
    patched_emulator.states.redrive_execution(executionArn=execution)

    assert patched_emulator.wait_for_end(execution)["output"] == '["a", "b", "c"]'
    assert calls.read_text().split() == ["a", "b", "c"], "a successful step is not repeated"
    assert entered(patched_emulator, execution) == ["Each", "Keep", "Keep", "Make"]


def test_later_loop_round_ignores_earlier_rounds(
    patched_emulator: Emulator, step: str, tmp_path: Path
) -> None:
    calls, there = tmp_path / "calls", tmp_path / "there"
    name = "{% $states.context.Execution.Input.rounds[$round] & $string($states.input) %}"
    work = task(
        step,
        {"calls": str(calls), "name": name, "needs": "{% $needs %}"},
        End=True,
        Output="{% $states.result.Payload.name %}",
    )
    second_round = {"Assign": {"round": 1, "needs": str(there)}}
    states = {
        "Begin": {"Type": "Pass", "Assign": {"round": 0, "needs": "/"}, "Next": "Each"},
        "Each": {
            "Type": "Map",
            "Items": [1, 2],
            "MaxConcurrency": 1,
            "ItemProcessor": inner({"Work": work}),
            "Next": "Again",
        },
        "Again": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $round = 0 %}", **second_round, "Next": "Each"}],
            "Default": "Finish",
        },
        "Finish": {"Type": "Succeed"},
    }
    execution = patched_emulator.begin(
        patched_emulator.create_machine("Begin", states), {"rounds": ["x", "y"]}
    )
    assert patched_emulator.wait_for_end(execution)["status"] == "FAILED"

    there.touch()
    patched_emulator.states.redrive_execution(executionArn=execution)

    assert patched_emulator.wait_for_end(execution)["output"] == '["y1", "y2"]'
    assert calls.read_text().split() == ["x1", "x2", "y1", "y1", "y2"]


def test_parallel_reruns_only_unfinished_branches(
    patched_emulator: Emulator, step: str, tmp_path: Path
) -> None:
    branches = [
        inner({"Left": task(step, {}, End=True, Output="left")}),
        inner({"Right": task(step, {"needs": str(tmp_path / "there")}, End=True, Output="right")}),
    ]
    both = {"Type": "Parallel", "QueryLanguage": "JSONPath", "Branches": branches, "End": True}
    execution = patched_emulator.begin(patched_emulator.create_machine("Both", {"Both": both}))
    assert patched_emulator.wait_for_end(execution)["status"] == "FAILED"

    (tmp_path / "there").touch()
    patched_emulator.states.redrive_execution(executionArn=execution)

    assert patched_emulator.wait_for_end(execution)["output"] == '["left", "right"]'
    assert entered(patched_emulator, execution) == ["Both", "Right"]


def test_redrive_keeps_the_original_definition(
    patched_emulator: Emulator, step: str, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    work = task(step, {"needs": str(there)}, End=True, Output="old")
    machine = patched_emulator.create_machine("Work", {"Work": work})
    execution = patched_emulator.begin(machine)
    patched_emulator.wait_for_end(execution)
    definition = '{"StartAt": "New", "States": {"New": {"Type": "Succeed"}}}'
    patched_emulator.states.update_state_machine(stateMachineArn=machine, definition=definition)
    there.touch()

    patched_emulator.states.redrive_execution(executionArn=execution)

    assert patched_emulator.wait_for_end(execution)["output"] == '"old"'


def test_stopped_execution_is_redriven_ignoring_old_call(
    patched_emulator: Emulator, tmp_path: Path
) -> None:
    work = task(patched_emulator.create_function(TURNS), str(tmp_path), End=True, Output=TURN)
    machine = patched_emulator.create_machine("Work", {"Work": work})
    finish = patched_emulator.create_machine("Finish", {"Finish": {"Type": "Succeed"}})
    execution = patched_emulator.begin(machine)
    until((tmp_path / "began-1").exists)
    patched_emulator.states.stop_execution(executionArn=execution)
    patched_emulator.states.redrive_execution(executionArn=execution)
    until((tmp_path / "began-2").exists)

    for turn in (1, 2):
        (tmp_path / f"released-{turn}").touch()
        until((tmp_path / f"ended-{turn}").exists)
        patched_emulator.wait_for_end(patched_emulator.begin(finish))

    assert patched_emulator.wait_for_end(execution)["output"] == "2"


def test_only_failed_executions_can_be_redriven(patched_emulator: Emulator) -> None:
    succeeded = patched_emulator.begin(
        patched_emulator.create_machine("Finish", {"Finish": {"Type": "Succeed"}})
    )
    patched_emulator.wait_for_end(succeeded)
    wait = {"Type": "Wait", "Seconds": 100, "End": True}

    running = patched_emulator.begin(patched_emulator.create_machine("Wait", {"Wait": wait}))

    assert refusal(patched_emulator, succeeded) == "ExecutionNotRedrivable"
    assert refusal(patched_emulator, running) == "ExecutionNotRedrivable"
    assert refusal(patched_emulator, f"{running}-unknown") == "ExecutionDoesNotExist"

    patched_emulator.states.stop_execution(executionArn=running)


def test_saved_state_is_whole_despite_running_executions() -> None:
    answers = [RuntimeError("dictionary changed size during iteration"), {"executions": {}}]

    def get_state() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    assert redrive._copying_despite_changes(get_state)() == {"executions": {}}
