"""Each test shows a gap in plain MiniStack, and that its patch in local/emulator/ closes it."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local.ministack.awslambda import errors
from local.ministack.stepfunctions import timing
from local.ministack.edits import PatchError, edit, edit_text, replace
from local.ministack.awslambda.workers import PATIENCE_S, START_S, Pool
from tests.local.conftest import REGION, Emulator, happens_within, until

CLOSED = "plain MiniStack now does as AWS does: delete the patch"

STEP = """
import json, os, pathlib, time
import sys

class InputError(Exception):
    pass

def handler(event, context):
    if "present" in event:
        pathlib.Path(event["present"], str(os.getpid())).touch()
    if "wait_for" in event:
        while not os.path.exists(event["wait_for"]):
            time.sleep(0.01)
    time.sleep(event.get("seconds", 0))
    if "mark" in event:
        pathlib.Path(event["mark"]).touch()
    if "log" in event:
        print(event["log"])
    if "raise" in event:
        raise InputError(event["raise"])
    if event.get("die") == "exit":
        sys.exit(1)
    if event.get("die") == "kill":
        os.kill(os.getpid(), 9)
    if "call_itself" in event:
        import boto3
        boto3.client("lambda").invoke(FunctionName=context.function_name, Payload=json.dumps({"seconds": 0.1}))
    return {"process": os.getpid()}
