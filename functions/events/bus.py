"""The account's default event bus."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from easel.aws.client import refusal, translate_errors
from easel.contract.metric_names import SOURCE

AT_ONCE = 10  # the limit of PutEvents
MAX_BYTES = 250_000  # of the entries of one call; EventBridge allows 256 KB


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event: its name (EventBridge's detail-type), and its detail."""

    name: str
    detail: dict[str, Any]


class Bus:
    """The account's default event bus."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, events: Sequence[Event]) -> None:
        """Send all events. Raises StorageBusyError or another error if one is refused."""
        group: list[dict[str, str]] = []
        size = 0
        for event in events:
            detail = json.dumps(event.detail)
            if group and (len(group) == AT_ONCE or size + len(detail) > MAX_BYTES):
                self._put(group)
                group, size = [], 0
            group.append({"Source": SOURCE, "DetailType": event.name, "Detail": detail})
            size += len(detail)
        if group:
            self._put(group)

    def _put(self, entries: Sequence[dict[str, str]]) -> None:
        doing = f"sending {len(entries)} events"
        with translate_errors(doing):
            answer = self._client.put_events(Entries=entries)
        codes = [entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry]
        if codes:
            raise refusal(codes, doing)
