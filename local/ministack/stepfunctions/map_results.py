"""What a Map Run tells of its children: the Map state's result, or files in a bucket."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from ministack.services import s3, stepfunctions

_INCLUDED = {"Included": True}
_FILE_OF = {"SUCCEEDED": "SUCCEEDED", "FAILED": "FAILED", "TIMED_OUT": "FAILED", "ABORTED": "FAILED"}


def element(child: dict[str, Any]) -> dict[str, Any]:
    """A child that has ended, as AWS describes it in the files; its input and output are JSON texts."""
    status = child["status"]
    outcome = {"Output": child["output"]} if status == "SUCCEEDED" else {"Error": child.get("error"), "Cause": child.get("cause")}
    return {
        "ExecutionArn": child["executionArn"],
        "Input": child["input"],
        "InputDetails": _INCLUDED,
        "Name": child["name"],
        **{field: text for field, text in outcome.items() if text is not None},
        "OutputDetails": _INCLUDED,
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE" if status == "SUCCEEDED" else "REDRIVABLE_BY_MAP_RUN",
        "StartDate": child["startDate"],
        "StateMachineArn": child["stateMachineArn"],
        "Status": status,
        "StopDate": child["stopDate"],
    }


def _never_started(text: str) -> dict[str, Any]:
    return {"Input": text, "InputDetails": _INCLUDED, "RedriveCount": 0, "RedriveStatus": "NOT_REDRIVABLE", "Status": "PENDING"}


def results(ended: dict[int, dict[str, Any]]) -> list[Any]:
    """The Map state's result where there are no files: the outputs in the order of the items, failures described in full."""
    in_order = [ended[index] for index in sorted(ended)]
    return [json.loads(child["Output"]) if child["Status"] == "SUCCEEDED" else child for child in in_order]


@dataclass(frozen=True, kw_only=True)
class ResultFiles:
    """Where, and as what, a ResultWriter exports."""

    bucket: str
    prefix: str
    as_lines: bool

    @classmethod
    def of(cls, place: dict[str, Any], config: dict[str, Any]) -> Self:
        """Raises States.Runtime for what is not imitated here."""
        transformation = config.get("Transformation", "NONE")
        if transformation != "NONE":
            raise stepfunctions._ExecutionError("States.Runtime", f"The local emulator exports no results as {transformation}: use NONE")
        prefix = place.get("Prefix", "")
        return cls(bucket=place["Bucket"], prefix=f"{prefix}/" if prefix else "", as_lines=config.get("OutputType") == "JSONL")

    def write(self, map_run_arn: str, *, ended: Iterable[dict[str, Any]], never_started: Iterable[str]) -> dict[str, Any]:
        """Write the files, the manifest last; gives the Map state's result, and raises States.ResultWriterFailed."""
        folder = f"{self.prefix}{map_run_arn.rpartition(':')[2]}"
        files: dict[str, list[str]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
        for child in ended:
            files[_FILE_OF[child["Status"]]].append(json.dumps(child))
        files["PENDING"].extend(json.dumps(_never_started(text)) for text in never_started)
        written = {name: self._write_file(f"{folder}/{name}_0", elements) for name, elements in files.items()}
        manifest = {"DestinationBucket": self.bucket, "MapRunArn": map_run_arn, "ResultFiles": written}
        key = f"{folder}/manifest.json"
        self._put(key, json.dumps(manifest))
        return {"MapRunArn": map_run_arn, "ResultWriterDetails": {"Bucket": self.bucket, "Key": key}}

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
