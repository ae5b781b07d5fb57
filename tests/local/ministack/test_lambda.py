"""Lambda in the emulator: the name of a failure, and a call's log."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.ministack.awslambda import errors
from local.ministack.edits import PatchError, edit, edit_text, replace
from tests.support.emulator import (
    CLOSED,
    STEP,
    Emulator,
    lambda_task,
    running_emulator,
    until,
)


def test_failure_is_named_after_exception_class(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: Any
) -> None:
    event = {"raise": "first line\nKeyError: second line"}
    assert (
        plain_emulator.invoke(steps[plain_emulator], event)["errorType"] == "Runtime.HandlerError"
    ), CLOSED
    failure = patched_emulator.invoke(steps[patched_emulator], event)
    assert failure["errorType"] == "InputError"
    assert failure["errorMessage"] == event["raise"]

    (frame,) = failure["stackTrace"]
    assert "in handler" in frame


def test_execution_error_is_the_exception_class(patched_emulator: Emulator, steps: Any) -> None:
    machine = patched_emulator.create_machine(
        "Work", {"Work": lambda_task(steps[patched_emulator], End=True)}
    )
    assert (
        patched_emulator.wait_for_end(patched_emulator.begin(machine, {"raise": "no"}))["error"]
        == "InputError"
    )


def test_throttled_call_keeps_its_name(tmp_path: Path) -> None:
    def error(module: str) -> str:
        """Return the error of an execution whose call is the second one at the same time."""
        folder, released = tmp_path / module, tmp_path / f"{module}-released"
        limits = {"LAMBDA_ACCOUNT_CONCURRENCY": "1", "strict": "late_executions=0"}
        with running_emulator(folder, module=module, **limits) as emulator:
            function = emulator.create_function(STEP)
            machine = emulator.create_machine("Work", {"Work": lambda_task(function, End=True)})
            mark = tmp_path / f"{module}-present"
            mark.mkdir()
            running = {"present": str(mark), "wait_for": str(released)}
            with ThreadPoolExecutor(1) as caller:
                first = caller.submit(emulator.invoke, function, running)
                until(lambda: any(mark.iterdir()))
                execution = emulator.begin(machine)
                failed = emulator.wait_for_end(execution)
                released.touch()
                first.result()
        return str(failed["error"])

    assert error("ministack") == "Lambda.Unknown", CLOSED
    assert error("local.ministack") == "Lambda.TooManyRequestsException"


@pytest.mark.parametrize("death", ["exit", "kill"])
def test_process_death_is_named(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: Any, death: str
) -> None:
    assert (
        plain_emulator.invoke(steps[plain_emulator], {"die": death})["errorType"]
        == "Runtime.HandlerError"
    ), CLOSED
    assert (
        patched_emulator.invoke(steps[patched_emulator], {"die": death})["errorType"]
        == "Runtime.ExitError"
    )
    assert "process" in patched_emulator.invoke(steps[patched_emulator], {}), (
        "a dead process is replaced"
    )


def test_timeout_keeps_its_name(patched_emulator: Emulator) -> None:
    function = patched_emulator.create_function(STEP, timeout=1)
    assert patched_emulator.invoke(function, {"seconds": 30})["errorType"] == "Sandbox.Timedout"
    assert "process" in patched_emulator.invoke(function, {})


def test_handler_that_raises_keeps_its_process(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def processes(emulator: Emulator) -> set[int]:
        function = emulator.create_function(STEP)
        before = emulator.invoke(function, {})["process"]
        emulator.invoke(function, {"raise": "no"})
        return {before, emulator.invoke(function, {})["process"]}

    assert len(processes(plain_emulator)) == 2, CLOSED
    assert len(processes(patched_emulator)) == 1


def test_call_without_log_does_not_wait(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: Any
) -> None:
    def fastest(emulator: Emulator) -> float:
        def seconds() -> float:
            started = time.perf_counter()
            emulator.invoke(steps[emulator], {})
            return time.perf_counter() - started

        return min(seconds() for _ in range(10))

    assert fastest(plain_emulator) > 0.05, CLOSED
    assert fastest(patched_emulator) < 0.05


def test_each_call_gets_its_own_log(patched_emulator: Emulator, steps: Any) -> None:
    for word in ("sunrise", "sunset"):
        answer = patched_emulator.functions.invoke(
            FunctionName=steps[patched_emulator],
            LogType="Tail",
            Payload=f'{{"log": "{word}", "raise": "no"}}',
        )
        log = base64.b64decode(answer["LogResult"]).decode()
        assert [line for line in log.splitlines() if line.startswith(("sun", "[ERROR]"))] == [
            word,
            "[ERROR] InputError: no",
        ]


def test_outdated_patch_is_reported_in_one_line() -> None:
    problem = r"\S+\._REPORT no longer contains 'not there' exactly once"
    with pytest.raises(PatchError, match=rf"^MiniStack \S+: {problem}\..*$"):
        edit_text(errors, "_REPORT", [("not there", "")])
    with pytest.raises(PatchError, match=r"awslambda\.errors\.nowhere is gone"):
        edit(errors, "nowhere", [])
    with pytest.raises(PatchError, match=r"awslambda\.errors\.nowhere is gone"):
        replace(errors, "nowhere", lambda original: original)