"""


@pytest.fixture(scope="session")
def steps(plain: Emulator, patched: Emulator) -> dict[Emulator, str]:
    """One function in each emulator that does what its event says, already warm."""
    names = {emulator: emulator.create_function(STEP) for emulator in (plain, patched)}
    for emulator, name in names.items():
        emulator.invoke(name, {})
    return names


def lambda_task(function: str, **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
        **more,
    }


def map_over(states: dict[str, Any], **more: Any) -> dict[str, Any]:
    processor = {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": next(iter(states)), "States": states}
    return {"Type": "Map", "Items": "{% $states.input.items %}", "ItemProcessor": processor, "End": True, **more}


def types(history: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in history]


def entered(history: list[dict[str, Any]]) -> list[str]:
    return [event["stateEnteredEventDetails"]["name"] for event in history if event["type"].endswith("StateEntered")]


# lambda_errors


def test_names_a_failure_by_the_class_of_its_exception(plain: Emulator, patched: Emulator, steps: Any) -> None:
    event = {"raise": "first line\nKeyError: second line"}
    assert plain.invoke(steps[plain], event)["errorType"] == "Runtime.HandlerError", CLOSED
    failure = patched.invoke(steps[patched], event)
    assert failure["errorType"] == "InputError"
    assert failure["errorMessage"] == event["raise"]
    (frame,) = failure["stackTrace"]
    assert "in handler" in frame


def test_an_execution_fails_with_the_name_of_the_exceptions_class(patched: Emulator, steps: Any) -> None:
    machine = patched.create_machine("Work", {"Work": lambda_task(steps[patched], End=True)})
    assert patched.ended(patched.begin(machine, {"raise": "no"}))["error"] == "InputError"


@pytest.mark.parametrize("death", ["exit", "kill"])
def test_names_the_death_of_a_process(plain: Emulator, patched: Emulator, steps: Any, death: str) -> None:
    assert plain.invoke(steps[plain], {"die": death})["errorType"] == "Runtime.HandlerError", CLOSED
    assert patched.invoke(steps[patched], {"die": death})["errorType"] == "Runtime.ExitError"
    assert "process" in patched.invoke(steps[patched], {}), "a dead process is replaced"


def test_still_names_a_timeout(patched: Emulator) -> None:
    function = patched.create_function(STEP, timeout=1)
    assert patched.invoke(function, {"seconds": 30})["errorType"] == "Sandbox.Timedout"
    assert "process" in patched.invoke(function, {})


def test_keeps_the_process_of_a_handler_that_raised(plain: Emulator, patched: Emulator) -> None:
    def processes(emulator: Emulator) -> set[int]:
        function = emulator.create_function(STEP)
        before = emulator.invoke(function, {})["process"]
        emulator.invoke(function, {"raise": "no"})
        return {before, emulator.invoke(function, {})["process"]}

    assert len(processes(plain)) == 2, CLOSED
    assert len(processes(patched)) == 1


# lambda_logs


def test_does_not_wait_for_a_log_that_never_comes(plain: Emulator, patched: Emulator, steps: Any) -> None:
    def fastest(emulator: Emulator) -> float:
        def seconds() -> float:
            started = time.perf_counter()
            emulator.invoke(steps[emulator], {})
            return time.perf_counter() - started

        return min(seconds() for _ in range(10))

    assert fastest(plain) > 0.05, CLOSED
    assert fastest(patched) < 0.05


def test_each_call_gets_its_own_log(patched: Emulator, steps: Any) -> None:
    for word in ("sunrise", "sunset"):
        answer = patched.functions.invoke(FunctionName=steps[patched], LogType="Tail", Payload=f'{{"log": "{word}", "raise": "no"}}')
        log = base64.b64decode(answer["LogResult"]).decode()
        assert [line for line in log.splitlines() if line.startswith(("sun", "[ERROR]"))] == [
            word,
            "[ERROR] InputError: no",
        ]


# lambda_workers


def test_calls_queue_for_a_bounded_number_of_processes(plain: Emulator, patched: Emulator) -> None:
    def processes(emulator: Emulator, event: dict[str, Any]) -> list[int]:
        function = emulator.create_function(STEP)
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda _: emulator.invoke(function, event), range(8)))
        return [answer["process"] for answer in answers]

    assert len(set(processes(plain, {"seconds": 0.5}))) > 3, CLOSED
    answered = processes(patched, {"seconds": 0.1})
    assert len(answered) == 8
    assert len(set(answered)) <= 3


def test_slow_calls_get_all_the_processes_there_may_be(patched: Emulator, tmp_path: Path) -> None:
    function, present, released = patched.create_function(STEP, timeout=60), tmp_path / "present", tmp_path / "released"
    present.mkdir()
    event = {"present": str(present), "wait_for": str(released)}
    with ThreadPoolExecutor(8) as callers:
        answers = [callers.submit(patched.invoke, function, event) for _ in range(8)]
        try:
            until(lambda: len(list(present.iterdir())) == 3)
            # More would come now, were there no limit.
            assert not happens_within(2 * START_S, lambda: len(list(present.iterdir())) > 3)
        finally:
            released.touch()
    assert {str(answer.result()["process"]) for answer in answers} == {process.name for process in present.iterdir()}
    assert len(list(present.iterdir())) == 3


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Process:
    in_use: bool = True


def pool_of(processes: list[Process], clock: Clock) -> Pool:
    """A function's pool on a machine of two cores, with processes that were all started, and are busy."""
    pool = Pool(4, cores=2, clock=clock)
    for process in processes:
        pool.lease(list, lambda process=process: (process, "spawn"))  # type: ignore[misc]
        pool.started(process)
    return pool


def test_a_call_takes_a_free_process_or_starts_the_first() -> None:
    assert Pool(4).goes_on([], since=0)
    assert pool_of([Process()], clock := Clock()).goes_on([Process(), Process(in_use=False)], since=clock.now)


def test_a_process_for_each_core_is_started_soon_and_further_ones_where_a_call_waits_long() -> None:
    for busy, patience in (([Process()], PATIENCE_S), ([Process(), Process()], START_S)):
        clock = Clock()
        pool, since = pool_of(busy, clock), clock.now
        clock.now += patience * 0.9
        assert not pool.goes_on(busy, since)
        clock.now += patience * 0.2
        assert pool.goes_on(busy, since)
        assert not pool.goes_on(busy, clock.now), "each call has a patience of its own"


def test_processes_are_started_one_at_a_time() -> None:
    busy, clock = [Process()], Clock()
    pool, since = pool_of(busy, clock), clock.now
    clock.now += 100
    busy.append(started := Process())
    pool.lease(list, lambda: (started, "spawn"))
    clock.now += 100
    assert not pool.goes_on(busy, since)
    pool.started(started)  # it is there, though with its first call
    assert not pool.goes_on(busy, since)
    clock.now += START_S
    assert pool.goes_on(busy, since)


