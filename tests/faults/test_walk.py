"""A random walk of faults keeps every promise.

`make soak` runs a longer one: EASEL_WALK_RUNS and EASEL_WALK_SEED.
"""

import os

from tests.faults.faulty_stack import Storm
from tests.faults.random_walk import walk

RUNS = int(os.environ.get("EASEL_WALK_RUNS", "150"))
SEED = os.environ.get("EASEL_WALK_SEED", "1")


def test_no_paid_image_is_lost_or_uncounted(stormy: Storm) -> None:
    walked = walk(stormy, seed=SEED, runs=RUNS)
    print(f"\n{walked}")

    assert not walked.tally.broken
    assert not walked.stuck
    assert walked.tally.runs == RUNS
    assert walked.chat_paid <= walked.chat_known
    # If no fault strikes, the walk shows nothing.
    assert walked.injected > RUNS / 2
    assert walked.kills > 0
    assert walked.tally.possibly_paid > 0
