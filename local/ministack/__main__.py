"""Runs the emulator: `python -m local.emulator`, with the environment that `process.environment` describes."""

import logging
import os
import sys

from local.emulator import (
    api_failures,
    lambda_errors,
    lambda_logs,
    lambda_metrics,
    lambda_workers,
    logs_fields,
    object_bodies,
    object_copies,
    object_events,
    states_distributed,
    states_history,
    states_map,
    states_metrics,
    states_redrive,
    states_timing,
)
from local.emulator.edits import PatchError


def _patch() -> None:
    api_failures.apply()
    lambda_errors.apply()
    lambda_logs.apply()
    lambda_metrics.apply()
    lambda_workers.apply(_workers())
    logs_fields.apply()
    object_bodies.apply()
    object_copies.apply()
    object_events.apply()
    states_timing.apply()
    states_metrics.apply()
    states_map.apply()
    states_distributed.apply()
    states_redrive.apply()
    # The last, since it numbers the events: whether an event still counts is decided under its lock.
    states_history.apply()


def _workers() -> int:
    given = os.environ.get("EASEL_LOCAL_WORKERS") or str(lambda_workers.AT_MOST)
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
        lambda_workers.end_all()
        logging.shutdown()
    # Threads of executions still under way would hold the process for as long as their retries last.
    os._exit(0)


if __name__ == "__main__":
    main()