def test_slow_calls_get_no_more_processes_than_are_allowed() -> None:
    busy, clock = [Process() for _ in range(4)], Clock()
    pool = pool_of(busy, clock)
    clock.now += 100
    assert pool.goes_on(busy[:3], since=0)
    assert not pool.goes_on(busy, since=0)


def test_calls_are_served_in_the_order_in_which_they_came() -> None:
    process, pool, served = Process(), Pool(1), list[int]()
    pool.lease(list, lambda: (process, "warm"))

    def call(number: int) -> None:
        pool.lease(lambda: [process], lambda: (process, "warm"))
        served.append(number)

    callers = []
    for number in range(5):
        callers.append(Thread(target=call, args=(number,)))
        callers[-1].start()
        until(lambda: len(pool.waiting) == number + 1)  # noqa: B023 - it ends before the next
    process.in_use = False
    pool.freed()
    for caller in callers:
        caller.join()
    assert served == list(range(5))


def test_a_function_that_calls_itself_does_not_queue_behind_itself(patched: Emulator, tmp_path: Path) -> None:
    function, present, released = patched.create_function(STEP, timeout=60), tmp_path / "present", tmp_path / "released"
    present.mkdir()
    event = {"present": str(present), "wait_for": str(released), "call_itself": True}
    with ThreadPoolExecutor(3) as callers:
        answers = [callers.submit(patched.invoke, function, event) for _ in range(3)]
        try:
            until(lambda: len(list(present.iterdir())) == 3)  # all that there may be are busy
        finally:
            released.touch()
        assert all("process" in answer.result() for answer in answers)


# object_events


