"""Gap: RedriveExecution is unknown.

An execution records which state it has reached, for itself and for each branch and iteration. A
branch that has ended keeps its result. A redrive starts each of them at its recorded state, as AWS
does, so an inline Map repeats only what had not succeeded. A Distributed Map starts over, and only
the execution that holds it can be redriven.
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

# Both are fields of an execution's record. They map the path of a branch to {"state", "input",
# "variables"} or {"output"}. A redrive starts from the second. The top level's path is "".
_REACHED = "reached"
_RESUME_AT = "resumeAt"
_KEPT_WHILE_OPEN = (_REACHED, _RESUME_AT, "definition")

_path: ContextVar[str] = ContextVar("path", default="")
_variables: ContextVar[dict[str, Any]] = ContextVar("variables")
_resuming: ContextVar[bool] = ContextVar("resuming", default=False)
_run: ContextVar[tuple[str, int]] = ContextVar("run", default=("", 0))

_EXECUTION_CHANGES = [
    # A redriven execution keeps its definition, even after a deploy.
    (
        'json.loads(sm["definition"])',
        'json.loads(execution.setdefault("definition", sm["definition"]))',
    ),
    (
        'current_name = definition.get("StartAt")',
        "current_name = _easel_first_state(execution, definition)",
    ),
    ('"variables": {},', '"variables": _easel_variables(execution),'),
    (
        "    try:\n        while current_name and",
        "    current_input = _easel_first_input(execution, current_input)\n"
        "    try:\n        while current_name and",
    ),
]
_ITEM = "        try:\n            item_ctx = copy.deepcopy(ctx)\n"
_ITEM_WITH_PATH = "        _easel_enter_item(idx)\n" + _ITEM
_ACTION = '        "ListMapRuns": _list_map_runs,\n'
_ACTIONS = _ACTION + '        "RedriveExecution": _easel_redrive_execution,\n'


def apply() -> None:
    """Answer RedriveExecution, and report redrives in DescribeExecution."""
    edit(
        stepfunctions,
        "_run_execution",
        _EXECUTION_CHANGES,
        _easel_first_state=_first_state,
        _easel_first_input=_first_input,
        _easel_variables=_first_variables,
    )
    edit(stepfunctions, "_run_map_items", [(_ITEM, _ITEM_WITH_PATH)], _easel_enter_item=_enter_item)
    edit(
        stepfunctions,
        "handle_request",
        [(_ACTION, _ACTIONS)],
        _easel_redrive_execution=redrive_execution,
    )
    replace(stepfunctions, "_run_execution", _as_one_run)
    replace(stepfunctions, "_run_sub_machine", _resuming_branch)
    replace(stepfunctions, "_run_map_items", _starting_over_on_retry)
    replace(stepfunctions, "_run_parallel_branches", _starting_over_on_retry)
    replace(stepfunctions, "_add_event", _recording_progress)
    replace(stepfunctions, "_describe_execution", _with_redrives)
    replace(stepfunctions, "get_state", _copying_despite_changes)


def redrive_execution(request: dict[str, Any]) -> Any:
    """Restart an execution that failed or was stopped, at the states it had reached."""
    arn = request.get("executionArn", "")
    execution = stepfunctions._executions.get(arn)
    if execution is None:
        return error_response_json(
            "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400
        )
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
    run = (stepfunctions._run_execution, arn)
    threading.Thread(target=copy_context().run, args=run, daemon=True).start()
    return json_response({"redriveDate": execution["redriveDate"]})


def _redrivable(execution: dict[str, Any]) -> tuple[bool, str]:
    status = execution["status"]
    if execution.get("sync"):
        return False, "Execution of an EXPRESS state machine cannot be redriven"
    if execution.get("mapRunArn"):
        reason = "redrive the execution that holds the Distributed Map"
        return False, f"Execution was started by a Map Run: {reason}"
    if status in ("FAILED", "ABORTED", "TIMED_OUT"):
        return True, ""
    return False, f"Execution is {status} and cannot be redriven"


def _copying_despite_changes(get_state: Any) -> Any:
    """Copy the state again if a running execution writes into its record during the copy."""

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
        # A child reports whether its Map Run can redrive it. RedriveExecution refuses it anyway.
        redrivable, reason = _redrivable({**execution, "mapRunArn": None})
        fields = {
            "redriveCount": execution.get("redriveCount", 0),
            "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
            **({"redriveStatusReason": reason} if reason else {}),
            **({"redriveDate": execution["redriveDate"]} if "redriveDate" in execution else {}),
        }
        return json_response({**json.loads(body), **fields})

    return describing


def _as_one_run(run_execution: Any) -> Any:
    """Keep the paths of an execution that a task starts apart from those in its thread."""

    def run(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn) or {}
        _run.set((execution_arn, execution.get("redriveCount", 0)))
        _path.set("")
        _resuming.set(False)
        run_execution(execution_arn)

    return functools.wraps(run_execution)(
        lambda execution_arn: copy_context().run(run, execution_arn)
    )


def _first_variables(execution: dict[str, Any]) -> dict[str, Any]:
    resume_at = execution.get(_RESUME_AT, {}).get("", {})
    variables: dict[str, Any] = copy.deepcopy(resume_at.get("variables", {}))
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


def _resuming_branch(run_sub_machine: Any) -> Any:
    """Start a branch or iteration at the state that it had reached, or return its result."""

    @functools.wraps(run_sub_machine)
    def running(
        states: Any, start_at: str, input_data: Any, execution: dict[str, Any], ctx: dict[str, Any]
    ) -> Any:
        path = f"{_path.get()}/{start_at}"
        _path.set(path)
        _variables.set(ctx.setdefault("variables", {}))
        if _REACHED not in execution:  # a child of a Distributed Map
            return run_sub_machine(states, start_at, input_data, execution, ctx)
        reached = execution.get(_RESUME_AT, {}).pop(path, None)
        _resuming.set(reached is not None)
        if reached and "output" in reached:
            execution[_REACHED][path] = reached
            return json.loads(reached["output"])
        if reached:
            start_at, input_data = reached["state"], json.loads(reached["input"])
            ctx["variables"].update(copy.deepcopy(reached["variables"]))
        output = run_sub_machine(states, start_at, input_data, execution, ctx)
        execution[_REACHED][path] = {"output": json.dumps(output)}
        return output

    return running


def _enter_item(index: int) -> None:
    _path.set(f"{_path.get()}/{index}")


def _starting_over_on_retry(run_all: Any) -> Any:
    """Start all branches of a Map or Parallel from the beginning when it is retried."""

    @functools.wraps(run_all)
    def running(
        state_def: Any, raw_input: Any, execution: dict[str, Any], ctx: dict[str, Any]
    ) -> Any:
        if ctx["State"].get("RetryCount"):
            _forget_below(execution, _path.get())
        return run_all(state_def, raw_input, execution, ctx)

    return running


def _recording_progress(add_event: Any) -> Any:
    @functools.wraps(add_event)
    def recording(execution: dict[str, Any], event_type: str, details: Any = None) -> Any:
        arn, attempt = _run.get()
        is_own = arn == execution.get("executionArn")
        outdated = is_own and attempt != execution.get("redriveCount", 0)
        if outdated and not event_type.startswith("Execution"):
            # This thread belongs to the attempt before the redrive, so it ends silently here.
            raise SystemExit
        event = add_event(execution, event_type, details)
        if event_type == "ExecutionSucceeded":
            for field in _KEPT_WHILE_OPEN:
                execution.pop(field, None)
        elif event_type.endswith("StateEntered") and _REACHED in execution:
            entered = details["stateEnteredEventDetails"]
            if not _resuming.get():
                # In a loop, the branches below this state belong to the previous round.
                _forget_below(execution, _path.get())
            _resuming.set(False)
            execution[_REACHED][_path.get()] = {
                "state": entered["name"],
                "input": entered["input"],
                "variables": copy.deepcopy(_variables.get()),
            }
        return event

    return recording


def _forget_below(execution: dict[str, Any], path: str) -> None:
    for branches in (execution.get(_REACHED, {}), execution.get(_RESUME_AT, {})):
        for branch in [branch for branch in list(branches) if branch.startswith(f"{path}/")]:
            branches.pop(branch, None)
