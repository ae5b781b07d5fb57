"""Runs the emulator: `python -m local.emulator`, with the environment that `process.environment` describes."""

import logging
import os
import sys

from local.ministack import api_failures, logs_fields
from local.ministack.awslambda import errors, logs, metrics, workers
from local.ministack.s3 import bodies, copies, events
from local.ministack.stepfunctions import distributed, history, inline_map, metrics, redrive, timing
from local.ministack.edits import PatchError


def _patch() -> None:
    api_failures.apply()
    errors.apply()
    logs.apply()
    metrics.apply()
    workers.apply(_workers())
    logs_fields.apply()
    bodies.apply()
    copies.apply()
    events.apply()
    timing.apply()
    metrics.apply()
    inline_map.apply()
    distributed.apply()
    redrive.apply()
    # The last, since it numbers the events: whether an event still counts is decided under its lock.
    history.apply()


def _workers() -> int:
    given = os.environ.get("EASEL_LOCAL_WORKERS") or str(workers.AT_MOST)
    if not given.isdecimal() or int(given) == 0:
        sys.exit(f"EASEL_LOCAL_WORKERS is {given!r}: give the number of processes a function may have, 1 or more")
    return int(given)


def main() -> None:
    """Patch MiniStack and run it until SIGTERM."""
    try:
        _patch()
    except PatchError as error:
        sys.exit(str(error))
    from ministack import app

    try:
        app.main()
    finally:
        workers.end_all()
        logging.shutdown()
    # Threads of executions still under way would hold the process for as long as their retries last.
    os._exit(0)


if __name__ == "__main__":
    main()
