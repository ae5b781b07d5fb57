"""Gap: a Distributed Map knows no JSONata and no ResultWriter, looks at its failures only at its end, and outlives a stop.

What is not as on AWS: at most 64 children run at once, also where MaxConcurrency is 0 or larger, since this is one
machine; ResultWriter exports with the Transformation NONE only; ItemBatcher is ignored; a redrive starts a new Map Run.
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
    """Run a Distributed Map as AWS does, and stop its children with the execution that holds it."""
    edit(stepfunctions, "_parse_reader_items", [(_ANY_LINE_BREAK, _NEWLINE)])
    edit(stepfunctions, "_read_map_items", [(_LATEST, _VERSION)], _easel_object_text=_object_text)
    replace(stepfunctions, "_run_distributed_map", lambda _: _run_distributed_map)
    replace(stepfunctions, "_stop_execution", _with_children)
    replace(stepfunctions, "_restore_state", _with_map_runs)


@dataclass(frozen=True, kw_only=True)
class _MapState:
    """A Map state, and what its fields are evaluated against."""

    definition: dict[str, Any]
    input: Any
    effective_input: Any
    context: dict[str, Any]

    @property
    def speaks_jsonata(self) -> bool:
        return bool(stepfunctions._state_query_language(self.definition, self.context) == "JSONata")

    def evaluated(self, template: Any, **more_context: Any) -> Any:
        context = {**self.context, **more_context}
        if self.speaks_jsonata:
            return stepfunctions._apply_jsonata_template(template, self.input, context)
        return stepfunctions._resolve_params_obj(template, self.effective_input, context)

    def number(self, field: str) -> float | None:
        if self.speaks_jsonata and field in self.definition:
            return float(stepfunctions._jsonata_state_field(self.definition, field, "number", self.input, self.context))
        given = self.definition.get(field)
        return None if given is None else float(given)

    def items(self) -> list[Any]:
        if reader := self.definition.get("ItemReader"):
            items = self._read(reader)
        elif self.speaks_jsonata and "Items" in self.definition:
            items = self.evaluated(self.definition["Items"])
        else:
            path = self.definition.get("ItemsPath", "$")
            items = stepfunctions._resolve_path_or_ctx(path, self.effective_input, self.context)
        return items if isinstance(items, list) else [items]

    def _read(self, reader: dict[str, Any]) -> Any:
        if self.speaks_jsonata:
            reader = {**reader, **{field: self.evaluated(reader.get(field, {})) for field in ("Arguments", "ReaderConfig")}}
        try:
            return stepfunctions._read_map_items(reader, self.effective_input, self.context)
        except (ValueError, LookupError, TypeError) as error:
            raise stepfunctions._ExecutionError("States.ItemReaderFailed", f"The items cannot be read: {error}") from error

    def child_input(self, index: int, item: Any) -> Any:
        selector = self.definition.get("ItemSelector") or self.definition.get("Parameters")
        return self.evaluated(selector, Map={"Item": {"Index": index, "Value": item}}) if selector else item

    def child_machine(self, processor: dict[str, Any], machine_arn: str) -> ChildMachine:
        label = self.definition.get("Label") or new_uuid()
        return ChildMachine(arn=f"{machine_arn}/{label}", processor=processor, query_language=self.context["QueryLanguage"])

    def result_files(self) -> ResultFiles | None:
        writer = self.definition.get("ResultWriter") or {}
        if "Resource" not in writer:
            return None
        place = self.evaluated(writer.get("Arguments") or writer.get("Parameters") or {})
        return ResultFiles.of(place, writer.get("WriterConfig") or {})

    def left_with(self, result: Any) -> tuple[Any, Any]:
        """The state's output, and the name of the next state."""
        state, context = self.definition, self.context
        if self.speaks_jsonata:
            output = stepfunctions._apply_jsonata_output(state, self.input, context, result=result, default=result)
            stepfunctions._apply_state_assign(state, self.input, context, result=result)
        else:
            result = stepfunctions._apply_result_selector(state, result)
            output = stepfunctions._apply_result_path(state, self.input, result)
            output = stepfunctions._apply_output_path(state, output, context)
        return output, stepfunctions._next_or_end(state)


