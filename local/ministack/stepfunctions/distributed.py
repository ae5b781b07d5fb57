"""Gap: a Distributed Map lacks JSONata and ResultWriter, and ignores its tolerance and a stop.

MiniStack checks the failures of a Distributed Map only at its end, and its children outlive a stop.

These differences from AWS remain:

- At most 64 children run at the same time, even if MaxConcurrency is 0 or larger, since this is one
  machine.
- ResultWriter exports with the Transformation NONE only.
- ItemBatcher is ignored.
- A redrive starts a new Map Run.
"""

import functools
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import s3, stepfunctions

from local.ministack.edits import edit, replace
from local.ministack.stepfunctions.map_child import ChildMachine
from local.ministack.stepfunctions.map_results import ResultFiles, results
from local.ministack.stepfunctions.map_run import MapRun, Tolerance, abort_map_runs_of, live

_ANY_LINE_BREAK = "text.splitlines()"
_NEWLINE = 'text.split("\\n")'
_LATEST = '_s3_object_text(params.get("Bucket"), params.get("Key"))'
_VERSION = "_easel_object_text(params)"


def apply() -> None:
    """Run a Distributed Map as AWS does, and stop its children with its execution."""
    edit(stepfunctions, "_parse_reader_items", [(_ANY_LINE_BREAK, _NEWLINE)])
    edit(stepfunctions, "_read_map_items", [(_LATEST, _VERSION)], _easel_object_text=_object_text)
    replace(stepfunctions, "_run_distributed_map", lambda _: lambda *call: _run(_MapState(*call)))
    replace(stepfunctions, "_stop_execution", _with_children)
    replace(stepfunctions, "_restore_state", _with_map_runs)


@dataclass(frozen=True)
class _MapState:
    """A call of a Map state, with MiniStack's arguments in MiniStack's order."""

    definition: dict[str, Any]
    input: Any
    effective_input: Any
    processor: dict[str, Any]
    execution: dict[str, Any]
    context: dict[str, Any]

    @property
    def is_jsonata(self) -> bool:
        language = stepfunctions._state_query_language(self.definition, self.context)
        return bool(language == "JSONata")

    def evaluate(self, template: Any, **more_context: Any) -> Any:
        context = {**self.context, **more_context}
        if self.is_jsonata:
            return stepfunctions._apply_jsonata_template(template, self.input, context)
        return stepfunctions._resolve_params_obj(template, self.effective_input, context)

    def number(self, field: str) -> float | None:
        number = self.definition.get(field)
        if self.is_jsonata and field in self.definition:
            number = stepfunctions._jsonata_state_field(
                self.definition, field, "number", self.input, self.context
            )
        return None if number is None else float(number)

    def items(self) -> list[Any]:
        if reader := self.definition.get("ItemReader"):
            items = self._read(reader)
        elif self.is_jsonata and "Items" in self.definition:
            items = self.evaluate(self.definition["Items"])
        else:
            path = self.definition.get("ItemsPath", "$")
            items = stepfunctions._resolve_path_or_ctx(path, self.effective_input, self.context)
        return items if isinstance(items, list) else [items]

    def _read(self, reader: dict[str, Any]) -> Any:
        if self.is_jsonata:
            fields = ("Arguments", "ReaderConfig")
            reader = {**reader, **{name: self.evaluate(reader.get(name, {})) for name in fields}}
        try:
            return stepfunctions._read_map_items(reader, self.effective_input, self.context)
        except (ValueError, LookupError, TypeError) as error:
            cause = f"The items cannot be read: {error}"
            raise stepfunctions._ExecutionError("States.ItemReaderFailed", cause) from error

    def child_input(self, index: int, item: Any) -> Any:
        selector = self.definition.get("ItemSelector") or self.definition.get("Parameters")
        if not selector:
            return item
        return self.evaluate(selector, Map={"Item": {"Index": index, "Value": item}})

    def child_machine(self) -> ChildMachine:
        label = self.definition.get("Label") or new_uuid()
        return ChildMachine(
            arn=f"{self.execution['stateMachineArn']}/{label}",
            processor=self.processor,
            query_language=self.context["QueryLanguage"],
        )

    def tolerance(self) -> Tolerance:
        return Tolerance(
            percentage=self.number("ToleratedFailurePercentage"),
            count=self.number("ToleratedFailureCount"),
        )

    def result_files(self) -> ResultFiles | None:
        writer = self.definition.get("ResultWriter") or {}
        if "Resource" not in writer:
            return None
        place = self.evaluate(writer.get("Arguments") or writer.get("Parameters") or {})
        return ResultFiles.of(place, writer.get("WriterConfig") or {})

    def leave(self, result: Any) -> tuple[Any, Any]:
        """Return the state's output and the name of the next state."""
        state, context = self.definition, self.context
        if self.is_jsonata:
            output = stepfunctions._apply_jsonata_output(
                state, self.input, context, result=result, default=result
            )
            stepfunctions._apply_state_assign(state, self.input, context, result=result)
        else:
            result = stepfunctions._apply_result_selector(state, result)
            output = stepfunctions._apply_result_path(state, self.input, result)
            output = stepfunctions._apply_output_path(state, output, context)
        return output, stepfunctions._next_or_end(state)


