"""The promises that hold after any fault.

Every paid image is delivered or counted, and nothing else was changed.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from easel.contract import naming
from easel.request.models import image_cost
from easel.request.references import Inputs
from local.fake_openai.requests import image_tokens
from tests.faults.faulty_stack import FaultyStack

# A person has to decide about these: the limit of purchases is reached, or the image is paid and
# cannot be stored.
GIVEN_UP = ("claimed", "lost", "bad")


@dataclass(kw_only=True)
class Tally:
    """The sums over a number of runs."""

    runs: int = 0
    requested: int = 0
    stored: int = 0
    refused: int = 0
    given_up: int = 0
    paid: int = 0
    possibly_paid: int = 0
    broken: list[str] = field(default_factory=list)

    def holds(self, problem: str, run_id: str, condition: bool, details: object = "") -> None:
        if not condition:
            self.broken.append(f"{run_id}: {problem} {details}")


def check_run(
    stack: FaultyStack,
    tally: Tally,
    run_id: str,
    *,
    folder: str,
    count: int,
    paid_by_prompt: dict[str, int],
    is_cut_short: bool = False,
) -> None:
    """Check one run that has ended in any way. One that is cut short has lost an input."""
    items = {item["sk"]: item for item in stack.records(run_id)}
    images = [items.get(f"image#{n}") for n in range(1, count + 1)]
    tally.runs, tally.requested = tally.runs + 1, tally.requested + count
    stored = [image for image in images if image and image["status"] == "stored"]
    refused = [image for image in images if image and image["status"] == "refused"]
    given_up = [image for image in images if image and image["status"] in GIVEN_UP]
    possibly = sum(image["possibly_paid"] for image in images if image)
    paid = paid_by_prompt.get(_short(items["prompt"]["text"]), 0) if "prompt" in items else 0
    tally.stored += len(stored)
    tally.refused += len(refused)
    tally.given_up += len(given_up)
    tally.paid, tally.possibly_paid = tally.paid + paid, tally.possibly_paid + possibly
    for image in given_up:
        # An image of an order may be bought once more by a normal run only.
        purchases = 1 if "order" in image else 2
        is_counted = image["status"] != "claimed" or (
            image["purchase"],
            image["possibly_paid"],
            image["lease_until"],
        ) == (purchases, purchases, 0)
        tally.holds("a purchase was given up and not counted", run_id, is_counted, image)
    lost = sum(image["status"] != "claimed" for image in given_up)
    tally.holds(
        "paid and neither stored nor counted",
        run_id,
        paid <= len(stored) + lost + possibly,
        (paid, len(stored), possibly),
    )
    tally.holds("stored and never paid", run_id, paid >= len(stored), (paid, len(stored)))
    if "prompt" in items:
        tally.holds(
            "a picture was neither delivered nor given up",
            run_id,
            is_cut_short or len(stored) + len(refused) + len(given_up) == count,
            items,
        )
    open_claims = [
        item
        for item in items.values()
        if item.get("status") == "claimed" and item.get("lease_until", 0) > 0
    ]
    tally.holds("a claim is left", run_id, not open_claims, open_claims)
    left = [
        key
        for key in stack.staged(run_id)
        if not any(key.startswith(f"staging/{run_id}/{image['n']}/") for image in given_up)
    ]
    tally.holds("something is left in staging", run_id, not left, left)
    for image in stored:
        _check_picture(stack, tally, run_id, image, folder=folder)


def check_inputs(
    stack: FaultyStack,
    tally: Tally,
    run_id: str,
    request: Mapping[str, Any],
    *,
    edits: Sequence[dict[str, Any]],
) -> None:
    """Check what a run's images were made from, and that its records count it.

    `edits` are the calls that OpenAI has received.
    """
    items = {item["sk"]: item for item in stack.records(run_id)}
    if "prompt" not in items:
        return
    found = Inputs.from_json(items["prompt"].get("inputs"))
    named = [*request.get("reference_images", []), *filter(None, [request.get("mask")])]
    tally.holds("other inputs were recorded", run_id, list(found.keys) == named, found)
    mask = found.mask.sha256 if found.mask else None
    expected = {"images": [image.sha256 for image in found.images], "mask": mask}
    short = _short(items["prompt"]["text"])
    sent = [edit for edit in edits if edit["prompt"] == short]
    wrong = [edit for edit in sent if edit | expected != edit]
    tally.holds("other bytes were sent", run_id, not wrong, wrong)
    tokens = sum(image_tokens(image.width, image.height) for image in found.images)
    model = json.loads(items["prompt"]["choices"])["model"]
    for image in items.values():
        if image.get("status") == "stored":
            usage = json.loads(image["usage"])
            counted = usage["input_tokens_details"]["image_tokens"]
            tally.holds("other tokens were counted", run_id, counted == tokens, usage)
            cost = image_cost(model, usage, economy="order" in image)
            tally.holds("another cost", run_id, cost == image["cost_micro_usd"], image)


def check_whole(
    stack: FaultyStack, tally: Tally, *, folders: Iterable[str], prefix: str, paid: int
) -> None:
    """Check all runs whose folders begin with `prefix`.

    Table, bucket and OpenAI's own count must agree, and no reservation may be open.
    """
    allowed = tuple(f"{folder}/" for folder in folders)
    keys = stack.keys(prefix)
    strays = [key for key in keys if not key.startswith(allowed)]
    tally.holds("objects outside of the folders", prefix, not strays, strays)
    pictures = [key for key in keys if key.endswith(naming.PICTURES)]
    tally.holds(
        "bucket and table differ",
        prefix,
        len(pictures) == tally.stored,
        (len(pictures), tally.stored),
    )
    versions = Counter(
        version["Key"]
        for version in [*stack.versions(prefix), *stack.versions(f"thumbnails/{prefix}")]
    )
    overwritten = {
        key: number for key, number in versions.items() if number > 1 and not key.endswith("/")
    }
    tally.holds("something was written over", prefix, not overwritten, overwritten)
    tally.holds("OpenAI counts others", prefix, paid == tally.paid, (paid, tally.paid))
    month = stack.budget()
    tally.holds("a reservation is left open", prefix, month["committed"] == month["spent"], month)
    charged = stack.charged()
    tally.holds("the charges are not what was spent", prefix, charged == month["spent"], charged)


def _check_picture(
    stack: FaultyStack, tally: Tally, run_id: str, image: dict[str, Any], *, folder: str
) -> None:
    key = image["key"]
    tally.holds("a picture is outside of its folder", run_id, key.startswith(f"{folder}/"), key)
    body = stack.s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read()
    tally.holds(
        "the stored bytes are not the paid ones",
        run_id,
        hashlib.sha256(body).hexdigest() == image["sha256"],
        key,
    )
    for beside in (naming.sidecar_key(key), naming.thumbnail_key(key)):
        tally.holds("a companion is missing", run_id, stack.keys(beside) == [beside], beside)


def _short(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]  # as in the stand-in's ledger
