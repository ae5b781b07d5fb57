"""A batch end to end on a local stack, stopped in the middle and started again.

It has few lines, because the local stack makes only a few images a second. The check of 100,000
lines is measured without a stack (bench/large_batch.py). The fake OpenAI is not part of the stack,
so its bill covers both starts.
"""

import json
import time
from collections.abc import Iterator

from bench import stacks
from bench.batch import MANIFEST, POLL_SECONDS, SETTINGS, BatchResult, BenchBatch
from bench.large_batch import EVERY, FAULTS
from bench.section import Figure, Result, table
from easel.contract import naming
from easel.ledger.batches import PROBLEMS

MANY, LARGE = 60, 300
PROBLEMS_SHOWN = 3


def measure(*, large: bool) -> Result:
    """Return the outcome of the lines, the payments, and the seconds."""
    lines = LARGE if large else MANY
    with stacks.with_lasting_openai(*SETTINGS) as (local, _):
        aws = stacks.client_of(local)
        batch = FaultyBatch(aws=aws, items=lines, chat=False)
        batch.upload()
        first = batch.start()
        batch.until_paid(lines / 2)
        aws.states.stop_execution(executionArn=first)
        stopped = batch.wait(first)
        paid = batch.settle()
        before = len(batch.stored_at())
        second = batch.wait(batch.start())
        return batch.result(stopped, paid, second) | {"paces": batch.paces(before)}


class FaultyBatch(BenchBatch):
    """A manifest in which one line in EVERY is faulty."""

    def upload(self) -> None:
        """Put the manifest into the bucket."""
        super().upload()
        where = {"Bucket": self.aws.bucket, "Key": MANIFEST}
        lines = self.aws.s3.get_object(**where)["Body"].read().decode().splitlines()
        for number in range(EVERY // 2, len(lines), EVERY):
            lines[number] = FAULTS[number // EVERY % len(FAULTS)]
        body = "".join(f"{line}\n" for line in lines)
        self.aws.s3.put_object(**where, Body=body.encode())

    def settle(self) -> int:
        """Wait until the functions that were running at the stop have paid, and return the bill."""
        paid, since = self.aws.charges()["images"], time.monotonic()
        while time.monotonic() - since < 2:
            time.sleep(POLL_SECONDS)
            if (now := self.aws.charges()["images"]) != paid:
                paid, since = now, time.monotonic()
        return int(paid)

    def paces(self, before: int) -> list[float]:
        """Return the seconds per image of both starts. The first one stored `before` images.

        The wait for the first images and the gap between the starts do not count.
        """
        times = self.stored_at()
        parts = (times[:before], times[before:])
        return [(part[-1] - part[0]) / (len(part) - 1) for part in parts]

    def result(self, stopped: BatchResult, paid: int, second: BatchResult) -> Result:
        """Return the outcome of the lines after both starts."""
        charges, report = self.aws.charges(), second.report
        key = naming.batch_file("bench", PROBLEMS)
        problems = self.aws.s3.get_object(Bucket=self.aws.bucket, Key=key)
        listed = [json.loads(line) for line in problems["Body"].read().splitlines()]
        times = charges["images_by_prompt"].values()
        return {
            "lines": self.items,
            "stopped": stopped.status,
            "paid_at_stop": paid,
            "status": second.status,
            "stored": report["stored"],
            "pictures": self.pictures(),
            "paid": charges["images"],
            "paid_twice": sum(number > 1 for number in times),
            "prompts": len(times),
            "problems": [problem["message"] for problem in listed],
            "seconds": stopped.seconds + second.seconds,
        }


def figures(result: Result) -> Iterator[Figure]:
    """Return the images, the payments and the listed faults."""
    faulty = len(range(EVERY // 2, result["lines"], EVERY))
    good, name = result["lines"] - faulty, f"batch of {result['lines']} lines, stopped and resumed"
    yield Figure(f"{name}: good lines made", f"{result['pictures']} of {good}", f"{good}")
    yield Figure(f"{name}: calls paid", f"{result['paid']}", f"{good}")
    yield Figure(f"{name}: lines paid twice", f"{result['paid_twice']}", "0")
    first, second = result["paces"]
    ratio = f"{second / first:.2f}"
    yield Figure(f"{name}: time per line, second start / first", ratio, "≤ 1.3")
    yield Figure(f"{name}: faulty lines listed", f"{len(result['problems'])}", f"{faulty}")


def text(result: Result) -> str:
    """Return the numbers, and some of the faulty lines' reasons."""
    rows = [
        ("the first start", result["stopped"].partition(":")[0]),
        ("images paid when it had stopped", f"{result['paid_at_stop']}"),
        ("the second start", result["status"]),
        ("images in the bucket", f"{result['pictures']}"),
        ("images paid in all", f"{result['paid']}"),
        ("seconds per line, first start", f"{result['paces'][0]:.2f}"),
        ("seconds per line, second start", f"{result['paces'][1]:.2f}"),
    ]
    about = (
        f"Scaled down: {result['lines']} lines instead of 100,000, 8 at a time, because the local "
        "stack makes only a few images a second. The images are small and come from a fake OpenAI."
    )
    reasons = "\n".join(f"- {reason}" for reason in result["problems"][:PROBLEMS_SHOWN])
    return f"{about}\n\n{table(('what', 'number'), rows)}\n\nReasons of faulty lines:\n\n{reasons}"