def _run(state: _MapState) -> tuple[Any, Any]:
    files = state.result_files()
    run = MapRun(
        state.execution,
        state.child_machine(),
        child_input=state.child_input,
        at_once=int(state.number("MaxConcurrency") or 0),
        tolerance=state.tolerance(),
    )
    with live(run):
        try:
            result = _result(run, state, files)
        except SystemExit:  # the execution was stopped, or a Map around this one failed
            run.close("ABORTED")
            raise
        except Exception as error:
            run.close("FAILED")
            details = {
                "error": getattr(error, "error", "States.Runtime"),
                "cause": getattr(error, "cause", str(error)),
            }
            _add_event(run, "MapRunFailed", {"mapRunFailedEventDetails": details})
            _add_event(run, "MapStateFailed")
            raise
    run.close("SUCCEEDED")
    _add_event(run, "MapRunSucceeded")
    _add_event(run, "MapStateSucceeded")
    return state.leave(result)


def _result(run: MapRun, state: _MapState, files: ResultFiles | None) -> Any:
    _add_event(run, "MapStateStarted", {"mapStateStartedEventDetails": {"length": 0}})
    _add_event(run, "MapRunStarted", {"mapRunStartedEventDetails": {"mapRunArn": run.arn}})
    run.run(state.items())
    if run.was_aborted:
        with suppress(stepfunctions._ExecutionError):
            _write(run, files)
        raise SystemExit
    if run.error is not None:
        raise run.error
    manifest = _write(run, files)
    if run.has_failed_too_often:
        cause = "The specified tolerated failure threshold was exceeded"
        raise stepfunctions._ExecutionError("States.ExceedToleratedFailureThreshold", cause)
    return results(run.ended) if files is None else manifest


def _write(run: MapRun, files: ResultFiles | None) -> Any:
    if files is None:
        return None
    manifest = files.write(
        run.arn, ended=run.ended.values(), never_started=run.inputs_never_started()
    )
    run.count(resultsWritten=len(run.ended))
    return manifest


def _add_event(run: MapRun, event_type: str, *details: dict[str, Any]) -> None:
    stepfunctions._add_event(run.execution, event_type, *details)


def _object_text(place: dict[str, Any]) -> str:
    """Return the text of an object, in the version that the reader names."""
    bucket, key, version = place.get("Bucket"), place.get("Key"), place.get("VersionId")
    query = {"versionId": version} if version else {}
    status, _, body = s3._get_object(bucket, key, {}, query)
    if status != 200:
        name = f"Bucket: {bucket}, Key: {key}" + (f", VersionId: {version}" if version else "")
        cause = f"The specified key does not exist. ({name})"
        raise stepfunctions._ExecutionError("States.ItemReaderFailed", cause)
    return bytes(body).decode()


def _with_children(stop_execution: Any) -> Any:
    @functools.wraps(stop_execution)
    def stopping(request: dict[str, Any]) -> Any:
        response = stop_execution(request)
        if response[0] == 200:
            abort_map_runs_of(request["executionArn"])
        return response

    return stopping


def _with_map_runs(restore_state: Any) -> Any:
    """Mark Map Runs as failed if they ran when the emulator ended.

    MiniStack does the same with executions.
    """

    @functools.wraps(restore_state)
    def restoring(saved: Any) -> None:
        restore_state(saved)
        for record in stepfunctions._map_runs.all_values():
            if record["status"] == "RUNNING":
                counts = record["itemCounts"]
                failed = counts["failed"] + counts["running"]
                counts = {**counts, "running": 0, "failed": failed}
                record.update(status="FAILED", stopDate=now_iso())
                record.update(itemCounts=counts, executionCounts=counts)

    return restoring