def test_eventbridge_is_told_the_version_of_a_new_object(plain: Emulator, patched: Emulator) -> None:
    def told(emulator: Emulator) -> tuple[Any, str]:
        sqs, events, s3 = emulator.client("sqs"), emulator.client("events"), emulator.s3
        url = sqs.create_queue(QueueName="new-objects")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": ["told"]}, "object": {"key": [{"prefix": "in/"}]}}}
        events.put_rule(Name="new-objects", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="new-objects", Targets=[{"Id": "queue", "Arn": arn}])
        s3.create_bucket(Bucket="told", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket="told", VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_notification_configuration(Bucket="told", NotificationConfiguration={"EventBridgeConfiguration": {}})
        s3.put_object(Bucket="told", Key="out/a", Body=b"a")
        version = s3.put_object(Bucket="told", Key="in/a", Body=b"a")["VersionId"]
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
        found = json.loads(message["Body"])["detail"]["object"]
        return found.get("version-id"), version

    assert told(plain)[0] is None, CLOSED
    found, version = told(patched)
    assert found == version


# object_copies


def test_refuses_to_copy_over_an_object_when_told_so(plain: Emulator, patched: Emulator) -> None:
    def copy(emulator: Emulator) -> str:
        emulator.s3.create_bucket(Bucket="copies", CreateBucketConfiguration={"LocationConstraint": REGION})
        for key in ("from", "to"):
            emulator.s3.put_object(Bucket="copies", Key=key, Body=key.encode())
        try:
            emulator.s3.copy_object(Bucket="copies", Key="to", CopySource="copies/from", IfNoneMatch="*")
        except ClientError as refused:
            return str(refused.response["Error"]["Code"])
        return "copied"

    assert copy(plain) == "copied", CLOSED
    assert copy(patched) == "PreconditionFailed"
    assert patched.s3.get_object(Bucket="copies", Key="to")["Body"].read() == b"to"


def test_copies_where_the_object_was_deleted(patched: Emulator) -> None:
    s3 = patched.s3
    s3.create_bucket(Bucket="versions", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for key in ("from", "to"):
        s3.put_object(Bucket="versions", Key=key, Body=key.encode())
    s3.delete_object(Bucket="versions", Key="to")
    s3.copy_object(Bucket="versions", Key="to", CopySource="versions/from", IfNoneMatch="*")
    assert s3.get_object(Bucket="versions", Key="to")["Body"].read() == b"from"


def test_of_copies_at_once_one_wins(patched: Emulator) -> None:
    patched.s3.create_bucket(Bucket="race", CreateBucketConfiguration={"LocationConstraint": REGION})
    patched.s3.put_object(Bucket="race", Key="from", Body=b"x" * 100_000)

    def wins(_: int) -> bool:
        try:
            patched.s3.copy_object(Bucket="race", Key="to", CopySource="race/from", IfNoneMatch="*")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(16) as callers:
        assert sum(callers.map(wins, range(32))) == 1


# states_timing


def test_an_execution_starts_at_once(plain: Emulator, patched: Emulator) -> None:
    def pause(emulator: Emulator) -> timedelta:
        machine = emulator.create_machine("Pass", {"Pass": {"Type": "Pass", "End": True}})
        pauses: list[timedelta] = []
        for _ in range(3):
            execution = emulator.begin(machine)
            emulator.ended(execution)
            first, second, *_rest = emulator.history(execution)
            pauses.append(second["timestamp"] - first["timestamp"])
        return min(pauses)

    assert pause(plain) >= timedelta(seconds=0.15), CLOSED
    assert pause(patched) < timedelta(seconds=0.1)


def test_a_retry_waits_no_longer_than_its_longest_delay(plain: Emulator, patched: Emulator) -> None:
    def second_delay(emulator: Emulator) -> timedelta:
        retry = {"ErrorEquals": ["States.ALL"], "BackoffRate": 10, "MaxDelaySeconds": 2, "MaxAttempts": 2}
        missing = lambda_task(f"arn:aws:lambda:{REGION}:000000000000:function:missing", End=True, Retry=[retry])
        execution = emulator.begin(emulator.create_machine("Work", {"Work": missing}))
        emulator.ended(execution)
        history = emulator.history(execution)
        failed: list[datetime] = [event["timestamp"] for event in history if event["type"] == "TaskFailed"]
        scheduled: list[datetime] = [event["timestamp"] for event in history if event["type"] == "TaskScheduled"]
        assert len(failed) == 3
        return scheduled[2] - failed[1]

    # Delays are a tenth of what the machine says: 1 s without the limit, 0.2 s with it.
    assert second_delay(plain) > timedelta(seconds=0.9), CLOSED
    assert timedelta(seconds=0.15) < second_delay(patched) < timedelta(seconds=0.9)


def test_full_jitter_waits_up_to_the_delay() -> None:
    retry = {"IntervalSeconds": 4, "BackoffRate": 2, "MaxDelaySeconds": 10}
    assert [timing.retry_delay(retry, retries) for retries in range(3)] == [4, 8, 10]
    delays = [timing.retry_delay({**retry, "JitterStrategy": "FULL"}, 5) for _ in range(100)]
    assert 0 <= min(delays) < 5 < max(delays) <= 10


# states_history


def test_the_history_shows_the_states_inside_a_map(plain: Emulator, patched: Emulator, steps: Any) -> None:
    def history(emulator: Emulator) -> list[dict[str, Any]]:
        inner = {"Work": lambda_task(steps[emulator], Next="Rest"), "Rest": {"Type": "Pass", "End": True}}
        execution = emulator.begin(emulator.create_machine("Each", {"Each": map_over(inner)}), {"items": [{}, {}]})
        assert emulator.ended(execution)["status"] == "SUCCEEDED"
        return emulator.history(execution)

    assert entered(history(plain)) == ["Each"], CLOSED
    events = history(patched)
    assert sorted(entered(events)) == ["Each", "Rest", "Rest", "Work", "Work"]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    for index in range(2):
        details = {"name": "Each", "index": index}
        line = [next(event for event in events if event.get("mapIterationStartedEventDetails") == details)]
        while after := [event for event in events if event.get("previousEventId") == line[-1]["id"]]:
            line.append(after[0])
        assert types(line) == [
            "MapIterationStarted",
            "TaskStateEntered",
            "TaskScheduled",
            "TaskSucceeded",
            "TaskStateExited",
            "PassStateEntered",
            "PassStateExited",
            "MapIterationSucceeded",
        ]
        assert line[-1]["mapIterationSucceededEventDetails"] == details


# states_map


def test_a_failed_iteration_aborts_the_others(plain: Emulator, patched: Emulator, steps: Any, tmp_path: Path) -> None:
    def run(emulator: Emulator) -> tuple[bool, list[dict[str, Any]]]:
        """Whether it ends while a call of another iteration is under way, and the history after that call."""
        inner = {"Work": lambda_task(steps[emulator], Next="Then"), "Then": lambda_task(steps[emulator], End=True)}
        machine = emulator.create_machine("Each", {"Each": map_over(inner)})
        began, released, seen = (tmp_path / f"{what}-{emulator.port}" for what in ("began", "released", "seen"))
        slow = {"wait_for": str(released), "mark": str(seen)}
        items = [{"wait_for": str(began), "raise": "no"}, {"mark": str(began)}, slow]
        execution = emulator.begin(machine, {"items": items})
        until(lambda: "TaskFailed" in types(emulator.history(execution)))
        ended = happens_within(1, lambda: emulator.status(execution) == "FAILED")
        released.touch()
        until(seen.exists)
        assert emulator.ended(execution)["error"] == emulator.invoke(steps[emulator], {"raise": "no"})["errorType"]
        return ended, emulator.history(execution)

    assert not run(plain)[0], CLOSED
    ended, history = run(patched)
    assert ended
    assert types(history)[-3:] == ["MapIterationAborted", "MapStateFailed", "ExecutionFailed"]
    assert history[-3]["mapIterationAbortedEventDetails"] == {"name": "Each", "index": 2}


def test_an_iteration_that_waits_its_turn_never_starts(plain: Emulator, patched: Emulator, steps: Any) -> None:
    def tasks(emulator: Emulator) -> int:
        each = map_over({"Work": lambda_task(steps[emulator], End=True)}, MaxConcurrency=1)
        execution = emulator.begin(emulator.create_machine("Each", {"Each": each}), {"items": [{"raise": "no"}, {}]})
        emulator.ended(execution)
        return types(emulator.history(execution)).count("TaskScheduled")

    assert tasks(plain) == 2, CLOSED
    assert tasks(patched) == 1


def test_a_stopped_execution_stays_stopped(plain: Emulator, patched: Emulator, steps: Any, tmp_path: Path) -> None:
    def end(emulator: Emulator) -> tuple[str, str]:
        began, released = tmp_path / f"began-{emulator.port}", tmp_path / f"released-{emulator.port}"
        states = {
            "Begin": lambda_task(steps[emulator], Output="{% $states.context.Execution.Input.then %}", Next="Work"),
            "Work": lambda_task(steps[emulator], End=True),
        }
        then = {"wait_for": str(released), "raise": "no", "mark": f"{released}-seen"}
        execution = emulator.begin(emulator.create_machine("Begin", states), {"mark": str(began), "then": then})
        until(lambda: types(emulator.history(execution)).count("TaskScheduled") == 2)
        emulator.states.stop_execution(executionArn=execution)
        released.touch()
        until(Path(f"{released}-seen").exists)
        # Calls end in order here: once another execution has failed, this one has had its answer, too.
        other = emulator.create_machine("Work", {"Work": lambda_task(steps[emulator], End=True)})
        for _ in range(2):
            emulator.ended(emulator.begin(other, {"raise": "no"}))
        return emulator.status(execution), types(emulator.history(execution))[-1]

    assert end(plain) == ("FAILED", "ExecutionFailed"), CLOSED
    assert end(patched) == ("ABORTED", "ExecutionAborted")


def test_a_distributed_map_still_counts_its_failures(patched: Emulator, steps: Any) -> None:
    work = {"StartAt": "Work", "States": {"Work": {**lambda_task(steps[patched], End=True), "QueryLanguage": "JSONata"}}}
    each = {
        "Type": "Map",
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **work},
        "ItemsPath": "$.items",
        "ToleratedFailureCount": 1,
        "End": True,
    }
    machine = patched.create_machine("Each", {"Each": each}, QueryLanguage="JSONPath")

    def run(*items: dict[str, Any]) -> Any:
        return patched.ended(patched.begin(machine, {"items": items}))

    assert run({"raise": "no"}, {}, {})["status"] == "SUCCEEDED"
    assert run({"raise": "no"}, {"raise": "no"}, {})["error"] == "States.ExceedToleratedFailureThreshold"


# edits


def test_a_patch_that_no_longer_fits_says_so_in_one_line() -> None:
    with pytest.raises(PatchError, match=r"^MiniStack \S+: \S+\._REPORTED no longer contains 'not there' exactly once\..*$"):
        edit_text(errors, "_REPORTED", [("not there", "")])
    with pytest.raises(PatchError, match=r"lambda_errors\.nowhere is gone"):
        edit(errors, "nowhere", [])
    with pytest.raises(PatchError, match=r"lambda_errors\.nowhere is gone"):
        replace(errors, "nowhere", lambda original: original)


def metric_line(name: str, values: list[float]) -> str:
    told = {"Namespace": "Test", "Dimensions": [["service"]], "Metrics": [{"Name": name, "Unit": "Count"}]}
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [told]}, "service": "s", name: values})


