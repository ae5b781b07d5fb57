"""The runs of a random walk, drawn from its seed.

Some are made from images, and some are the lines of batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from easel.contract import naming
from tests.faults.fault_menu import Target
from tests.faults.inputs import FIRST, MASK, SECOND

# Of each BLOCK runs in a row, the last ones are the lines of a batch, every other time in economy.
BLOCK, LINES = 20, 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run of the walk.

    `own` is the id of an upload that only this run is made from, and `change` (of CHANGES) is what
    happens to it meanwhile. `deletes` is whether an input that other runs share is deleted.
    """

    run_id: str
    request: dict[str, Any]
    twice: bool
    rng: Random
    own: str | None = None
    change: str | None = None
    deletes: bool = False

    @property
    def inputs(self) -> list[str]:
        """Return the keys of the images that it is made from, without the mask."""
        return list(self.request.get("reference_images", []))

    @property
    def target(self) -> Target:
        """Return the run as faults find it."""
        name = f"_{naming.run8(self.run_id)}_"
        return Target(run_id=self.run_id, name=name, inputs=self.inputs)

    @property
    def line(self) -> dict[str, Any]:
        """Return its request as the line of a batch, which gives it its run id."""
        return {name: value for name, value in self.request.items() if name != "request_id"}


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """A batch of the walk, and its lines. With `twice`, it is started twice at the same time."""

    name: str
    plans: Sequence[Plan]
    economy: bool
    twice: bool
    rng: Random


def make_plans(seed: str, *, runs: int, earlier: str) -> list[Plan | BatchPlan]:
    """Return the plans of this many runs. `earlier` is the key of an image to make others from."""
    plans: list[Plan | BatchPlan] = []
    lines: list[Plan] = []
    for number in range(runs):
        block, place = divmod(number, BLOCK)
        if place < BLOCK - LINES:
            plans.append(_plan(seed, number, f"walk-{seed}-{number}", earlier))
            continue
        name = f"walk-{seed}-b{block}"
        run_id = naming.batch_line(name, len(lines) + 1)
        lines.append(_plan(seed, number, run_id, earlier))
        if len(lines) == LINES or number == runs - 1:
            rng = Random(name)  # noqa: S311 - to be repeated, no secret
            is_twice = rng.random() < 0.3
            economy = block % 2 == 0
            plans.append(
                BatchPlan(name=name, plans=lines, economy=economy, twice=is_twice, rng=rng)
            )
            lines = []
    return plans


def _plan(seed: str, number: int, run_id: str, earlier: str) -> Plan:
    rng = Random(f"{seed}-{number}")  # noqa: S311 - to be repeated, no secret
    words = {"prompt" if rng.random() < 0.3 else "description": f"A kite over the bay, {run_id}."}
    request = {
        "request_id": run_id,
        "folder_name": f"walk-{seed}/{number % 7}",
        "count": rng.choice([1, 1, 2, 3]),
        "size": "1024x640",
        "quality": "low",
    }
    is_twice = rng.random() < 0.2
    if rng.random() < 0.6:
        return Plan(run_id=run_id, request=request | words, twice=is_twice, rng=rng)
    own, change, keys = None, None, rng.sample([FIRST, SECOND, earlier], rng.choice([1, 1, 2]))
    if rng.random() < 0.3:
        own = UUID(int=rng.getrandbits(128)).hex
        change = rng.choice(["deleted", "replaced", "tagged", "purged"])
        keys.append(naming.reference_key(own, "png"))
    mask = {"mask": MASK} if keys[0] == FIRST else {}
    return Plan(
        run_id=run_id,
        request=request | words | {"reference_images": keys} | mask,
        twice=is_twice,
        rng=rng,
        own=own,
        change=change,
        deletes=rng.random() < 0.2,
    )
