"""Distributed Maps for tests: their states, how to start them, and their results."""

import json
import uuid
from typing import Any

from tests.support.emulator import Emulator

BUCKET = "lists"
# A Map lacks these fields if its items come from its input and its result is its output.
WITHOUT_FILES: dict[str, Any] = {
    "ItemReader": None,
    "ItemSelector": None,
    "ResultWriter": None,
    "Output": None,
}
READER = {
    "Resource": "arn:aws:states:::s3:getObject",
    "ReaderConfig": {"InputType": "JSONL"},
    "Arguments": {"Bucket": BUCKET, "Key": "{% $states.input.items_key %}"},
}
FALL = {"Type": "Fail", "Error": "NotToday"}

# A function that fails, waits or records its calls, as its event says.
MAP_STEP = """
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


def task(function: str, **more: Any) -> dict[str, Any]:
    """Return a state that calls the function with the item.

    It is the last state unless it has a Next.
    """
    arguments = {"FunctionName": function, "Payload": "{% $states.input.request %}"}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": arguments,
        "Output": "{% $states.result.Payload %}",
        **more,
    }
    return state if "Next" in more else {**state, "End": True}


def a_pass(**more: Any) -> dict[str, Any]:
    return {"Type": "Pass", "End": True, **more}


def distributed(states: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a Map over the lines of an object that writes its results to files.

    A field of `more` that is None is left out.
    """
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    inner = {"StartAt": next(iter(states)), "States": states}
    state = {
        "Type": "Map",
        "ItemReader": READER,
        "ItemSelector": {
            "request": "{% $states.context.Map.Item.Value %}",
            "line": "{% $states.context.Map.Item.Index %}",
            "parent": "{% $states.context.Execution.Name %}",
        },
        "ItemProcessor": {"ProcessorConfig": config, **inner},
        "MaxConcurrency": "{% $states.input.at_once %}",
        "ToleratedFailurePercentage": "{% $states.input.tolerated %}",
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Arguments": {"Bucket": BUCKET, "Prefix": "{% $states.input.results_prefix %}"},
            "WriterConfig": {"Transformation": "NONE", "OutputType": "JSONL"},
        },
        "Output": {"input": "{% $states.input %}", "result": "{% $states.result %}"},
        "End": True,
    }
    return {field: value for field, value in {**state, **more}.items() if value is not None}


def begin(emulator: Emulator, state: dict[str, Any], items: list[Any], **more: Any) -> str:
    """Store the items and start an execution of the Map, with more fields in its input."""
    key = f"items-{uuid.uuid4().hex}.jsonl"
    body = "\n".join(json.dumps(item, ensure_ascii=False) for item in items)
    emulator.s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())
    event = {
        "items_key": key,
        "at_once": 2,
        "tolerated": 0,
        "results_prefix": key.replace("items", "results"),
        **more,
    }
    machine = emulator.create_machine("Each", {"Each": state, "Caught": a_pass()})
    return emulator.begin(machine, event)


def map_run(emulator: Emulator, execution: str) -> dict[str, Any]:
    """Describe the one Map Run of an execution."""
    (run,) = emulator.states.list_map_runs(executionArn=execution)["mapRuns"]
    description: dict[str, Any] = emulator.states.describe_map_run(mapRunArn=run["mapRunArn"])
    return description


def counts(run: dict[str, Any]) -> dict[str, int]:
    """Return the counts that are not 0, after checking that they add up."""
    known: dict[str, int] = {field: count for field, count in run["itemCounts"].items() if count}
    statuses = known.keys() - {"total", "resultsWritten"}
    assert sum(known[status] for status in statuses) == known["total"]
    return known


def children(emulator: Emulator, run: dict[str, Any]) -> list[dict[str, Any]]:
    """List the child executions of a Map Run, newest first."""
    pages = emulator.states.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"])
    return [child for page in pages for child in page["executions"]]


def result_files(emulator: Emulator, run: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the elements of each result file that the manifest names."""
    folder = run["mapRunArn"].rpartition(":")[2]
    objects = emulator.s3.list_objects_v2(Bucket=BUCKET, Prefix="results-")["Contents"]
    (prefix,) = {file["Key"].rpartition("/")[0] for file in objects if folder in file["Key"]}
    manifest = json.loads(_read(emulator, f"{prefix}/manifest.json"))
    assert manifest["DestinationBucket"] == BUCKET
    assert manifest["MapRunArn"] == run["mapRunArn"]
    elements: dict[str, list[Any]] = {}
    for name, files in manifest["ResultFiles"].items():
        assert [file["Key"] for file in files] == [f"{prefix}/{name}_0.jsonl"][: len(files)]
        for file in files:
            text = _read(emulator, file["Key"])
            assert len(text) == file["Size"]
            elements[name] = [json.loads(line) for line in text.splitlines()]
    return elements


def _read(emulator: Emulator, key: str) -> bytes:
    body: bytes = emulator.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body
