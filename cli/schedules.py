"""Creates, lists and deletes schedules, with the settings of the deployed API."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.target import Target
from easel.contract.settings import REGION, STATE_MACHINE, RequestSettings, ScheduleSettings
from easel.contract.text import printable
from easel.schedules.last_run import find_last_run
from easel.schedules.schedule import check_name, parse
from easel.schedules.scheduler import Schedules, Stored

PAGE = 50


class DeployedSchedules:
    """The schedules of a deployed stack."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def put(self, raw: Any) -> Stored:
        """Create a schedule, or replace the one of this name. Raises InputError."""
        settings = RequestSettings.read(self._environment)
        schedule = parse(raw, settings, today=datetime.now(UTC).date())
        return self._schedules.put(schedule, now=datetime.now(UTC))

    def delete(self, name: str) -> None:
        """Delete a schedule. Raises LookupError if it does not exist."""
        if not self._schedules.delete(check_name(name, "name")):
            raise LookupError(
                f"schedule {name!r} does not exist; list the names with `easel schedules`"
            )

    def show(self, console: Console) -> None:
        """Print a table of all schedules."""
        now = datetime.now(UTC)
        table = Table("name", "when", "time zone", "next run", "last run", "from", box=None)
        for stored in self._all():
            schedule = stored.schedule
            last = find_last_run(stored, self._target.ledger, now=now)
            table.add_row(
                schedule.name,
                schedule.when,
                schedule.time_zone,
                "paused" if schedule.paused else _time(stored.next_run(now)),
                printable(last.run_id) if last else "-",
                "cdk.json" if stored.is_declared else "",
            )
        if table.row_count:
            console.print(table)
        else:
            console.print("no schedules yet; create one with `easel schedule FILE`")

    def _all(self) -> Iterator[Stored]:
        cursor = None
        while True:
            page, cursor = self._schedules.page(limit=PAGE, after=cursor)
            yield from page
            if cursor is None:
                return

    @cached_property
    def _schedules(self) -> Schedules:
        settings = ScheduleSettings.read(self._environment)
        client = self._target.client("scheduler")
        return Schedules(client, settings, machine=self._environment[STATE_MACHINE])

    @cached_property
    def _environment(self) -> dict[str, str]:
        """Return the settings of the API, so that both check a schedule in the same way."""
        name = self._target.output("ApiFunction")
        function = self._target.client("lambda").get_function_configuration(FunctionName=name)
        variables: dict[str, str] = function["Environment"]["Variables"]
        return variables | {REGION: self._target.region}


def read_file(text: str, source: str) -> Any:
    """Return the JSON of a file. Raises LookupError if it has none."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise LookupError(f"{source} is not JSON: {error}") from error


def next_run_text(stored: Stored) -> str:
    """Return when the schedule starts its next run, for people."""
    if stored.schedule.paused:
        return "it is paused"
    return f"next run: {_time(stored.next_run(datetime.now(UTC)))}"


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "-"