def test_metrics_in_a_function_s_log_are_metrics_and_ring_an_alarm(plain: Emulator, patched: Emulator, steps: dict[Emulator, str]) -> None:
    def rings(emulator: Emulator) -> bool:
        cloudwatch, name = emulator.client("cloudwatch"), f"M{uuid4().hex[:8]}"
        cloudwatch.put_metric_alarm(
            AlarmName=name, Namespace="Test", MetricName=name, Dimensions=[{"Name": "service", "Value": "s"}], Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=3, ComparisonOperator="GreaterThanOrEqualToThreshold",
        )  # fmt: skip
        emulator.invoke(steps[emulator], {"log": metric_line(name, [1, 2])})
        return happens_within(1, lambda: cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "ALARM")

    assert not rings(plain), CLOSED
    assert rings(patched)


def test_a_log_query_knows_the_fields_of_a_line_that_is_json(plain: Emulator, patched: Emulator, steps: dict[Emulator, str]) -> None:
    def found(emulator: Emulator) -> str:
        logs, mark = emulator.client("logs"), uuid4().hex
        emulator.invoke(steps[emulator], {"log": json.dumps({"mark": mark, "error": "InputError"})})
        query = logs.start_query(
            logGroupName=f"/aws/lambda/{steps[emulator]}", startTime=0, endTime=int(time.time()) + 60,
            queryString=f"fields error | filter @message like /{mark}/",
        )  # fmt: skip
        (row,) = logs.get_query_results(queryId=query["queryId"])["results"]
        return str(next(cell["value"] for cell in row if cell["field"] == "error"))

    assert found(plain) == "", CLOSED
    assert found(patched) == "InputError"


def test_an_execution_that_fails_is_counted_and_rings_an_alarm(plain: Emulator, patched: Emulator) -> None:
    def rings(emulator: Emulator) -> bool:
        cloudwatch, name = emulator.client("cloudwatch"), f"A{uuid4().hex[:8]}"
        machine = emulator.create_machine("Fail", {"Fail": {"Type": "Fail", "Error": "E"}})
        cloudwatch.put_metric_alarm(
            AlarmName=name, Namespace="AWS/States", MetricName="ExecutionsFailed", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Dimensions=[{"Name": "StateMachineArn", "Value": machine}], Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
        )  # fmt: skip
        assert emulator.ended(emulator.begin(machine))["status"] == "FAILED"
        return happens_within(1, lambda: cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "ALARM")

    assert not rings(plain), CLOSED
    assert rings(patched)
