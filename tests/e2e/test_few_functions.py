"""A new AWS account, which runs ten functions at once: thirty runs, and people at the page."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle, islice

import pytest

from local import stack
from local.fake_openai.requests import GENERATIONS
from local.stack import Local
from tests.support.api_caller import machine
from tests.support.local_stack import LocalStack

FUNCTIONS, RUNS, PAINTED = 10, 30, 5  # the last is the default of max_parallel_images
# After so many attempts, a run waits for twelve seconds on average. Before that, thirty runs that
# start together may well need ten functions at once.
ATTEMPTS, ANSWERS = 4, 90
REQUEST = {"folder_name": "crowd", "size": "1024x640", "quality": "low", "prompt": "A kite"}
READS = ("/runs", "/images", "/me")


@pytest.fixture
def aws(local: Local) -> LocalStack:
    limits = {
        "LAMBDA_ACCOUNT_CONCURRENCY": str(FUNCTIONS),
        # Like Lambda, the emulator starts a process for each call instead of letting calls queue.
        "EASEL_LOCAL_WORKERS": str(FUNCTIONS),
    }
    outputs = stack.up(replace(local, environment={**local.environment, **limits}))
    return LocalStack(outputs)


def attempts(aws: LocalStack, arn: str) -> int:
    """Return how often a run has tried in vain to get a slot."""
    if aws.describe(arn) is None:
        return 0  # it has just started
    failures = (event.get("taskFailedEventDetails", {}) for event in aws.history(arn))
    return sum(failure.get("error") == "RateLimitedError" for failure in failures)


def test_waiting_runs_leave_functions_for_the_api(aws: LocalStack) -> None:
    call = machine(aws)
    assert [call("GET", path).status for path in READS] == [200] * len(READS)
    aws.script({"path": GENERATIONS, "delay": 600, "times": PAINTED})
    calm: set[str] = set()

    def others_are_calm() -> bool:
        calm.update(arn for arn in arns if arn not in calm and attempts(aws, arn) >= ATTEMPTS)
        return not aws.script() and len(calm) >= RUNS - PAINTED

    with ThreadPoolExecutor(RUNS) as pool:
        arns = list(pool.map(lambda _: aws.start(REQUEST), range(RUNS)))
        aws.until(others_are_calm)
        answers = Counter(call("GET", path).status for path in islice(cycle(READS), ANSWERS))
        painted = aws.charges()["images"]
        aws.end_faults()
        ends = list(pool.map(aws.wait_for_end, arns))

    assert painted == PAINTED  # the others waited during all answers
    assert answers == {200: ANSWERS}
    assert [end["status"] for end in ends] == ["SUCCEEDED"] * RUNS
    assert aws.charges()["images"] == RUNS
