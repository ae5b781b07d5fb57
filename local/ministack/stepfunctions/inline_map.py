"""Gap: when one iteration of a Map fails, MiniStack lets the others run out; and a stopped execution goes on and may end FAILED."""

import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from typing import Any

from ministack.services import stepfunctions

from local.ministack.edits import edit, replace

# Set once a Map has failed: that of this thread's own Map, and of each Map around it.
_failed_maps: ContextVar[tuple[threading.Event, ...]] = ContextVar("failed_maps", default=())

_RUNNING_ALL = """    with ThreadPoolExecutor(max_workers=workers) as pool:
        futs = [
            pool.submit(contextvars.copy_context().run, run_item, i, item)
            for i, item in enumerate(items)
        ]
        futures_wait(futs)

    for err in errors:
        if err is not None:
            raise err if isinstance(err, _ExecutionError) else _ExecutionError(
                "States.MapFailed", str(err))
"""
_RUNNING_UNTIL_ONE_FAILS = """    _easel_run_iterations(
        execution, ctx["State"]["Name"], run_item=run_item, items=items, errors=errors, at_once=workers)
"""


def apply() -> None:
    """Fail the Map at its first failed iteration; what no longer matters ends at its next event."""
    edit(
        stepfunctions,
        "_run_map_items",
        [(_RUNNING_ALL, _RUNNING_UNTIL_ONE_FAILS)],
        _easel_run_iterations=_run_iterations,
    )
    replace(stepfunctions, "_add_event", _while_it_matters)
    replace(stepfunctions, "_run_execution", _outside_any_map)


def _run_iterations(
    execution: dict[str, Any],
    name: str,
    *,
    run_item: Callable[[int, Any], None],
    items: list[Any],
    errors: list[Exception | None],
    at_once: int,
) -> None:
    failed = threading.Event()
    failures: list[Exception] = []
    open_iterations: set[int] = set()

    def iterate(index: int, item: Any) -> None:
        _failed_maps.set((*_failed_maps.get(), failed))
        _add_iteration_event(execution, "Started", name, index)
        open_iterations.add(index)
        run_item(index, item)
        error = errors[index]
        _add_iteration_event(execution, "Failed" if error else "Succeeded", name, index)
        open_iterations.discard(index)
        if error:
            failures.append(error)
            failed.set()
            raise error

    stepfunctions._add_event(execution, "MapStateStarted", {"mapStateStartedEventDetails": {"length": len(items)}})
    pool = ThreadPoolExecutor(max_workers=at_once)
    iterations: list[Future[None]] = [pool.submit(contextvars.copy_context().run, iterate, index, item) for index, item in enumerate(items)]
    ended = wait(iterations, return_when=FIRST_EXCEPTION).done
    pool.shutdown(wait=False, cancel_futures=True)
    if failures:
        for index in sorted(open_iterations):
            _add_iteration_event(execution, "Aborted", name, index)
        stepfunctions._add_event(execution, "MapStateFailed")
        first = failures[0]
        known = isinstance(first, stepfunctions._ExecutionError)
        raise first if known else stepfunctions._ExecutionError("States.MapFailed", str(first))
    for iteration in ended:
        iteration.result()  # raises if the execution was stopped, or a Map around this one has failed
    stepfunctions._add_event(execution, "MapStateSucceeded")


def _add_iteration_event(execution: dict[str, Any], what: str, name: str, index: int) -> None:
    details = {f"mapIteration{what}EventDetails": {"name": name, "index": index}}
    stepfunctions._add_event(execution, f"MapIteration{what}", details)


def _while_it_matters(add_event: Any) -> Any:
    @functools.wraps(add_event)
    def checking(execution: dict[str, Any], event_type: str, details: Any = None) -> Any:
        over = execution.get("status", "RUNNING") != "RUNNING" or any(map_.is_set() for map_ in _failed_maps.get())
        if over and not event_type.startswith("Execution"):
            raise SystemExit  # ends this thread in silence; nothing between here and its start takes it for a failure
        return add_event(execution, event_type, details)

    return checking


def _outside_any_map(run_execution: Any) -> Any:
    """An execution that a task started, and waits for, is not part of that task's Map."""

    def run(execution_arn: str) -> None:
        _failed_maps.set(())
        run_execution(execution_arn)

    return functools.wraps(run_execution)(lambda execution_arn: contextvars.copy_context().run(run, execution_arn))
