"""Distributed Maps: children of their own, read from and told of in a bucket."""

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ministack.services import stepfunctions

from local.ministack.stepfunctions import distributed
from tests.local.conftest import REGION, Emulator, until

CLOSED = "plain MiniStack now does as AWS does: delete the patch"
LINE_SEPARATOR = "\u2028"

STEP = """
import pathlib, time

class NotToday(Exception):
    pass

def handler(event, context):
    if "calls" in event:
        calls = pathlib.Path(event["calls"])
        with calls.open("a") as file:
            file.write(event["topic"] + "\\n")
        if len(calls.read_text().split()) <= event.get("fails", 0):
            raise NotToday("for now")
    while "wait_for" in event and not pathlib.Path(event["wait_for"]).exists():
        time.sleep(0.01)
    if "raise" in event:
        raise NotToday(event["raise"])
    return event["topic"].upper()
"""


@pytest.fixture(scope="session")
def steps(plain: Emulator, patched: Emulator) -> dict[Emulator, str]:
    return {emulator: emulator.create_function(STEP) for emulator in (plain, patched)}


@pytest.fixture(scope="session", autouse=True)
def buckets(plain: Emulator, patched: Emulator) -> None:
    for emulator in (plain, patched):
        emulator.s3.create_bucket(Bucket="lists", CreateBucketConfiguration={"LocationConstraint": REGION})
        emulator.s3.put_bucket_versioning(Bucket="lists", VersioningConfiguration={"Status": "Enabled"})


def task(function: str, **more: Any) -> dict[str, Any]:
    arguments = {"FunctionName": function, "Payload": "{% $states.input.request %}"}
    resource = "arn:aws:states:::lambda:invoke"
    state = {"Type": "Task", "Resource": resource, "Arguments": arguments, "Output": "{% $states.result.Payload %}", **more}
    return state if "Next" in more else {**state, "End": True}


def a_pass(**more: Any) -> dict[str, Any]:
    return {"Type": "Pass", "End": True, **more}


