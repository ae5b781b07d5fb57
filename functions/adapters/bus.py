"""EventBridge's default bus of the account."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from functions.adapters import aws
from functions.signals import SOURCE

AT_ONCE = 10  # that PutEvents takes


@dataclass(frozen=True, kw_only=True)
class Event:
    """What has happened, by its name (EventBridge's detail-type), and what is known of it."""

    name: str
    detail: dict[str, Any]


class Bus:
    """Where events go."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, events: Sequence[Event]) -> None:
        """Send all of them. Raises StorageBusyError or another of aws.refused's where EventBridge takes one not."""
        for begin in range(0, len(events), AT_ONCE):
            some = events[begin : begin + AT_ONCE]
            doing = f"sending {len(some)} events"
            with aws.named(doing):
                entries = [{"Source": SOURCE, "DetailType": one.name, "Detail": json.dumps(one.detail)} for one in some]
                answer = self._client.put_events(Entries=entries)
            refused = [entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry]
            if refused:
                raise aws.refused(refused, doing)


@cache
def bus() -> Bus:
    """That of this account and region."""
    return Bus(aws.client("events"))
