"""The child executions of a Distributed Map in the emulator."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.distributed_map import (
    FALL,
    WITHOUT_FILES,
    a_pass,
    begin,
    children,
    counts,
    distributed,
    map_run,
    task,
)
from tests.support.emulator import CLOSED, Emulator, types

pytestmark = pytest.mark.usefixtures("lists")


def test_child_is_a_separate_execution(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    own = {
        "name": "{% $states.context.Execution.Name %}",
        "input": "{% $states.context.Execution.Input %}",
        "v": "{% $exists($kept) %}",
    }
    no_numbers = {"MaxConcurrency": None, "ToleratedFailurePercentage": None}
    json_path = {"ItemsPath": "$.items", "QueryLanguage": "JSONPath"}
    inner = {"Own": a_pass(Output=own, QueryLanguage="JSONata")}
    states = {
        "Begin": {"Type": "Pass", "Assign": {"kept": 1}, "Next": "Each"},
        "Each": distributed(inner, **WITHOUT_FILES, **no_numbers, **json_path),
    }

    def output(emulator: Emulator) -> Any:
        """Return the child's output and name."""
        execution = emulator.begin(emulator.create_machine("Begin", states), {"items": ["a"]})
        (child,) = json.loads(emulator.wait_for_end(execution)["output"])
        (record,) = children(emulator, map_run(emulator, execution))
        return child, record["name"]

    assert output(plain_emulator)[0]["input"] == {"items": ["a"]}, CLOSED

    child, name = output(patched_emulator)
    assert child == {"name": name, "input": "a", "v": False}


def test_child_retries_and_maps_like_any_execution(
    patched_emulator: Emulator, map_steps: Any, tmp_path: Path
) -> None:
    retry = [{"ErrorEquals": ["NotToday"], "MaxAttempts": 2, "IntervalSeconds": 1}]
    draw = {"StartAt": "Draw", "States": {"Draw": task(map_steps[patched_emulator], Retry=retry)}}
    context = "$states.context"
    merge = f"$merge([{context}.Map.Item.Value, {context}.Execution.Input.request])"
    each = {
        "Type": "Map",
        "Items": [{"topic": "sun"}, {"topic": "snow"}],
        "ItemSelector": {"request": f"{{% {merge} %}}"},
        "ItemProcessor": draw,
        "MaxConcurrency": 1,
        "End": True,
    }
    item = {"topic": "x", "calls": str(tmp_path / "calls"), "fails": 1}

    execution = begin(patched_emulator, distributed({"Inner": each}), [item])

    assert patched_emulator.wait_for_end(execution)["status"] == "SUCCEEDED"
    (child,) = children(patched_emulator, map_run(patched_emulator, execution))
    history = types(patched_emulator.history(child["executionArn"]))
    assert Counter(history)["TaskScheduled"] == 3
    assert Counter(history)["MapIterationSucceeded"] == 2
    assert (history[0], history[-1]) == ("ExecutionStarted", "ExecutionSucceeded")


def test_only_newest_children_keep_histories(patched_emulator: Emulator) -> None:
    items = [{"topic": f"{n}"} for n in range(1_020)]

    execution = begin(patched_emulator, distributed({"Keep": a_pass()}), items, at_once=1)

    patched_emulator.wait_for_end(execution)
    run = map_run(patched_emulator, execution)
    assert counts(run) == {"total": 1_020, "succeeded": 1_020, "resultsWritten": 1_020}
    newest, *_, oldest = children(patched_emulator, run)
    assert oldest["status"] == "SUCCEEDED"
    assert len(patched_emulator.history(newest["executionArn"])) == 4
    assert patched_emulator.history(oldest["executionArn"]) == []
    assert "input" not in patched_emulator.states.describe_execution(
        executionArn=oldest["executionArn"]
    )


def test_child_cannot_be_redriven_alone(patched_emulator: Emulator) -> None:
    execution = begin(patched_emulator, distributed({"Fall": FALL}), [{"topic": "sun"}])
    assert (
        patched_emulator.wait_for_end(execution)["error"]
        == "States.ExceedToleratedFailureThreshold"
    )
    (child,) = children(patched_emulator, map_run(patched_emulator, execution))
    description = patched_emulator.states.describe_execution(executionArn=child["executionArn"])
    assert description["redriveStatus"] == "REDRIVABLE", "by its Map Run"

    with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
        patched_emulator.states.redrive_execution(executionArn=child["executionArn"])
