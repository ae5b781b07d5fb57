"""The last run of a schedule, which is found by its run id."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from easel.ledger.ledger import Ledger
from easel.schedules.schedule import run_id_at
from easel.schedules.scheduler import Stored

# A schedule that was paused, or a start that failed, leaves out a time.
LOOKED_AT = 3


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """A run, and the time for which the schedule started it."""

    run_id: str
    time: datetime


def find_last_run(stored: Stored, ledger: Ledger, *, now: datetime) -> LastRun | None:
    """Return the latest run among the schedule's last times, or None if none has records.

    Each time is looked up by the run id that it has.
    """
    time: datetime | None = now + timedelta(seconds=1)
    for _ in range(LOOKED_AT):
        time = stored.occurrences.before(time) if time else None
        if time is None:
            return None
        run_id = run_id_at(stored.schedule.name, time)
        if ledger.prompt(run_id):
            return LastRun(run_id=run_id, time=time)
    return None
