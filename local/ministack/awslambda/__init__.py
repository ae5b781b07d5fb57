"""Patches of Lambda.

errors   failures are named after the exception's class, and the HTTP API hides them
logs     a call that logs nothing does not wait 50 ms
workers  each function has a limited number of processes; calls queue, and all processes end
"""

from local.ministack.awslambda import errors, logs, workers


def apply(*, at_most: int) -> None:
    """Apply the patches, with at most this number of processes for each function."""
    errors.apply()
    logs.apply()
    workers.apply(at_most)
