"""The schedules of one deployment in EventBridge Scheduler, in a group of their own."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from easel.aws.client import error_code, translate_errors
from easel.contract.errors import ConflictError, InputError
from easel.contract.settings import ScheduleSettings
from easel.schedules.expression import RATE
from easel.schedules.occurrences import Occurrences
from easel.schedules.schedule import Schedule, show_time

DECLARED, BY_HAND = "declared in cdk.json", "made by hand"
# A start that fails is repeated for two hours, and then kept in the dead-letter queue.
MOST_RETRIES, RETRY_SECONDS = 185, 2 * 3600
SCHEDULE_QUOTA = "ServiceQuotaExceededException"
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A schedule as it is stored. `is_declared` means that cdk.json has it."""

    schedule: Schedule
    created: datetime
    is_declared: bool

    @property
    def occurrences(self) -> Occurrences:
        """Return the schedule's times."""
        return Occurrences(schedule=self.schedule, created=self.created)

    def next_run(self, now: datetime) -> datetime | None:
        """Return when the next run starts, or None if it is paused, over or not known."""
        return None if self.schedule.paused else self.occurrences.after(now)


class Schedules:
    """The schedules of a deployment. They all start the same state machine."""

    def __init__(self, client: Any, settings: ScheduleSettings, *, machine: str) -> None:
        self._client, self._settings, self._machine = client, settings, machine

    def page(self, *, limit: int, after: str | None) -> tuple[list[Stored], str | None]:
        """Return schedules by name, and the cursor of the next page.

        Raises InputError for an unknown cursor.
        """
        start = {"NextToken": after} if after else {}
        with translate_errors("listing the schedules"):
            try:
                answer = self._client.list_schedules(
                    GroupName=self._settings.group, MaxResults=limit, **start
                )
            except ClientError as error:
                if after and error_code(error) == "ValidationException":
                    allowed = "the cursor of an earlier answer, unchanged"
                    raise InputError("cursor", after, allowed) from None
                raise
        # One that was deleted in the meantime is left out.
        found = (self.get(summary["Name"]) for summary in answer["Schedules"])
        return [stored for stored in found if stored], answer.get("NextToken")

    def get(self, name: str) -> Stored | None:
        """Return a schedule, or None if there is none of this name."""
        with translate_errors(f"reading schedule {name}"):
            try:
                answer = self._client.get_schedule(GroupName=self._settings.group, Name=name)
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    return None
                raise
        return _stored(answer)

    def put(self, schedule: Schedule, *, now: datetime) -> Stored:
        """Create a schedule, or replace the one of this name. The same call twice changes nothing.

        Raises ConflictError if cdk.json declares it, and InputError if it would start nothing.
        """
        earlier = self.get(schedule.name)
        _refuse_declared(earlier)
        created = earlier.created if earlier else now
        stored = Stored(schedule=schedule, created=created, is_declared=False)
        if not schedule.paused and stored.occurrences.after(now) is None:
            allowed = "an expression with a time in the future, between start and end"
            raise InputError("when", schedule.when, allowed)
        fields = self._fields(schedule, start=_start(schedule, earlier, now))
        with translate_errors(f"storing schedule {schedule.name}"):
            try:
                self._write(fields, is_new=earlier is None)
            except ClientError as error:
                if error_code(error) == "ValidationException":
                    reason = error.response["Error"].get("Message", "it is not valid")
                    allowed = "what EventBridge Scheduler accepts"
                    raise InputError("when", schedule.when, allowed, but=reason) from error
                if error_code(error) == SCHEDULE_QUOTA:
                    raise ConflictError(
                        "this account has as many schedules as AWS allows; delete some"
                    ) from error
                raise
        return self.get(schedule.name) or stored

    def delete(self, name: str) -> bool:
        """Delete a schedule. Return whether it was there.

        Raises ConflictError if cdk.json declares it.
        """
        earlier = self.get(name)
        _refuse_declared(earlier)
        if earlier is None:
            return False
        with translate_errors(f"deleting schedule {name}"):
            try:
                self._client.delete_schedule(GroupName=self._settings.group, Name=name)
            except ClientError as error:
                if error_code(error) != "ResourceNotFoundException":
                    raise
        return True

    def _write(self, fields: dict[str, Any], *, is_new: bool) -> None:
        # Another caller may create or delete it at this moment.
        create, update = self._client.create_schedule, self._client.update_schedule
        first, second = (create, update) if is_new else (update, create)
        try:
            first(**fields)
        except ClientError as error:
            if error_code(error) not in ("ConflictException", "ResourceNotFoundException"):
                raise
            second(**fields)

    def _fields(self, schedule: Schedule, *, start: datetime | None) -> dict[str, Any]:
        target = {
            "Arn": self._machine,
            "RoleArn": self._settings.role,
            "Input": json.dumps(schedule.run_input, ensure_ascii=False),
            "DeadLetterConfig": {"Arn": self._settings.queue},
            "RetryPolicy": {
                "MaximumRetryAttempts": MOST_RETRIES,
                "MaximumEventAgeInSeconds": RETRY_SECONDS,
            },
        }
        fields = {
            "GroupName": self._settings.group,
            "Name": schedule.name,
            "ScheduleExpression": schedule.when,
            "ScheduleExpressionTimezone": schedule.time_zone,
            "State": state(schedule),
            "Description": describe(schedule, declared=False),
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": target,
        }
        dates = {
            "StartDate": start,
            "EndDate": datetime.fromisoformat(schedule.end) if schedule.end else None,
        }
        return fields | {name: date for name, date in dates.items() if date}


