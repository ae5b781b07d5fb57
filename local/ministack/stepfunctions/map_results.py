"""The results of a Map Run: the Map state's result, or files in a bucket."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from ministack.services import s3, stepfunctions

_INCLUDED = {"Included": True}
_FILE_OF = {
    "SUCCEEDED": "SUCCEEDED",
    "FAILED": "FAILED",
    "TIMED_OUT": "FAILED",
    "ABORTED": "FAILED",
}


def element(child: dict[str, Any]) -> dict[str, Any]:
    """Return an ended child as AWS describes it in the files. Input and output are JSON texts."""
    succeeded = child["status"] == "SUCCEEDED"
    if succeeded:
        outcome = {"Output": child["output"]}
    else:
        outcome = {"Error": child.get("error"), "Cause": child.get("cause")}
    return {
        "ExecutionArn": child["executionArn"],
        "Input": child["input"],
        "InputDetails": _INCLUDED,
        "Name": child["name"],
        **{field: text for field, text in outcome.items() if text is not None},
        "OutputDetails": _INCLUDED,
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE" if succeeded else "REDRIVABLE_BY_MAP_RUN",
        "StartDate": child["startDate"],
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
        "StopDate": child["stopDate"],
    }


def _never_started(text: str) -> dict[str, Any]:
    return {
        "Input": text,
        "InputDetails": _INCLUDED,
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE",
        "Status": "PENDING",
    }


def results(ended: dict[int, dict[str, Any]]) -> list[Any]:
    """Return the Map state's result without files, in the order of the items.

    A child that succeeded is represented by its output, and a child that failed by its description.
    """
    in_order = [ended[index] for index in sorted(ended)]
    return [
        json.loads(child["Output"]) if child["Status"] == "SUCCEEDED" else child
        for child in in_order
    ]


@dataclass(frozen=True, kw_only=True)
class ResultFiles:
    """Where a ResultWriter exports, and in which format."""

    bucket: str
    prefix: str
    as_lines: bool

    @classmethod
    def of(cls, place: dict[str, Any], config: dict[str, Any]) -> Self:
        """Read a ResultWriter's fields. Raise States.Runtime if a field is not supported here."""
        transformation = config.get("Transformation", "NONE")
        if transformation != "NONE":
            raise stepfunctions._ExecutionError(
                "States.Runtime",
                f"The local emulator cannot export results as {transformation}: use NONE",
            )
        prefix = place.get("Prefix", "")
        return cls(
            bucket=place["Bucket"],
            prefix=f"{prefix}/" if prefix else "",
            as_lines=config.get("OutputType") == "JSONL",
        )

    def write(
        self, map_run_arn: str, *, ended: Iterable[dict[str, Any]], never_started: Iterable[str]
    ) -> dict[str, Any]:
        """Write the files, the manifest last, and return the Map state's result.

        Raise States.ResultWriterFailed if a file cannot be written.
        """
        folder = f"{self.prefix}{map_run_arn.rpartition(':')[2]}"
        files: dict[str, list[str]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
        for child in ended:
            files[_FILE_OF[child["Status"]]].append(json.dumps(child))
        files["PENDING"].extend(json.dumps(_never_started(text)) for text in never_started)
        manifest = {
            "DestinationBucket": self.bucket,
            "MapRunArn": map_run_arn,
            "ResultFiles": {
                name: self._write_file(f"{folder}/{name}_0", elements)
                for name, elements in files.items()
            },
        }
        key = f"{folder}/manifest.json"
        self._put(key, json.dumps(manifest))
        details = {"Bucket": self.bucket, "Key": key}
        return {"MapRunArn": map_run_arn, "ResultWriterDetails": details}

    def _write_file(self, name: str, elements: list[str]) -> list[dict[str, Any]]:
        if not elements:
            return []
        key = f"{name}.jsonl" if self.as_lines else f"{name}.json"
        size = self._put(key, "\n".join(elements) if self.as_lines else f"[{','.join(elements)}]")
        return [{"Key": key, "Size": size}]

    def _put(self, key: str, text: str) -> int:
        body = text.encode()
        status, _, answer = s3._put_object(self.bucket, key, body, {})
        if status != 200:
            cause = f"s3://{self.bucket}/{key} cannot be written: {bytes(answer).decode()}"
            raise stepfunctions._ExecutionError("States.ResultWriterFailed", cause)
        return len(body)
