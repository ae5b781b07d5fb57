"""Ways in which AWS is stricter, exaggerated so that a slow machine meets them, too."""

import functools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.ministack import process
from local.ministack.process import EmulatorConfig
from local.ministack.strict.strictness import Strictness, StrictnessError
from local.ministack.strict.throttling import BUCKETS, Bucket
from tests.support.emulator import CLOSED, REGION, Emulator, running_emulator, until
from tests.support.local_stack import free_port

SECONDS = 1.5
STRICT = f"conflicts={SECONDS} index_lag={SECONDS} late_executions={SECONDS} tmp=0.01"
SKEW = 1000.0

# A function that keeps a temporary file open, deletes another, and returns its clocks.
STEP = """
import datetime, tempfile, time

def handler(event, context):
    clocks = [time.time(), datetime.datetime.now(datetime.UTC).timestamp()]
    with tempfile.TemporaryFile() as first:
        for size in event["sizes"]:
            with tempfile.NamedTemporaryFile() as file:
                file.write(bytes(size))
        first.write(bytes(event.get("last", 0)))
    return clocks
"""
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def strict_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run an emulator that is stricter than AWS."""
    folder = tmp_path_factory.mktemp("strict")
    strict = f"{STRICT} clock_skew={SKEW} throttling=0.001"
    with running_emulator(folder, module="local.ministack", strict=strict) as emulator:
        yield emulator


class Records:
    """A table with an index by shelf."""

    def __init__(self, emulator: Emulator) -> None:
        self.client = emulator.client("dynamodb")
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        by_shelf = [{"AttributeName": "shelf", "KeyType": "HASH"}]
        index = {"IndexName": "by_shelf", "KeySchema": by_shelf}
        names = ("pk", "shelf")
        self.name = f"t{time.monotonic_ns()}"
        self.client.create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
            KeySchema=keys,
            GlobalSecondaryIndexes=[{**index, "Projection": {"ProjectionType": "ALL"}}],
        )

    def write(self, *keys: str, **more: Any) -> None:
        """Write the items in one transaction."""
        puts = [{"TableName": self.name, "Item": {"pk": {"S": key}}} for key in keys]
        self.client.transact_write_items(TransactItems=[{"Put": put} for put in puts], **more)

    def put(self, key: str, shelf: str) -> None:
        item = {"pk": {"S": key}, "shelf": {"S": shelf}}
        self.client.put_item(TableName=self.name, Item=item)

    def shelf(self, name: str) -> list[str]:
        items = self.client.query(
            TableName=self.name,
            IndexName="by_shelf",
            KeyConditionExpression="shelf = :shelf",
            ExpressionAttributeValues={":shelf": {"S": name}},
        )["Items"]
        return [item["pk"]["S"] for item in items]


def refusal(call: Any) -> dict[str, Any] | None:
    """Return the response of a call that is refused, or None."""
    try:
        call()
    except ClientError as error:
        return dict(error.response)
    return None


def test_concurrent_transactions_conflict(
    plain_emulator: Emulator, strict_emulator: Emulator
) -> None:
    def refusals(emulator: Emulator) -> list[dict[str, Any]]:
        records = Records(emulator)
        begin = threading.Barrier(2)

        def write(other: str) -> dict[str, Any] | None:
            begin.wait()
            return refusal(lambda: records.write(other, "both"))

        with ThreadPoolExecutor(2) as writers:
            return [answer for answer in writers.map(write, ("a", "b")) if answer]

    assert refusals(plain_emulator) == [], CLOSED
    (cancelled,) = refusals(strict_emulator)
    assert cancelled["Error"]["Code"] == "TransactionCanceledException"
    codes = [reason["Code"] for reason in cancelled["CancellationReasons"]]
    assert codes == ["None", "TransactionConflict"]


def test_running_transaction_refuses_single_writes(strict_emulator: Emulator) -> None:
    records = Records(strict_emulator)
    key = {"TableName": records.name, "Key": {"pk": {"S": "a"}}}
    call: dict[str, Any] = {**key, "UpdateExpression": "SET n = :n"}
    values = {":n": {"N": "1"}}
    with ThreadPoolExecutor(1) as writer:
        running = writer.submit(records.write, "a")
        until(lambda: "Item" in records.client.get_item(**key))

        refused = refusal(
            lambda: records.client.update_item(**call, ExpressionAttributeValues=values)
        )

        running.result()
    assert refused
    assert refused["Error"]["Code"] == "TransactionConflictException"
    records.client.update_item(**call, ExpressionAttributeValues=values)


def test_answered_transaction_never_conflicts(strict_emulator: Emulator) -> None:
    records = Records(strict_emulator)
    records.write("a", ClientRequestToken="first")

    records.write("a", ClientRequestToken="second")
    records.write("a", ClientRequestToken="first")


def test_index_shows_changes_late(plain_emulator: Emulator, strict_emulator: Emulator) -> None:
    records = Records(plain_emulator)
    records.put("a", "top")
    assert records.shelf("top") == ["a"], CLOSED

    records = Records(strict_emulator)
    records.put("a", "top")
    assert records.shelf("top") == []
    until(lambda: records.shelf("top") == ["a"])

    records.put("a", "bottom")
    assert (records.shelf("top"), records.shelf("bottom")) == (["a"], [])
    until(lambda: (records.shelf("top"), records.shelf("bottom")) == ([], ["a"]))

    records.client.delete_item(TableName=records.name, Key={"pk": {"S": "a"}})
    assert records.shelf("bottom") == ["a"]
    assert "Item" not in records.client.get_item(TableName=records.name, Key={"pk": {"S": "a"}})
    until(lambda: records.shelf("bottom") == [])


def test_new_execution_is_unknown_at_first(
    plain_emulator: Emulator, strict_emulator: Emulator
) -> None:
    def refusals(emulator: Emulator) -> list[str | None]:
        machine = emulator.create_machine("Pass", {"Pass": {"Type": "Pass", "End": True}})
        execution = emulator.begin(machine)
        reads = (emulator.states.describe_execution, emulator.states.get_execution_history)
        answers = [refusal(functools.partial(read, executionArn=execution)) for read in reads]
        listed = emulator.states.list_executions(stateMachineArn=machine)["executions"]
        until(lambda: not refusal(lambda: emulator.status(execution)))
        (known,) = emulator.states.list_executions(stateMachineArn=machine)["executions"]
        assert known["executionArn"] == execution
        codes = [str(answer["Error"]["Code"]) if answer else None for answer in answers]
        return [*codes, None if listed else "not listed"]

    assert refusals(plain_emulator) == [None, None, None], CLOSED
    missing = "ExecutionDoesNotExist"
    assert refusals(strict_emulator) == [missing, missing, "not listed"]


def test_temporary_files_share_limited_storage(
    plain_emulator: Emulator, strict_emulator: Emulator
) -> None:
    """The storage of 512 MB is divided by 100."""
    plain = plain_emulator.create_function(STEP)
    too_much = {"sizes": [4 * MEGABYTE], "last": 6 * MEGABYTE}
    assert len(plain_emulator.invoke(plain, too_much)) == 2, CLOSED

    function = strict_emulator.create_function(STEP)
    failure = strict_emulator.invoke(function, too_much)
    assert failure["errorType"] == "OSError"
    assert failure["errorMessage"] == "[Errno 28] No space left on device"
    assert len(strict_emulator.invoke(function, {"sizes": [4 * MEGABYTE] * 3})) == 2


def test_clocks_of_functions_differ(plain_emulator: Emulator, strict_emulator: Emulator) -> None:
    def skews(emulator: Emulator) -> set[int]:
        functions = [emulator.create_function(STEP) for _ in range(2)]
        clocks = [
            clock - time.time()
            for function in functions
            for clock in emulator.invoke(function, {"sizes": []})
        ]
        return {round(clock / SKEW) for clock in clocks}

    assert skews(plain_emulator) == {0}, CLOSED
    assert skews(strict_emulator) == {-1, 1}


def test_reads_of_executions_are_throttled(
    plain_emulator: Emulator, strict_emulator: Emulator
) -> None:
    def lists(emulator: Emulator) -> int:
        """Return how many of some lists are answered."""
        machine = emulator.create_machine("Pass", {"Pass": {"Type": "Pass", "End": True}})
        for number in range(size + 1):
            try:
                emulator.states.list_executions(stateMachineArn=machine)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ThrottlingException":
                    raise
                return number
        return size + 1

    size, _ = BUCKETS["ListExecutions"]
    assert lists(plain_emulator) == size + 1, CLOSED
    assert size / 2 < lists(strict_emulator) <= size  # other tests have listed, too


def test_bucket_is_refilled_up_to_its_size() -> None:
    now = [0.0]
    bucket = Bucket(2, 1, clock=lambda: now[0])

    taken = []
    for now[0] in (0, 0, 0, 1, 1, 9, 9, 9):
        taken.append(bucket.take())

    assert taken == [True, True, False, True, False, True, True, False]


def test_rows_are_changed_by_name() -> None:
    default = Strictness.of({})
    assert Strictness.of({"EASEL_LOCAL_STRICT": "index_lag=0 tmp=0.5"}) == Strictness(
        index_lag=0, tmp=0.5
    )
    assert default.conflicts > 0
    for word in ("nothing=1", "tmp", "tmp=-1", "tmp=much"):
        with pytest.raises(StrictnessError, match=f"'{word}'; allowed: numbers for conflicts="):
            Strictness.of({"EASEL_LOCAL_STRICT": word})


def test_wrong_strictness_is_reported_in_one_line(tmp_path: Path) -> None:
    base = {"EASEL_LOCAL_STRICT": "wrong"}
    config = EmulatorConfig(port=free_port(), folder=tmp_path, region=REGION, base=base)
    with pytest.raises(process.EmulatorError, match=r"\nEASEL_LOCAL_STRICT has 'wrong'[^\n]*$"):
        process.start(config)