def state(schedule: Schedule) -> str:
    """Return the state of a schedule in Scheduler."""
    return "DISABLED" if schedule.paused else "ENABLED"


def describe(schedule: Schedule, *, declared: bool) -> str:
    """Return the description of a schedule: who made it, and its note."""
    maker = DECLARED if declared else BY_HAND
    return f"{maker}: {schedule.note}" if schedule.note else maker


def _refuse_declared(stored: Stored | None) -> None:
    if stored and stored.is_declared:
        name = stored.schedule.name
        raise ConflictError(
            f"schedule {name} is declared in cdk.json; change it there and deploy, or choose "
            "another name"
        )


def _start(schedule: Schedule, earlier: Stored | None, now: datetime) -> datetime | None:
    """Return the start to store. AWS refuses a start in the past.

    A rate counts from its start. If it has none, it counts from now, and a changed schedule keeps
    its rhythm, because a new one would start a run at once.
    """
    start = datetime.fromisoformat(schedule.start) if schedule.start else None
    if start and start > now:
        return start
    if not RATE.fullmatch(schedule.when):
        return None
    if start:
        return Occurrences(schedule=schedule, created=now).after(now)
    if earlier and earlier.schedule.when == schedule.when:
        return earlier.occurrences.after(now)
    return now.replace(second=0, microsecond=0) + MINUTE


def _stored(answer: dict[str, Any]) -> Stored:
    maker, _, note = answer.get("Description", "").partition(": ")
    request = json.loads(answer["Target"].get("Input") or "{}")
    dates = {
        field: show_time(answer[name]) if answer.get(name) else None
        for field, name in (("start", "StartDate"), ("end", "EndDate"))
    }
    schedule = Schedule(
        name=answer["Name"],
        when=answer["ScheduleExpression"],
        time_zone=answer.get("ScheduleExpressionTimezone", "UTC"),
        start=dates["start"],
        end=dates["end"],
        paused=answer["State"] == "DISABLED",
        note=note or None,
        request={name: value for name, value in request.items() if name != "request_id"},
    )
    return Stored(
        schedule=schedule,
        created=answer["CreationDate"].astimezone(UTC),
        is_declared=maker == DECLARED,
    )
