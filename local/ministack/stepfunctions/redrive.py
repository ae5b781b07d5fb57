"""Gap: RedriveExecution is unknown.

An execution keeps, for itself and for each branch and iteration, the state that it has reached (or its result). A
redrive starts each of them there, as AWS does; an inline Map so runs only what had not succeeded. A Distributed Map
starts over.
"""

import copy
import functools
import json
import threading
from contextvars import ContextVar, copy_context
from typing import Any

from ministack.core.responses import error_response_json, json_response, now_iso
from ministack.services import stepfunctions

from local.ministack.edits import edit, replace

# In an execution's record: path of a branch -> {"state", "input", "variables"} or {"output"}; the second is what a
# redrive has to start from. The top level's path is "".
_REACHED = "reached"
_RESUME_AT = "resumeAt"
_KEPT_WHILE_OPEN = (_REACHED, _RESUME_AT, "definition")

_path: ContextVar[str] = ContextVar("path", default="")
_variables: ContextVar[dict[str, Any]] = ContextVar("variables")
_resuming: ContextVar[bool] = ContextVar("resuming", default=False)
_run: ContextVar[tuple[str, int]] = ContextVar("run", default=("", 0))

_EXECUTION_CHANGES = [
    # A redriven execution keeps its definition, whatever has been deployed since.
    ('json.loads(sm["definition"])', 'json.loads(execution.setdefault("definition", sm["definition"]))'),
    ('current_name = definition.get("StartAt")', "current_name = _easel_first_state(execution, definition)"),
    ('"variables": {},', '"variables": _easel_variables(execution),'),
    (
        "    try:\n        while current_name and",
        "    current_input = _easel_first_input(execution, current_input)\n    try:\n        while current_name and",
    ),
]
_ITEM = "        try:\n            item_ctx = copy.deepcopy(ctx)\n"
_ITEM_WITH_PATH = "        _easel_enter_item(idx)\n" + _ITEM
_ACTION = '        "ListMapRuns": _list_map_runs,\n'
_ACTIONS = _ACTION + '        "RedriveExecution": _easel_redrive_execution,\n'


def apply() -> None:
    """Answer RedriveExecution, and tell of redrives in DescribeExecution."""
    edit(
        stepfunctions,
        "_run_execution",
        _EXECUTION_CHANGES,
        _easel_first_state=_first_state,
        _easel_first_input=_first_input,
        _easel_variables=_first_variables,
    )
    edit(stepfunctions, "_run_map_items", [(_ITEM, _ITEM_WITH_PATH)], _easel_enter_item=_enter_item)
    edit(stepfunctions, "handle_request", [(_ACTION, _ACTIONS)], _easel_redrive_execution=redrive_execution)
    replace(stepfunctions, "_run_execution", _as_one_run)
    replace(stepfunctions, "_run_sub_machine", _from_where_it_was)
    replace(stepfunctions, "_run_map_items", _anew_when_retried)
    replace(stepfunctions, "_run_parallel_branches", _anew_when_retried)
    replace(stepfunctions, "_add_event", _noting_where_it_is)
    replace(stepfunctions, "_describe_execution", _with_redrives)
    replace(stepfunctions, "get_state", _while_executions_run)


def redrive_execution(request: dict[str, Any]) -> Any:
    """Start an execution that failed, or was stopped, again where it ended."""
    arn = request.get("executionArn", "")
    execution = stepfunctions._executions.get(arn)
    if execution is None:
        return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
    redrivable, reason = _redrivable(execution)
    if not redrivable:
        return error_response_json("ExecutionNotRedrivable", reason, 400)
    for field in ("error", "cause"):
        execution.pop(field, None)
    execution[_RESUME_AT] = {**execution.get(_RESUME_AT, {}), **execution.pop(_REACHED, {})}
    execution["redriveCount"] = execution.get("redriveCount", 0) + 1
    execution["redriveDate"] = now_iso()
    execution.update(output=None, stopDate=None, status="RUNNING")
    details = {"executionRedrivenEventDetails": {"redriveCount": execution["redriveCount"]}}
    stepfunctions._add_event(execution, "ExecutionRedriven", details)
    stepfunctions._emit_execution_status_event(execution)
    threading.Thread(target=copy_context().run, args=(stepfunctions._run_execution, arn), daemon=True).start()
    return json_response({"redriveDate": execution["redriveDate"]})


def _redrivable(execution: dict[str, Any]) -> tuple[bool, str]:
    status = execution["status"]
    if execution.get("sync"):
        return False, "Execution of an EXPRESS state machine cannot be redriven"
    if execution.get("mapRunArn"):
        return False, "Execution was started by a Map Run: redrive the execution that holds the Distributed Map"
    if status in ("FAILED", "ABORTED", "TIMED_OUT"):
        return True, ""
    return False, f"Execution is {status} and cannot be redriven"


