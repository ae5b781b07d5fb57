"""Executions in the emulator: their pauses, their history and their metrics."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from local.ministack.stepfunctions.executions import retry_delay
from tests.support.emulator import (
    CLOSED,
    REGION,
    Emulator,
    entered,
    lambda_task,
    map_over,
    types,
)


def test_execution_starts_immediately(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    def pause(emulator: Emulator) -> timedelta:
        machine = emulator.create_machine("Pass", {"Pass": {"Type": "Pass", "End": True}})
        pauses: list[timedelta] = []
        for _ in range(3):
            execution = emulator.begin(machine)
            emulator.wait_for_end(execution)
            first, second, *_rest = emulator.history(execution)
            pauses.append(second["timestamp"] - first["timestamp"])
        return min(pauses)

    assert pause(plain_emulator) >= timedelta(seconds=0.15), CLOSED
    assert pause(patched_emulator) < timedelta(seconds=0.1)


@pytest.mark.parametrize("kind", ["Task", "Map"])
def test_retry_waits_at_most_its_maximum_delay(
    plain_emulator: Emulator, patched_emulator: Emulator, kind: str
) -> None:
    retry = {
        "ErrorEquals": ["States.ALL"],
        "BackoffRate": 10,
        "MaxDelaySeconds": 2,
        "MaxAttempts": 2,
    }
    missing = f"arn:aws:lambda:{REGION}:000000000000:function:missing"

    def second_delay(emulator: Emulator) -> timedelta:
        if kind == "Task":
            work = lambda_task(missing, End=True, Retry=[retry])
        else:
            work = map_over({"Call": lambda_task(missing, End=True)}, Items=[1], Retry=[retry])
        execution = emulator.begin(emulator.create_machine("Work", {"Work": work}))
        emulator.wait_for_end(execution)
        history = emulator.history(execution)

        def times(event_type: str) -> list[datetime]:
            return [event["timestamp"] for event in history if event["type"] == event_type]

        assert len(times("TaskFailed")) == 3
        return times("TaskScheduled")[2] - times("TaskFailed")[1]

    # The test divides delays by ten: 1 s without the limit, 0.2 s with it.
    assert second_delay(plain_emulator) > timedelta(seconds=0.9), CLOSED
    assert timedelta(seconds=0.15) < second_delay(patched_emulator) < timedelta(seconds=0.9)


def test_full_jitter_waits_up_to_the_delay() -> None:
    retry = {"IntervalSeconds": 4, "BackoffRate": 2, "MaxDelaySeconds": 10}
    assert [retry_delay(retry, retries) for retries in range(3)] == [4, 8, 10]
    delays = [retry_delay({**retry, "JitterStrategy": "FULL"}, 5) for _ in range(100)]
    assert 0 <= min(delays) < 5 < max(delays) <= 10


def test_history_shows_states_inside_a_map(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: Any
) -> None:
    def history(emulator: Emulator) -> list[dict[str, Any]]:
        rest = {"Type": "Pass", "End": True}
        inner = {"Work": lambda_task(steps[emulator], Next="Rest"), "Rest": rest}
        machine = emulator.create_machine("Each", {"Each": map_over(inner)})
        execution = emulator.begin(machine, {"items": [{}, {}]})
        assert emulator.wait_for_end(execution)["status"] == "SUCCEEDED"
        return emulator.history(execution)

    assert entered(history(plain_emulator)) == ["Each"], CLOSED
    events = history(patched_emulator)
    assert sorted(entered(events)) == ["Each", "Rest", "Rest", "Work", "Work"]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    for index in range(2):
        details = {"name": "Each", "index": index}
        (first,) = (
            event for event in events if event.get("mapIterationStartedEventDetails") == details
        )
        chain = [first]
        while after := [
            event for event in events if event.get("previousEventId") == chain[-1]["id"]
        ]:
            chain.append(after[0])
        assert types(chain) == [
            "MapIterationStarted",
            "TaskStateEntered",
            "TaskScheduled",
            "TaskSucceeded",
            "TaskStateExited",
            "PassStateEntered",
            "PassStateExited",
            "MapIterationSucceeded",
        ]
        assert chain[-1]["mapIterationSucceededEventDetails"] == details


def test_failed_execution_is_counted_and_triggers_alarm(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def rings(emulator: Emulator) -> bool:
        machine = emulator.create_machine("Fail", {"Fail": {"Type": "Fail", "Error": "E"}})
        dimensions = [{"Name": "StateMachineArn", "Value": machine}]
        metric = {"Namespace": "AWS/States", "MetricName": "ExecutionsFailed"}
        alarm = emulator.create_alarm({**metric, "Dimensions": dimensions}, threshold=1)
        assert emulator.wait_for_end(emulator.begin(machine))["status"] == "FAILED"
        return emulator.fires(alarm)

    assert not rings(plain_emulator), CLOSED
    assert rings(patched_emulator)