def distributed(states: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A Map over the lines of an object, whose results are files."""
    read: dict[str, Any] = {"Bucket": "lists", "Key": "{% $states.input.items_key %}"}
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    state = {
        "Type": "Map",
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSONL"}, "Arguments": read},
        "ItemSelector": {
            "request": "{% $states.context.Map.Item.Value %}",
            "line": "{% $states.context.Map.Item.Index %}",
            "parent": "{% $states.context.Execution.Name %}",
        },
        "ItemProcessor": {"ProcessorConfig": config, "StartAt": next(iter(states)), "States": states},
        "MaxConcurrency": "{% $states.input.at_once %}",
        "ToleratedFailurePercentage": "{% $states.input.tolerated %}",
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Arguments": {"Bucket": "lists", "Prefix": "{% $states.input.results_prefix %}"},
            "WriterConfig": {"Transformation": "NONE", "OutputType": "JSONL"},
        },
        "Output": {"input": "{% $states.input %}", "result": "{% $states.result %}"},
        "End": True,
    }
    return {field: value for field, value in {**state, **more}.items() if value is not None}


def begin(emulator: Emulator, state: dict[str, Any], items: list[Any], **more: Any) -> str:
    key = f"items-{uuid.uuid4().hex}.jsonl"
    body = "\n".join(json.dumps(item, ensure_ascii=False) for item in items)
    emulator.s3.put_object(Bucket="lists", Key=key, Body=body.encode())
    event = {"items_key": key, "at_once": 2, "tolerated": 0, "results_prefix": key.replace("items", "results"), **more}
    machine = emulator.create_machine("Each", {"Each": state, "Caught": a_pass()})
    return emulator.begin(machine, event)


def map_run(emulator: Emulator, execution: str) -> dict[str, Any]:
    (run,) = emulator.states.list_map_runs(executionArn=execution)["mapRuns"]
    described: dict[str, Any] = emulator.states.describe_map_run(mapRunArn=run["mapRunArn"])
    return described


def counts(run: dict[str, Any]) -> dict[str, int]:
    """Those that are not 0, once they are seen to add up."""
    all_: dict[str, int] = {field: count for field, count in run["itemCounts"].items() if count}
    assert sum(count for field, count in all_.items() if field not in ("total", "resultsWritten")) == all_["total"]
    return all_


def children(emulator: Emulator, run: dict[str, Any]) -> list[dict[str, Any]]:
    pages = emulator.states.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"])
    return [child for page in pages for child in page["executions"]]


def written(emulator: Emulator, run: dict[str, Any]) -> dict[str, list[Any]]:
    """The elements of each result file that the manifest names."""
    folder = run["mapRunArn"].rpartition(":")[2]
    listed = emulator.s3.list_objects_v2(Bucket="lists", Prefix="results-")["Contents"]
    (prefix,) = {file["Key"].rpartition("/")[0] for file in listed if folder in file["Key"]}
    manifest = json.loads(read(emulator, f"{prefix}/manifest.json"))
    assert manifest["DestinationBucket"] == "lists"
    assert manifest["MapRunArn"] == run["mapRunArn"]
    elements: dict[str, list[Any]] = {}
    for name, files in manifest["ResultFiles"].items():
        assert [file["Key"] for file in files] == [f"{prefix}/{name}_0.jsonl"][: len(files)]
        for file in files:
            text = read(emulator, file["Key"])
            assert len(text) == file["Size"]
            elements[name] = [json.loads(line) for line in text.splitlines()]
    return elements


def read(emulator: Emulator, key: str) -> bytes:
    body: bytes = emulator.s3.get_object(Bucket="lists", Key=key)["Body"].read()
    return body


def types(history: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in history]


def test_runs_a_child_for_each_line_and_writes_what_became_of_them(plain: Emulator, patched: Emulator, steps: Any) -> None:
    items = [{"topic": f"sun{LINE_SEPARATOR}rise"}, {"topic": "rain", "raise": "no"}, {"topic": "snow"}]
    unknown = plain.ended(begin(plain, distributed({"Draw": task(steps[plain])}), items))
    assert unknown["error"] == "States.ItemReaderFailed", CLOSED

    execution = begin(patched, distributed({"Draw": task(steps[patched])}), items, tolerated=34)

    ended = patched.ended(execution)
    run = map_run(patched, execution)
    assert (ended["status"], run["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert counts(run) == {"total": 3, "succeeded": 2, "failed": 1, "resultsWritten": 3}
    output = json.loads(ended["output"])
    folder = f"{output['input']['results_prefix']}/{run['mapRunArn'].rpartition(':')[2]}"
    details = {"Bucket": "lists", "Key": f"{folder}/manifest.json"}
    assert output["result"] == {"MapRunArn": run["mapRunArn"], "ResultWriterDetails": details}
    files = written(patched, run)
    assert sorted(files) == ["FAILED", "SUCCEEDED"]
    outputs = {json.loads(child["Input"])["line"]: json.loads(child["Output"]) for child in files["SUCCEEDED"]}
    assert outputs == {0: f"SUN{LINE_SEPARATOR}RISE", 2: "SNOW"}
    (failed,) = files["FAILED"]
    assert (failed["Status"], failed["Error"]) == ("FAILED", "NotToday")
    assert json.loads(failed["Input"]) == {"request": items[1], "line": 1, "parent": execution.rpartition(":")[2]}
    assert {"ExecutionArn", "Name", "StateMachineArn", "StartDate", "StopDate", "RedriveCount", "RedriveStatus"} <= failed.keys()
    assert "Output" not in failed
    history = patched.history(execution)
    began, ended_ = ["MapStateEntered", "MapStateStarted", "MapRunStarted"], ["MapRunSucceeded", "MapStateSucceeded", "MapStateExited"]
    assert types(history) == ["ExecutionStarted", *began, *ended_, "ExecutionSucceeded"]
    assert history[3]["mapRunStartedEventDetails"] == {"mapRunArn": run["mapRunArn"]}


def test_reads_the_version_that_it_is_told(plain: Emulator, patched: Emulator) -> None:
    def topics(emulator: Emulator) -> Any:
        put = [emulator.s3.put_object(Bucket="lists", Key="list.jsonl", Body=f'{{"topic": "{topic}"}}\n') for topic in ("old", "new")]
        place = {"Bucket": "lists", "Key": "list.jsonl", "VersionId": put[0]["VersionId"]}
        reader = {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSONL"}, "Arguments": place}
        plain_map = {"MaxConcurrency": None, "ToleratedFailurePercentage": None, "ItemSelector": None, "ResultWriter": None}
        state = distributed({"Keep": a_pass()}, ItemReader=reader, **plain_map, Output=None)
        return json.loads(emulator.ended(begin(emulator, state, []))["output"])

    assert topics(plain) == [{"topic": "new"}], CLOSED
    assert topics(patched) == [{"topic": "old"}]


@pytest.mark.parametrize("content", [None, b'{"topic"\n'])
def test_items_that_cannot_be_read_fail_the_map(patched: Emulator, content: bytes | None) -> None:
    if content:
        patched.s3.put_object(Bucket="lists", Key="broken.jsonl", Body=content)
    caught = {"ErrorEquals": ["States.ItemReaderFailed"], "Output": "{% $states.errorOutput.Error %}", "Next": "Caught"}
    execution = begin(patched, distributed({"Keep": a_pass()}, Catch=[caught]), [], items_key="broken.jsonl" if content else "missing")
    assert patched.ended(execution)["output"] == '"States.ItemReaderFailed"'
    assert map_run(patched, execution)["status"] == "FAILED"
    assert types(patched.history(execution))[3:6] == ["MapRunStarted", "MapRunFailed", "MapStateFailed"]


def test_starts_no_child_once_the_tolerance_is_exceeded(plain: Emulator, patched: Emulator) -> None:
    only_items = {"ItemReader": None, "ItemSelector": None, "ResultWriter": None, "MaxConcurrency": 1, "ToleratedFailurePercentage": None}
    work = {"ItemsPath": "$.items", "QueryLanguage": "JSONPath", "Output": None, **only_items}
    items = [{"topic": f"{n}"} for n in range(4)]
    in_plain = distributed({"Fall": {"Type": "Fail", "Error": "NotToday"}}, **work)
    machine = plain.create_machine("Each", {"Each": in_plain})
    execution = plain.begin(machine, {"items": items})
    plain.ended(execution)
    assert map_run(plain, execution)["itemCounts"]["failed"] == 4, CLOSED

    caught = {"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Output": "{% $states.input %}", "Next": "Caught"}
    state = distributed({"Fall": {"Type": "Fail", "Error": "NotToday"}}, Catch=[caught])
    execution = begin(patched, state, items, at_once=1, tolerated=25)

    ended = patched.ended(execution)
    run = map_run(patched, execution)
    assert (ended["status"], run["status"]) == ("SUCCEEDED", "FAILED")
    assert json.loads(ended["output"])["at_once"] == 1, "the Map's input, by the Catch"
    assert counts(run) == {"total": 4, "failed": 2, "pending": 2, "resultsWritten": 2}
    files = written(patched, run)
    assert {name: len(elements) for name, elements in files.items()} == {"FAILED": 2, "PENDING": 2}
    assert [json.loads(pending["Input"])["request"] for pending in files["PENDING"]] == items[2:]
    assert {pending["Status"] for pending in files["PENDING"]} == {"PENDING"}


def test_stops_the_running_children_once_the_tolerance_is_exceeded(patched: Emulator, steps: Any, tmp_path: Path) -> None:
    state = distributed({"Draw": task(steps[patched], Next="Keep"), "Keep": a_pass()})
    execution = begin(patched, state, [{"topic": "slow", "wait_for": str(tmp_path / "go")}, {"topic": "bad", "raise": "no"}])
    assert patched.ended(execution)["error"] == "States.ExceedToleratedFailureThreshold", "although one child is still at work"
    run = map_run(patched, execution)
    assert counts(run) == {"total": 2, "failed": 1, "aborted": 1, "resultsWritten": 2}
    (slow,) = (child for child in children(patched, run) if child["status"] == "ABORTED")
    (tmp_path / "go").touch()
    # Calls end in order here: once another child has ended, this one has had its answer, too.
    for _ in range(2):
        patched.ended(begin(patched, state, [{"topic": "other"}]))
    assert types(patched.history(slow["executionArn"]))[-1] == "ExecutionAborted"
    assert [child["Status"] for child in written(patched, run)["FAILED"]] == ["FAILED", "ABORTED"]


def test_stopping_the_execution_stops_its_children(plain: Emulator, patched: Emulator, steps: Any, tmp_path: Path) -> None:
    def stop(emulator: Emulator) -> tuple[str, dict[str, int], list[str]]:
        """The Map Run's status and counts, and the names that the function was called with."""
        calls, go = (tmp_path / f"{what}-{emulator.port}" for what in ("calls", "go"))
        request = {"calls": str(calls), "wait_for": str(go), "topic": "{% $states.input.topic %}"}
        draw = task(steps[emulator], Arguments={"FunctionName": steps[emulator], "Payload": request})
        selected = {"ItemReader": None, "ItemSelector": None, "ResultWriter": None, "Output": None}
        numbers = {"MaxConcurrency": 2, "ToleratedFailurePercentage": 100}
        state = distributed({"Draw": draw}, QueryLanguage="JSONPath", ItemsPath="$.items", **selected, **numbers)
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

    assert stop(plain)[2] == ["t0", "t1", "t2", "t3"], CLOSED
    assert stop(patched) == ("ABORTED", {"total": 4, "aborted": 2, "pending": 2}, ["t0", "t1"])


def test_a_child_is_an_execution_of_its_own(plain: Emulator, patched: Emulator) -> None:
    own = {"name": "{% $states.context.Execution.Name %}", "input": "{% $states.context.Execution.Input %}", "v": "{% $exists($kept) %}"}
    begin_with = {"Type": "Pass", "Assign": {"kept": 1}, "Next": "Each"}

    def output(emulator: Emulator) -> Any:
        only_items = {"ItemReader": None, "ItemSelector": None, "ResultWriter": None, "Output": None}
        numbers = {"MaxConcurrency": None, "ToleratedFailurePercentage": None, "ItemsPath": "$.items", "QueryLanguage": "JSONPath"}
        own_state = a_pass(Output=own, QueryLanguage="JSONata")
        machine = emulator.create_machine("Begin", {"Begin": begin_with, "Each": distributed({"Own": own_state}, **only_items, **numbers)})
        execution = emulator.begin(machine, {"items": ["a"]})
        (child,) = json.loads(emulator.ended(execution)["output"])
        (record,) = children(emulator, map_run(emulator, execution))
        return child, record["name"]

    assert output(plain)[0]["input"] == {"items": ["a"]}, CLOSED
    child, name = output(patched)
    assert child == {"name": name, "input": "a", "v": False}


def test_a_child_retries_and_maps_like_any_execution(patched: Emulator, steps: Any, tmp_path: Path) -> None:
    retry = [{"ErrorEquals": ["NotToday"], "MaxAttempts": 2, "IntervalSeconds": 1}]
    draw = {"StartAt": "Draw", "States": {"Draw": task(steps[patched], Retry=retry)}}
    selector = {"request": "{% $merge([$states.context.Map.Item.Value, $states.context.Execution.Input.request]) %}"}
    each = {"Type": "Map", "Items": [{"topic": "sun"}, {"topic": "snow"}], "ItemSelector": selector, "ItemProcessor": draw, "End": True}
    execution = begin(
        patched, distributed({"Inner": each | {"MaxConcurrency": 1}}), [{"topic": "x", "calls": str(tmp_path / "calls"), "fails": 1}]
    )
    assert patched.ended(execution)["status"] == "SUCCEEDED"
    run = map_run(patched, execution)
    (child,) = children(patched, run)
    history = types(patched.history(child["executionArn"]))
    assert Counter(history)["TaskScheduled"] == 3
    assert Counter(history)["MapIterationSucceeded"] == 2
    assert (history[0], history[-1]) == ("ExecutionStarted", "ExecutionSucceeded")


def test_a_selector_that_fails_fails_the_map(patched: Emulator) -> None:
    state = distributed({"Keep": a_pass()}, ItemSelector="{% $states.context.Map.Item.Value.missing %}", ResultWriter=None)
    execution = begin(patched, state, [{"topic": "sun"}], tolerated=100)
    assert patched.ended(execution)["error"] == "States.QueryEvaluationError"


def test_an_empty_list_succeeds(patched: Emulator) -> None:
    execution = begin(patched, distributed({"Keep": a_pass()}), [])
    assert patched.ended(execution)["status"] == "SUCCEEDED"
    assert written(patched, map_run(patched, execution)) == {}


def test_results_that_cannot_be_written_fail_the_map(patched: Emulator) -> None:
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "nowhere", "Prefix": "results"}}
    execution = begin(patched, distributed({"Keep": a_pass()}, ResultWriter=writer), [{"topic": "sun"}])
    assert patched.ended(execution)["error"] == "States.ResultWriterFailed"
    assert map_run(patched, execution)["status"] == "FAILED"


