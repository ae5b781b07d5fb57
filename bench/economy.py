"""The memory for collecting an order of OpenAI's Batch API, on the local stack.

Run it with `python -m bench.economy`.

The stand-in repeats one image. The benchmark measures the function that streams the result file
into staging, by the highest resident memory of its processes that Linux reports.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import process_memory, stacks
from bench.section import MB
from local import processes
from tests.support.local_stack import LocalStack

FUNCTION = "EconomyFunction"


def main() -> None:
    """Bring up a separate stack, run a batch in economy, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--size", default="1024x1024")
    options = parser.parse_args()
    # Unscaled, an order first waits half a minute for OpenAI, and longer later.
    faster = {"SFN_WAIT_SCALE": "0.02"}
    settings = ("monthly_budget_usd=100000", "max_parallel_images=4")
    with (
        processes.end_on_signals(),
        stacks.running(settings=settings, stand_in=("--paint-once",), environment=faster) as local,
    ):
        aws = stacks.client_of(local)
        _measure(aws, items=options.items, size=options.size)


def _measure(aws: LocalStack, *, items: int, size: str) -> None:
    lines = (
        json.dumps(
            {
                "prompt": f"A kite numbered {n}.",
                "size": size,
                "quality": "low",
                "folder_name": "bench",
            }
        )
        for n in range(items)
    )
    aws.s3.put_object(
        Bucket=aws.bucket, Key="batches/economy.jsonl", Body="\n".join(lines).encode()
    )
    run_input = json.dumps({"manifest": "batches/economy.jsonl", "economy": True})
    began = time.monotonic()
    arn = aws.states.start_execution(
        stateMachineArn=aws.outputs["batch_state_machine_arn"], input=run_input
    )["executionArn"]
    peak = 0
    while (execution := aws.states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        peak = max(peak, _peak())
        time.sleep(0.2)
    report: dict[str, Any] = json.loads(execution.get("output") or "{}")
    if not report:
        raise SystemExit(f"the batch failed: {execution.get('error')} {execution.get('cause')}")
    images = aws.s3.list_objects_v2(Bucket=aws.bucket, Prefix="bench/image", MaxKeys=2)["Contents"]
    picture = max(item["Size"] for item in images)
    per_order = min(items, 200) * picture * 4 / 3 / MB
    console = Console(highlight=False)
    stored, seconds = report["stored"], time.monotonic() - began
    console.print(
        f"{items} pictures of {picture / MB:.2f} MB in {seconds:.0f} s: stored {stored}, failed "
        f"{report['failed']}"
    )
    console.print(f"{aws.charges()['batches']} orders, a result file of up to {per_order:.0f} MB")
    console.print(f"highest resident memory of a collecting process: {peak / MB:.0f} MB")


def _peak() -> int:
    """Return the highest resident bytes so far of any process of the function."""
    peak = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if FUNCTION.encode() in (process / "environ").read_bytes():
                peak = max(peak, process_memory.peak(process.name))
        except OSError:
            continue  # the process has ended
    return peak


if __name__ == "__main__":
    main()
