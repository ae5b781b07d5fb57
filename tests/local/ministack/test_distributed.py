"""Distributed Maps in the emulator: items and results in a bucket, tolerance and stop."""

import json
from pathlib import Path
from typing import Any

import pytest
from ministack.services import stepfunctions

from local.ministack.stepfunctions.distributed import _with_map_runs
from tests.support.distributed_map import (
    BUCKET,
    FALL,
    READER,
    WITHOUT_FILES,
    a_pass,
    begin,
    children,
    counts,
    distributed,
    map_run,
    result_files,
    task,
)
from tests.support.emulator import CLOSED, Emulator, types, until

pytestmark = pytest.mark.usefixtures("lists")

LINE_SEPARATOR = "\u2028"


def test_each_line_runs_as_a_child(
    plain_emulator: Emulator, patched_emulator: Emulator, map_steps: Any
) -> None:
    topics = [f"sun{LINE_SEPARATOR}rise", "rain", "snow"]
    items = [{"topic": topic} for topic in topics]
    items[1]["raise"] = "no"
    unknown = plain_emulator.wait_for_end(
        begin(plain_emulator, distributed({"Draw": task(map_steps[plain_emulator])}), items)
    )
    assert unknown["error"] == "States.ItemReaderFailed", CLOSED

    state = distributed({"Draw": task(map_steps[patched_emulator])})
    execution = begin(patched_emulator, state, items, tolerated=34)

    description = patched_emulator.wait_for_end(execution)
    run = map_run(patched_emulator, execution)
    assert (description["status"], run["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert counts(run) == {"total": 3, "succeeded": 2, "failed": 1, "resultsWritten": 3}
    output = json.loads(description["output"])
    folder = f"{output['input']['results_prefix']}/{run['mapRunArn'].rpartition(':')[2]}"
    details = {"Bucket": BUCKET, "Key": f"{folder}/manifest.json"}
    assert output["result"] == {"MapRunArn": run["mapRunArn"], "ResultWriterDetails": details}
    files = result_files(patched_emulator, run)
    assert sorted(files) == ["FAILED", "SUCCEEDED"]
    succeeded = files["SUCCEEDED"]
    lines = {json.loads(child["Input"])["line"]: json.loads(child["Output"]) for child in succeeded}
    assert lines == {0: f"SUN{LINE_SEPARATOR}RISE", 2: "SNOW"}
    (failed,) = files["FAILED"]
    assert (failed["Status"], failed["Error"]) == ("FAILED", "NotToday")
    parent = execution.rpartition(":")[2]
    assert json.loads(failed["Input"]) == {"request": items[1], "line": 1, "parent": parent}
    assert {"ExecutionArn", "Name", "StateMachineArn", "StartDate", "StopDate"} <= failed.keys()
    assert {"RedriveCount", "RedriveStatus"} <= failed.keys()
    assert "Output" not in failed
    history = patched_emulator.history(execution)
    assert types(history) == [
        "ExecutionStarted",
        "MapStateEntered",
        "MapStateStarted",
        "MapRunStarted",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    assert history[3]["mapRunStartedEventDetails"] == {"mapRunArn": run["mapRunArn"]}


def test_reader_uses_the_given_version(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def topics(emulator: Emulator) -> Any:
        s3, place = emulator.s3, {"Bucket": BUCKET, "Key": "list.jsonl"}
        version = s3.put_object(**place, Body='{"topic": "old"}\n')["VersionId"]
        s3.put_object(**place, Body='{"topic": "new"}\n')
        no_numbers = {"MaxConcurrency": None, "ToleratedFailurePercentage": None}
        fields = {**WITHOUT_FILES, **no_numbers}
        fields["ItemReader"] = {**READER, "Arguments": {**place, "VersionId": version}}
        state = distributed({"Keep": a_pass()}, **fields)
        return json.loads(emulator.wait_for_end(begin(emulator, state, []))["output"])

    assert topics(plain_emulator) == [{"topic": "new"}], CLOSED
    assert topics(patched_emulator) == [{"topic": "old"}]


@pytest.mark.parametrize("content", [None, b'{"topic"\n'])
def test_unreadable_items_fail_the_map(patched_emulator: Emulator, content: bytes | None) -> None:
    key = "broken.jsonl" if content else "missing"
    if content:
        patched_emulator.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    error = "States.ItemReaderFailed"
    output = "{% $states.errorOutput.Error %}"
    catch = {"ErrorEquals": [error], "Output": output, "Next": "Caught"}

    state = distributed({"Keep": a_pass()}, Catch=[catch])
    execution = begin(patched_emulator, state, [], items_key=key)

    assert patched_emulator.wait_for_end(execution)["output"] == f'"{error}"'
    assert map_run(patched_emulator, execution)["status"] == "FAILED"
    events = types(patched_emulator.history(execution))
    assert events[3:6] == ["MapRunStarted", "MapRunFailed", "MapStateFailed"]


def test_exceeded_tolerance_starts_no_more_children(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    items = [{"topic": f"{n}"} for n in range(4)]
    numbers = {"MaxConcurrency": 1, "ToleratedFailurePercentage": None}
    json_path = {"ItemsPath": "$.items", "QueryLanguage": "JSONPath"}
    in_plain = distributed({"Fall": FALL}, **WITHOUT_FILES, **numbers, **json_path)
    machine = plain_emulator.create_machine("Each", {"Each": in_plain})
    execution = plain_emulator.begin(machine, {"items": items})
    plain_emulator.wait_for_end(execution)
    assert map_run(plain_emulator, execution)["itemCounts"]["failed"] == 4, CLOSED

    error = "States.ExceedToleratedFailureThreshold"
    catch = {"ErrorEquals": [error], "Output": "{% $states.input %}", "Next": "Caught"}
    state = distributed({"Fall": FALL}, Catch=[catch])
    execution = begin(patched_emulator, state, items, at_once=1, tolerated=25)

    description = patched_emulator.wait_for_end(execution)
    run = map_run(patched_emulator, execution)
    assert (description["status"], run["status"]) == ("SUCCEEDED", "FAILED")
    assert json.loads(description["output"])["at_once"] == 1, "the Catch passes the Map's input on"
    assert counts(run) == {"total": 4, "failed": 2, "pending": 2, "resultsWritten": 2}
    files = result_files(patched_emulator, run)
    assert {name: len(elements) for name, elements in files.items()} == {"FAILED": 2, "PENDING": 2}
    assert [json.loads(pending["Input"])["request"] for pending in files["PENDING"]] == items[2:]
    assert {pending["Status"] for pending in files["PENDING"]} == {"PENDING"}


def test_exceeded_tolerance_stops_running_children(
    patched_emulator: Emulator, map_steps: Any, tmp_path: Path
) -> None:
    go, late = tmp_path / "go", "although one child still runs"
    state = distributed({"Draw": task(map_steps[patched_emulator], Next="Keep"), "Keep": a_pass()})
    items = [{"topic": "slow", "wait_for": str(go)}, {"topic": "bad", "raise": "no"}]

    execution = begin(patched_emulator, state, items)

    error = patched_emulator.wait_for_end(execution)["error"]
    assert error == "States.ExceedToleratedFailureThreshold", late
    run = map_run(patched_emulator, execution)
    assert counts(run) == {"total": 2, "failed": 1, "aborted": 1, "resultsWritten": 2}
    (slow,) = (child for child in children(patched_emulator, run) if child["status"] == "ABORTED")
    go.touch()
    # Calls end in order here, so once another child has ended, the slow one has its response, too.
    for _ in range(2):
        patched_emulator.wait_for_end(begin(patched_emulator, state, [{"topic": "other"}]))
    assert types(patched_emulator.history(slow["executionArn"]))[-1] == "ExecutionAborted"
    failed = result_files(patched_emulator, run)["FAILED"]
    assert [child["Status"] for child in failed] == ["FAILED", "ABORTED"]


def test_stopped_execution_stops_its_children(
    plain_emulator: Emulator, patched_emulator: Emulator, map_steps: Any, tmp_path: Path
) -> None:
    def stop(emulator: Emulator) -> tuple[str, dict[str, int], list[str]]:
        """Return the Map Run's status and counts, and the topics of the function's calls."""
        calls, go = (tmp_path / f"{what}-{emulator.port}" for what in ("calls", "go"))
        function = map_steps[emulator]
        request = {"calls": str(calls), "wait_for": str(go), "topic": "{% $states.input.topic %}"}
        draw = task(function, Arguments={"FunctionName": function, "Payload": request})
        numbers = {"MaxConcurrency": 2, "ToleratedFailurePercentage": 100}
        json_path = {"ItemsPath": "$.items", "QueryLanguage": "JSONPath"}
        state = distributed({"Draw": draw}, **WITHOUT_FILES, **numbers, **json_path)
        machine = emulator.create_machine("Each", {"Each": state})
        execution = emulator.begin(machine, {"items": [{"topic": f"t{n}"} for n in range(4)]})
        until(lambda: calls.exists() and len(calls.read_text().split()) == 2)
        assert counts(map_run(emulator, execution)) == {"total": 4, "running": 2, "pending": 2}
        emulator.states.stop_execution(executionArn=execution)
        go.touch()
        until(lambda: map_run(emulator, execution)["status"] != "RUNNING")
        assert emulator.status(execution) == "ABORTED"
        run = map_run(emulator, execution)
        return run["status"], counts(run), sorted(calls.read_text().split())

    assert stop(plain_emulator)[2] == ["t0", "t1", "t2", "t3"], CLOSED
    assert stop(patched_emulator) == (
        "ABORTED",
        {"total": 4, "aborted": 2, "pending": 2},
        ["t0", "t1"],
    )


def test_failing_selector_fails_the_map(patched_emulator: Emulator) -> None:
    selector = "{% $states.context.Map.Item.Value.missing %}"
    state = distributed({"Keep": a_pass()}, ItemSelector=selector, ResultWriter=None)

    execution = begin(patched_emulator, state, [{"topic": "sun"}], tolerated=100)

    assert patched_emulator.wait_for_end(execution)["error"] == "States.QueryEvaluationError"


def test_empty_list_succeeds(patched_emulator: Emulator) -> None:
    execution = begin(patched_emulator, distributed({"Keep": a_pass()}), [])

    assert patched_emulator.wait_for_end(execution)["status"] == "SUCCEEDED"
    assert result_files(patched_emulator, map_run(patched_emulator, execution)) == {}


def test_unwritable_results_fail_the_map(patched_emulator: Emulator) -> None:
    nowhere = {"Bucket": "nowhere", "Prefix": "results"}
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": nowhere}
    state = distributed({"Keep": a_pass()}, ResultWriter=writer)

    execution = begin(patched_emulator, state, [{"topic": "sun"}])

    assert patched_emulator.wait_for_end(execution)["error"] == "States.ResultWriterFailed"
    assert map_run(patched_emulator, execution)["status"] == "FAILED"


def test_map_run_fails_when_emulator_ends() -> None:
    runs: dict[str, dict[str, Any]] = {
        "cut off": {"status": "RUNNING", "itemCounts": {"running": 2, "failed": 1}},
        "over": {"status": "SUCCEEDED"},
    }
    try:
        _with_map_runs(stepfunctions._map_runs.update)(runs)

        assert runs["cut off"]["status"] == "FAILED"
        assert runs["cut off"]["itemCounts"] == {"running": 0, "failed": 3}
        assert runs["over"] == {"status": "SUCCEEDED"}
    finally:
        stepfunctions._map_runs.clear()
