"""The memory for collecting an order of OpenAI's Batch API, on the local stack.

Run it with `python -m bench.economy`.

The stand-in repeats one image. The benchmark measures the function that streams the result file
into staging, by the highest resident memory of its processes that Linux reports.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from local import stack
from local.stack import Local
from tests.support.local_stack import LocalStack, bench_environment, free_port

FUNCTION = "EconomyFunction"


def main() -> None:
    """Bring up a separate stack, run a batch in economy, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--size", default="1024x1024")
    options = parser.parse_args()
    # Unscaled, an order first waits half a minute for OpenAI, and longer later.
    environment = bench_environment() | {"SFN_WAIT_SCALE": "0.02"}
    with tempfile.TemporaryDirectory() as folder:
        settings = ("monthly_budget_usd=100000", "max_parallel_images=4")
        local = Local(
            folder=Path(folder),
            port=free_port(),
            settings=settings,
            environment=environment,
            stand_in=("--paint-once",),
        )
        outputs = stack.up(local)
        try:
            _measure(LocalStack(outputs), items=options.items, size=options.size)
        finally:
            stack.down(local, keep=False)


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
        peak = max(peak, _peak_kb())
        time.sleep(0.2)
    report: dict[str, Any] = json.loads(execution.get("output") or "{}")
    if not report:
        raise SystemExit(f"the batch failed: {execution.get('error')} {execution.get('cause')}")
    images = aws.s3.list_objects_v2(Bucket=aws.bucket, Prefix="bench/image", MaxKeys=2)["Contents"]
    picture = max(item["Size"] for item in images)
    per_order = min(items, 200) * picture * 4 / 3 / 1e6
    console = Console(highlight=False)
    stored, seconds = report["stored"], time.monotonic() - began
    console.print(
        f"{items} pictures of {picture / 1e6:.2f} MB in {seconds:.0f} s: stored {stored}, failed "
        f"{report['failed']}"
    )
    console.print(f"{aws.charges()['batches']} orders, a result file of up to {per_order:.0f} MB")
    console.print(f"highest resident memory of a collecting process: {peak / 1024:.0f} MB")


def _peak_kb() -> int:
    """Return the highest resident memory so far, in KB, of any process of the function."""
    peak = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if FUNCTION.encode() in (process / "environ").read_bytes():
                status = (process / "status").read_text()
                peak = max(
                    [
                        peak,
                        *(
                            int(line.split()[1])
                            for line in status.splitlines()
                            if line.startswith("VmHWM")
                        ),
                    ]
                )
        except OSError:
            continue  # the process has ended
    return peak


if __name__ == "__main__":
    main()
