"""The effects of a crash on a batch, and the payments of that batch until it is finished.

`functions` kills all functions three times while AWS stays, and the batch continues without help.
`down` is `make down KEEP=1`, and `power` kills the emulator with its functions. After both, the
stack is brought up in the same folder and the same batch is started again. The emulator saves its
data when it ends, so `power` loses the table and the executions. That cannot happen on AWS: `power`
shows what a local stack loses.
"""

import os
import signal
import time
from contextlib import suppress
from typing import Any

from bench.batch import MANIFEST, BenchBatch, print_rows
from local import stack
from local.processes import living_processes
from local.stack import Local
from tests.support.local_stack import LocalStack

KINDS = ("functions", "down", "power")
# The timeouts of the functions that claim, as in infra/stack.py. If a claim ends later than this
# after the crash, its function began after the crash.
CHAT_SECONDS, IMAGE_SECONDS = 90, 300


def crash(kind: str, local: Local, batch: BenchBatch) -> None:
    """Crash a batch in the middle, and print what is left and how the batch ends."""
    batch.upload()
    arn = batch.start()
    if kind == "functions":
        _print_end(_kill_functions(local, batch), batch, arn)
    else:
        batch = _restart(kind, local, batch, arn)
        _print_end({}, batch, batch.start())


def _kill_functions(local: Local, batch: BenchBatch) -> dict[str, str]:
    """Kill all functions after a quarter, a half and three quarters of the batch."""
    emulator, killed, ended = stack.started_processes(local)["emulator"], 0, 0
    for quarter in (1, 2, 3):
        batch.until_paid(batch.items * quarter / 4)
        for function in set(living_processes(emulator)) - {emulator}:
            with suppress(ProcessLookupError):
                os.kill(function, signal.SIGKILL)
                killed += 1
        ended += _let_leases_run_out(batch.aws, died=time.time())
    return {"functions killed": f"{killed}", "of those with a claim or a place": f"{ended}"}


def _restart(kind: str, local: Local, batch: BenchBatch, arn: str) -> BenchBatch:
    """Return the batch on the restarted stack, with its manifest in the bucket."""
    aws = batch.aws
    batch.until_paid(batch.items / 2)
    stored = batch.pictures()
    start = time.monotonic()
    if kind == "power":
        os.killpg(stack.started_processes(local)["emulator"], signal.SIGKILL)
    else:
        stack.down(local, keep=True)
    seconds, paid = time.monotonic() - start, aws.charges()["images"]
    restarted = BenchBatch(aws=LocalStack(stack.up(local)), items=batch.items, chat=batch.chat)
    kept = local.folder / "emulator" / "objects" / stack.ACCOUNT / aws.bucket
    left = {
        "ended by": "SIGKILL of all of its processes" if kind == "power" else "make down KEEP=1",
        "seconds until it had ended": f"{seconds:.1f}",
        "paid until then": f"{paid:,}",
        "pictures in the bucket just before": f"{stored:,}",
        "bucket and table of the same name": (
            f"{restarted.aws.bucket == aws.bucket}, "
            f"{restarted.aws.outputs['table'] == aws.outputs['table']}"
        ),
        "pictures in the bucket": f"{restarted.pictures():,}",
        "pictures on disk": f"{sum(1 for _ in kept.rglob('*.png')):,}",
        "records of stored pictures": f"{len(restarted.stored_at()):,}",
        "the first execution": _status(restarted.aws, arn),
        "claims and places of dead functions": (
            f"{_let_leases_run_out(restarted.aws, died=time.time())}"
        ),
    }
    print_rows(f"What is left of a batch of {batch.items:,} pictures", left)
    if MANIFEST not in restarted.aws.keys(MANIFEST):
        restarted.upload()
    return restarted


def _print_end(before: dict[str, str], batch: BenchBatch, arn: str) -> None:
    result = batch.wait(arn)
    print_rows(f"What became of a batch of {batch.items:,} pictures", before | result.rows())
    print_rows(
        "What was paid in all", result.account(batch.aws.charges(), batch.items, exact=False)
    )


def _let_leases_run_out(aws: LocalStack, *, died: float) -> int:
    """Expire the claims and slots of functions that died at this time (epoch seconds).

    Return how many there were.
    """
    count, pages = 0, aws.dynamodb.get_paginator("scan").paginate(TableName=aws.outputs["table"])
    for item in [item for page in pages for item in page["Items"]]:
        last = died + 1 + (CHAT_SECONDS if item["sk"] == {"S": "chat"} else IMAGE_SECONDS)
        ends: list[tuple[str, str, dict[str, Any]]] = []
        if item.get("status") == {"S": "claimed"}:
            ends = [("SET #over = :over", "lease_until", item["lease_until"])]
        elif item["pk"] == {"S": "pace"}:
            ends = [
                ("REMOVE calls.#over", call, until) for call, until in item["calls"]["M"].items()
            ]
        for change, name, until in ends:
            if died < float(until["N"]) <= last:
                path = change.split()[1]
                values = {":was": until} | ({":over": {"N": "1"}} if ":over" in change else {})
                count += _update_item(
                    aws,
                    item,
                    change,
                    condition=f"{path} = :was",
                    names={"#over": name},
                    values=values,
                )
    return count


def _update_item(
    aws: LocalStack, item: dict[str, Any], change: str, *, condition: str, names: Any, values: Any
) -> bool:
    try:
        aws.dynamodb.update_item(
            TableName=aws.outputs["table"],
            Key={name: item[name] for name in ("pk", "sk")},
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )
    except aws.dynamodb.exceptions.ConditionalCheckFailedException:
        return False  # the claim or slot has ended in the meantime
    return True


def _status(aws: LocalStack, arn: str) -> str:
    try:
        return str(aws.states.describe_execution(executionArn=arn)["status"])
    except aws.states.exceptions.ExecutionDoesNotExist:
        return "not known any more"
