"""An inline Map in the emulator when an iteration fails, and executions that are stopped."""

from pathlib import Path
from typing import Any

from tests.support.emulator import (
    CLOSED,
    Emulator,
    happens_within,
    lambda_task,
    map_over,
    types,
    until,
)


def test_failed_iteration_aborts_the_others(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: Any, tmp_path: Path
) -> None:
    def run(emulator: Emulator) -> tuple[bool, list[dict[str, Any]]]:
        """Return whether the Map ends while another iteration still calls, and the later events."""
        inner = {
            "Work": lambda_task(steps[emulator], Next="Then"),
            "Then": lambda_task(steps[emulator], End=True),
        }
        machine = emulator.create_machine("Each", {"Each": map_over(inner)})
        began, released, seen = (
            tmp_path / f"{what}-{emulator.port}" for what in ("began", "released", "seen")
        )
        slow = {"wait_for": str(released), "mark": str(seen)}
        items = [{"wait_for": str(began), "raise": "no"}, {"mark": str(began)}, slow]
        execution = emulator.begin(machine, {"items": items})
        until(lambda: "TaskFailed" in types(emulator.history(execution)))
        description = happens_within(1, lambda: emulator.status(execution) == "FAILED")
        released.touch()
        until(seen.exists)
        error = emulator.invoke(steps[emulator], {"raise": "no"})["errorType"]
        assert emulator.wait_for_end(execution)["error"] == error
        return description, emulator.history(execution)

    assert not run(plain_emulator)[0], CLOSED

    description, history = run(patched_emulator)
    assert description
    assert types(history)[-3:] == ["MapIterationAborted", "MapStateFailed", "ExecutionFailed"]
    assert history[-3]["mapIterationAbortedEventDetails"] == {"name": "Each", "index": 2}


def test_waiting_iteration_never_starts_after_failure(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: Any
) -> None:
    def tasks(emulator: Emulator) -> int:
        each = map_over({"Work": lambda_task(steps[emulator], End=True)}, MaxConcurrency=1)
        machine = emulator.create_machine("Each", {"Each": each})
        execution = emulator.begin(machine, {"items": [{"raise": "no"}, {}]})
        emulator.wait_for_end(execution)
        return types(emulator.history(execution)).count("TaskScheduled")

    assert tasks(plain_emulator) == 2, CLOSED
    assert tasks(patched_emulator) == 1


def test_stopped_execution_stays_stopped(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: Any, tmp_path: Path
) -> None:
    def end(emulator: Emulator) -> tuple[str, str]:
        began, released = (tmp_path / f"{what}-{emulator.port}" for what in ("began", "released"))
        then = "{% $states.context.Execution.Input.then %}"
        states = {
            "Begin": lambda_task(steps[emulator], Output=then, Next="Work"),
            "Work": lambda_task(steps[emulator], End=True),
        }
        second = {"wait_for": str(released), "raise": "no", "mark": f"{released}-seen"}
        machine = emulator.create_machine("Begin", states)
        execution = emulator.begin(machine, {"mark": str(began), "then": second})
        until(lambda: types(emulator.history(execution)).count("TaskScheduled") == 2)
        emulator.states.stop_execution(executionArn=execution)
        released.touch()
        until(Path(f"{released}-seen").exists)
        # Calls end in order here, so once another execution has failed, this one has its response.
        other = emulator.create_machine("Work", {"Work": lambda_task(steps[emulator], End=True)})
        for _ in range(2):
            emulator.wait_for_end(emulator.begin(other, {"raise": "no"}))
        return emulator.status(execution), types(emulator.history(execution))[-1]

    assert end(plain_emulator) == ("FAILED", "ExecutionFailed"), CLOSED
    assert end(patched_emulator) == ("ABORTED", "ExecutionAborted")


def test_distributed_map_still_counts_its_failures(patched_emulator: Emulator, steps: Any) -> None:
    work = {
        "StartAt": "Work",
        "States": {
            "Work": {**lambda_task(steps[patched_emulator], End=True), "QueryLanguage": "JSONata"}
        },
    }
    each = {
        "Type": "Map",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            **work,
        },
        "ItemsPath": "$.items",
        "ToleratedFailureCount": 1,
        "End": True,
    }
    machine = patched_emulator.create_machine("Each", {"Each": each}, QueryLanguage="JSONPath")

    def run(*items: dict[str, Any]) -> Any:
        return patched_emulator.wait_for_end(patched_emulator.begin(machine, {"items": items}))

    assert run({"raise": "no"}, {}, {})["status"] == "SUCCEEDED"

    failed = run({"raise": "no"}, {"raise": "no"}, {})
    assert failed["error"] == "States.ExceedToleratedFailureThreshold"
