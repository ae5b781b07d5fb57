"""A random walk of faults keeps every promise.

`make soak` runs a longer one: EASEL_WALK_RUNS and EASEL_WALK_SEED.
"""

import os

from tests.faults.faulty_stack import FaultyStack
from tests.faults.random_walk import walk

RUNS = int(os.environ.get("EASEL_WALK_RUNS", "40"))
SEED = os.environ.get("EASEL_WALK_SEED", "1")


def test_no_paid_image_is_lost_or_uncounted(faulty_stack: FaultyStack) -> None:
    result = walk(faulty_stack, seed=SEED, runs=RUNS)
    print(f"\n{result}")

    assert not result.tally.broken
    assert not result.stuck
    assert result.tally.runs == RUNS
    assert result.chat_paid <= result.chat_known
    # If no fault strikes, the walk shows nothing.
    assert result.injected > RUNS / 2
    assert result.kills > 0
    assert result.tally.possibly_paid > 0
    assert result.from_images > 0
    assert result.in_economy > 0
    assert result.files_left <= result.files_lost