def _run_distributed_map(  # noqa: PLR0917  MiniStack's own signature
    state_def: dict[str, Any],
    raw_input: Any,
    effective: Any,
    iterator: dict[str, Any],
    execution: dict[str, Any],
    ctx: dict[str, Any],
) -> tuple[Any, Any]:
    state = _MapState(definition=state_def, input=raw_input, effective_input=effective, context=ctx)
    files = state.result_files()
    run = MapRun(
        execution,
        state.child_machine(iterator, execution["stateMachineArn"]),
        child_input=state.child_input,
        at_once=int(state.number("MaxConcurrency") or 0),
        tolerance=Tolerance(percentage=state.number("ToleratedFailurePercentage"), count=state.number("ToleratedFailureCount")),
    )
    with live(run):
        try:
            result = _result(run, state, files)
        except SystemExit:  # the execution was stopped, or a Map around this one has failed
            run.close("ABORTED")
            raise
        except Exception as error:
            run.close("FAILED")
            name, cause = getattr(error, "error", "States.Runtime"), getattr(error, "cause", str(error))
            stepfunctions._add_event(execution, "MapRunFailed", {"mapRunFailedEventDetails": {"error": name, "cause": cause}})
            stepfunctions._add_event(execution, "MapStateFailed")
            raise
    run.close("SUCCEEDED")
    stepfunctions._add_event(execution, "MapRunSucceeded")
    stepfunctions._add_event(execution, "MapStateSucceeded")
    return state.left_with(result)


def _result(run: MapRun, state: _MapState, files: ResultFiles | None) -> Any:
    stepfunctions._add_event(run.execution, "MapStateStarted", {"mapStateStartedEventDetails": {"length": 0}})
    stepfunctions._add_event(run.execution, "MapRunStarted", {"mapRunStartedEventDetails": {"mapRunArn": run.arn}})
    run.run(state.items())
    if run.was_aborted:
        with suppress(stepfunctions._ExecutionError):
            _write(run, files)
        raise SystemExit
    if run.error is not None:
        raise run.error
    written = _write(run, files)
    if run.has_failed_too_often:
        cause = "The specified tolerated failure threshold was exceeded"
        raise stepfunctions._ExecutionError("States.ExceedToleratedFailureThreshold", cause)
    return results(run.ended) if files is None else written


def _write(run: MapRun, files: ResultFiles | None) -> Any:
    if files is None:
        return None
    written = files.write(run.arn, ended=run.ended.values(), never_started=run.inputs_never_started())
    run.count(resultsWritten=len(run.ended))
    return written


def _object_text(place: dict[str, Any]) -> str:
    bucket, key, version = place.get("Bucket"), place.get("Key"), place.get("VersionId")
    status, _, body = s3._get_object(bucket, key, {}, {"versionId": version} if version else {})
    if status != 200:
        which = f"Bucket: {bucket}, Key: {key}" + (f", VersionId: {version}" if version else "")
        raise stepfunctions._ExecutionError("States.ItemReaderFailed", f"The specified key does not exist. ({which})")
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
    """What ran when the emulator ended has failed, as MiniStack says of executions."""

    @functools.wraps(restore_state)
    def restoring(saved: Any) -> None:
        restore_state(saved)
        for record in stepfunctions._map_runs.all_values():
            if record["status"] == "RUNNING":
                counts = record["itemCounts"]
                counts = {**counts, "running": 0, "failed": counts["failed"] + counts["running"]}
                record.update(status="FAILED", stopDate=now_iso(), itemCounts=counts, executionCounts=counts)

    return restoring