def _while_executions_run(get_state: Any) -> Any:
    """What is saved at the end is a copy, and a running execution may write into its record during the copying."""

    @functools.wraps(get_state)
    def copying() -> Any:
        while True:
            try:
                return get_state()
            except RuntimeError as error:
                if "changed size during iteration" not in str(error):
                    raise

    return copying


def _with_redrives(describe: Any) -> Any:
    @functools.wraps(describe)
    def describing(request: dict[str, Any]) -> Any:
        status, headers, body = describe(request)
        if status != 200:
            return status, headers, body
        execution = stepfunctions._executions[request["executionArn"]]
        redrivable, reason = _redrivable(execution)
        fields = {
            "redriveCount": execution.get("redriveCount", 0),
            "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
            **({"redriveStatusReason": reason} if reason else {}),
            **({"redriveDate": execution["redriveDate"]} if "redriveDate" in execution else {}),
        }
        return json_response({**json.loads(body), **fields})

    return describing


def _as_one_run(run_execution: Any) -> Any:
    """An execution that a task started shares the task's thread, but none of its places."""

    def run(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn) or {}
        _run.set((execution_arn, execution.get("redriveCount", 0)))
        _path.set("")
        _resuming.set(False)
        run_execution(execution_arn)

    return functools.wraps(run_execution)(lambda execution_arn: copy_context().run(run, execution_arn))


def _first_variables(execution: dict[str, Any]) -> dict[str, Any]:
    variables: dict[str, Any] = copy.deepcopy(execution.get(_RESUME_AT, {}).get("", {}).get("variables", {}))
    _variables.set(variables)
    return variables


def _first_state(execution: dict[str, Any], definition: dict[str, Any]) -> Any:
    reached = execution.get(_RESUME_AT, {}).get("")
    return reached["state"] if reached else definition.get("StartAt")


def _first_input(execution: dict[str, Any], started_with: Any) -> Any:
    reached = execution.get(_RESUME_AT, {}).pop("", None)
    execution.setdefault(_REACHED, {})
    if reached is None:
        return started_with
    _resuming.set(True)
    return json.loads(reached["input"])


def _from_where_it_was(run_sub_machine: Any) -> Any:
    @functools.wraps(run_sub_machine)
    def running(states: Any, start_at: str, input_data: Any, execution: dict[str, Any], ctx: dict[str, Any]) -> Any:
        path = f"{_path.get()}/{start_at}"
        _path.set(path)
        _variables.set(ctx.setdefault("variables", {}))
        if _REACHED not in execution:  # a child of a Distributed Map
            return run_sub_machine(states, start_at, input_data, execution, ctx)
        was = execution.get(_RESUME_AT, {}).pop(path, None)
        _resuming.set(was is not None)
        if was and "output" in was:
            execution[_REACHED][path] = was
            return json.loads(was["output"])
        if was:
            start_at, input_data = was["state"], json.loads(was["input"])
            ctx["variables"].update(copy.deepcopy(was["variables"]))
        output = run_sub_machine(states, start_at, input_data, execution, ctx)
        execution[_REACHED][path] = {"output": json.dumps(output)}
        return output

    return running


def _enter_item(index: int) -> None:
    _path.set(f"{_path.get()}/{index}")


def _anew_when_retried(run_all: Any) -> Any:
    """A Map or Parallel that is retried starts all its branches over."""

    @functools.wraps(run_all)
    def running(state_def: Any, raw_input: Any, execution: dict[str, Any], ctx: dict[str, Any]) -> Any:
        if ctx["State"].get("RetryCount"):
            _forget_below(execution, _path.get())
        return run_all(state_def, raw_input, execution, ctx)

    return running


def _noting_where_it_is(add_event: Any) -> Any:
    @functools.wraps(add_event)
    def noting(execution: dict[str, Any], event_type: str, details: Any = None) -> Any:
        run_of, run = _run.get()
        outdated = run_of == execution.get("executionArn") and run != execution.get("redriveCount", 0)
        if outdated and not event_type.startswith("Execution"):
            raise SystemExit  # a thread of the attempt before the redrive: it ends here, in silence
        event = add_event(execution, event_type, details)
        if event_type == "ExecutionSucceeded":
            for field in _KEPT_WHILE_OPEN:
                execution.pop(field, None)
        elif event_type.endswith("StateEntered") and _REACHED in execution:
            entered = details["stateEnteredEventDetails"]
            if not _resuming.get():  # in a loop, what is below belongs to the round before
                _forget_below(execution, _path.get())
            _resuming.set(False)
            here = {"state": entered["name"], "input": entered["input"]}
            execution[_REACHED][_path.get()] = {**here, "variables": copy.deepcopy(_variables.get())}
        return event

    return noting


def _forget_below(execution: dict[str, Any], path: str) -> None:
    for places in (execution.get(_REACHED, {}), execution.get(_RESUME_AT, {})):
        for place in [place for place in list(places) if place.startswith(f"{path}/")]:
            places.pop(place, None)