def test_keeps_the_histories_of_the_newest_children_only(patched: Emulator) -> None:
    execution = begin(patched, distributed({"Keep": a_pass()}), [{"topic": f"{n}"} for n in range(1_020)], at_once=1)
    patched.ended(execution)
    run = map_run(patched, execution)
    assert counts(run) == {"total": 1_020, "succeeded": 1_020, "resultsWritten": 1_020}
    newest, *_, oldest = children(patched, run)
    assert oldest["status"] == "SUCCEEDED"
    assert len(patched.history(newest["executionArn"])) == 4
    assert patched.history(oldest["executionArn"]) == []
    assert "input" not in patched.states.describe_execution(executionArn=oldest["executionArn"])


def test_a_child_cannot_be_redriven_by_itself(patched: Emulator) -> None:
    execution = begin(patched, distributed({"Fall": {"Type": "Fail", "Error": "NotToday"}}), [{"topic": "sun"}])
    assert patched.ended(execution)["error"] == "States.ExceedToleratedFailureThreshold"
    (child,) = children(patched, map_run(patched, execution))
    with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
        patched.states.redrive_execution(executionArn=child["executionArn"])


def test_a_map_run_that_the_emulators_end_cut_off_has_failed() -> None:
    runs: dict[str, dict[str, Any]] = {
        "cut off": {"status": "RUNNING", "itemCounts": {"running": 2, "failed": 1}},
        "over": {"status": "SUCCEEDED"},
    }
    try:
        distributed._with_map_runs(stepfunctions._map_runs.update)(runs)
        assert runs["cut off"]["status"] == "FAILED"
        assert runs["cut off"]["itemCounts"] == {"running": 0, "failed": 3}
        assert runs["over"] == {"status": "SUCCEEDED"}
    finally:
        stepfunctions._map_runs.clear()
