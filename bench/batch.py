"""One large batch on a local stack, and the check that it and its bill add up."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.support.local_stack import LocalStack

SETTINGS = ("monthly_budget_usd=100000", "max_parallel_images=8")
MANIFEST, FOLDER = "batches/bench.jsonl", "bench"
SMALL = {"size": "1024x640", "quality": "low", "folder_name": FOLDER}
IMAGES = "/v1/images/generations"
POLL_SECONDS = 0.25
REPORTED_FIELDS = (
    "lines",
    "stored",
    "refused",
    "failed",
    "not_started",
    "possibly_paid",
    "reasons",
    "cost_usd",
    "estimate_usd",
    "seconds",
)
EVERY = 20  # one line in this many has a fault
FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500, "body": {"error": {"message": "no", "type": "server_error"}}},
    "429, wait 0 s": {
        "status": 429,
        "headers": {"Retry-After": "0"},
        "body": {"error": {"message": "slow", "type": "requests"}},
    },
    "429, wait 1 s": {
        "status": 429,
        "headers": {"Retry-After": "1"},
        "body": {"error": {"message": "slow", "type": "requests"}},
    },
    "cut": {"cut": True},
    "refusal": {
        "status": 400,
        "body": {
            "error": {"message": "no", "type": "x", "code": "moderation_blocked", "param": "prompt"}
        },
    },
    "broken base64": {"answer": {"data": [{"b64_json": "no base64!"}]}, "charged": True},
}


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """The end of one start of a batch. `report` is empty if it wrote none."""

    status: str
    seconds: float
    report: dict[str, Any] = field(default_factory=dict)

    def rows(self) -> dict[str, str]:
        """Return the status, the time and the numbers of the report, for printing."""
        numbers = {
            f"report: {name}": str(self.report[name])
            for name in REPORTED_FIELDS
            if name in self.report
        }
        return {"status": self.status, "seconds": f"{self.seconds:.0f}"} | numbers

    def account(self, charges: dict[str, Any], items: int, *, exact: bool = True) -> dict[str, str]:
        """Return whether every image and every payment is accounted for, for printing.

        Without `exact`, functions may have died before they paid, so the sums are only upper
        bounds.
        """
        stored, refused, failed, possibly = (
            self.report.get(name, 0) for name in ("stored", "refused", "failed", "possibly_paid")
        )
        broken = self.report.get("reasons", {}).get("BadImageError", 0)
        times = Counter(charges["images_by_prompt"].values())
        repeats = sum((bought - 1) * prompts for bought, prompts in times.items())
        paid, sign = charges["images"] - stored - broken, "=" if exact else "<="
        return {
            "stored + refused + failed = items": (
                f"{stored} + {refused} + {failed} = {items}: "
                + _holds(stored + refused + failed == items)
            ),
            f"charged {sign} stored + broken + possibly paid": (
                f"{charges['images']} {sign} {stored} + {broken} + {possibly}: "
                + _holds(paid == possibly if exact else 0 <= paid <= possibly)
            ),
            f"bought again {sign} possibly paid, none 3 times": (
                f"{repeats} {sign} {possibly}, {max(times, default=0)} at most: "
                + _holds(
                    (repeats == possibly if exact else repeats <= possibly)
                    and max(times, default=0) < 3
                )
            ),
            "chat calls": f"{charges['chat']}",
        }


@dataclass(frozen=True, kw_only=True)
class BenchBatch:
    """A manifest with this many different lines, each for one small image.

    With `chat`, the chat model writes each prompt.
    """

    aws: LocalStack
    items: int
    chat: bool

    def upload(self) -> None:
        """Put the manifest into the bucket."""
        subject = "description" if self.chat else "prompt"
        lines = (
            json.dumps(SMALL | {subject: f"A kite {_mark(number)} over a field."})
            for number in range(self.items)
        )
        self.aws.s3.put_object(
            Bucket=self.aws.bucket,
            Key=MANIFEST,
            Body="".join(f"{line}\n" for line in lines).encode(),
        )

    def script_faults(self) -> Counter[str]:
        """Script one fault for every EVERY lines, of each kind in turn, and count them by kind."""
        names = list(FAULTS)
        chosen = [
            (number, names[number // EVERY % len(names)])
            for number in range(EVERY // 2, self.items, EVERY)
        ]
        self.aws.script(
            *(
                {"path": IMAGES, "contains": _mark(number), **FAULTS[name]}
                for number, name in chosen
            )
        )
        return Counter(name for _, name in chosen)

    def start(self) -> str:
        """Start the batch, or resume it, and return the execution's ARN."""
        call = {
            "stateMachineArn": self.aws.outputs["batch_state_machine_arn"],
            "input": json.dumps({"manifest": MANIFEST}),
        }
        return str(self.aws.states.start_execution(**call)["executionArn"])

    def wait(self, arn: str) -> BatchResult:
        """Wait for the end of a start without a time limit, and return it."""
        while (execution := self.aws.states.describe_execution(executionArn=arn))[
            "status"
        ] == "RUNNING":
            time.sleep(POLL_SECONDS)
        seconds = (execution["stopDate"] - execution["startDate"]).total_seconds()
        if execution["status"] == "SUCCEEDED":
            return BatchResult(
                status=execution["status"], seconds=seconds, report=json.loads(execution["output"])
            )
        return BatchResult(
            status=f"{execution['status']}: {execution.get('error')}: {execution.get('cause')}",
            seconds=seconds,
        )

    def until_paid(self, pictures: float) -> None:
        """Wait until this many images are paid."""
        while self.aws.charges()["images"] < pictures:
            time.sleep(POLL_SECONDS)

    def stored_at(self) -> list[float]:
        """Return the times at which images were stored, in order."""
        pages = self.aws.dynamodb.get_paginator("scan").paginate(
            TableName=self.aws.outputs["table"],
            FilterExpression="attribute_exists(stored_at) AND begins_with(sk, :image)",
            ExpressionAttributeValues={":image": {"S": "image#"}},
        )
        return sorted(
            datetime.fromisoformat(item["stored_at"]["S"]).timestamp()
            for page in pages
            for item in page["Items"]
        )

    def pictures(self) -> int:
        """Return how many images are in the bucket."""
        return sum(key.endswith(".png") for key in self.aws.keys(f"{FOLDER}/"))


def print_rows(title: str, rows: dict[str, str]) -> None:
    """Print names and values."""
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    Console(width=110).print(table)


def _mark(number: int) -> str:
    """Return words that only this line's prompt contains."""
    return f"numbered {number:,} over"


def _holds(true: bool) -> str:
    return "holds" if true else "DOES NOT HOLD"
