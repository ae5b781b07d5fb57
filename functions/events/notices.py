"""The notifications of an ending: one event for each channel, with exactly what it receives.

EventBridge delivers each to its channel, with its own retries (infra/triggers/channels.py).
"""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import jwt

from easel.aws.client import translate_errors
from easel.contract.channels import Channel, Form, When
from easel.contract.metric_names import BATCH_FINISHED, NOTIFICATION, SOURCE
from easel.contract.states import ExecutionStatus
from functions.events.bus import Event

ALGORITHM = "HS256"
# EventBridge delivers for a day. The rest is for clocks that differ.
VALID_FOR = timedelta(hours=25)


class SigningKey:
    """The key that signs what webhooks receive, read from its secret once per process."""

    def __init__(self, client: Any, *, secret: str) -> None:
        self._client, self._secret = client, secret
        self._value: str | None = None

    def sign(self, claims: dict[str, Any]) -> str:
        """Return the claims as a signed token (JWS, compact form)."""
        return jwt.encode(claims, self._read(), algorithm=ALGORITHM)

    def _read(self) -> str:
        if self._value is None:
            with translate_errors(f"reading the secret {self._secret}"):
                answer = self._client.get_secret_value(SecretId=self._secret)
            self._value = str(answer["SecretString"])
        return self._value


@dataclass(frozen=True, kw_only=True)
class Notifier:
    """Writes notifications. `page_url` is the address of the page, and ends in a slash."""

    channels: Sequence[Channel]
    key: SigningKey | None
    page_url: str | None

    def notices(
        self, event: Event, *, event_id: str, now: datetime, requested: object
    ) -> Iterator[Event]:
        """Yield the notification for each channel. `requested` is the request's field `notify`.

        A channel that the deployment no longer declares is skipped: a run may end after that.
        """
        names = requested if isinstance(requested, list) else []
        for channel in self.channels:
            if channel.when is When.ALWAYS or channel.name in names or channel.url in names:
                body = self._body(channel, event, event_id=event_id, now=now)
                yield Event(name=NOTIFICATION, detail={"channel": channel.name, "body": body})

    def _body(self, channel: Channel, event: Event, *, event_id: str, now: datetime) -> object:
        url = self._link(event)
        text = describe(event)
        if channel.form is Form.MAIL:
            return f"Easel: {text}{f' See {url}' if url else ''}"
        if channel.form is Form.SLACK:
            # Slack reads these three characters as markup:
            # https://docs.slack.dev/messaging/formatting-message-text
            words = html.escape(text, quote=False)
            return {"text": f"Easel: {words}{f' <{url}|Open>' if url else ''}"}
        facts = {"event": event.name, "text": text, "url": url, "detail": event.detail}
        if self.key is None:
            return {"id": event_id} | facts
        claims = {
            "iss": SOURCE,
            "aud": channel.name,
            "jti": event_id,
            "iat": now,
            "exp": now + VALID_FOR,
        }
        return {"id": event_id} | facts | {"signature": self.key.sign(claims | facts)}

    def _link(self, event: Event) -> str | None:
        if not self.page_url:
            return None
        kind = "batch" if event.name == BATCH_FINISHED else "run"
        name = event.detail["batch" if kind == "batch" else "run_id"]
        return f"{self.page_url}#{kind}/{quote(str(name), safe='')}" if name else None


def describe(event: Event) -> str:
    """Return one line about a finished run or batch, for people."""
    detail = event.detail
    is_batch = event.name == BATCH_FINISHED
    name = f"batch {detail['batch'] or '?'}" if is_batch else f"run {detail['run_id']}"
    result = _batch_result(detail) if is_batch else _run_result(detail)
    if detail["status"] == ExecutionStatus.SUCCEEDED:
        return f"{name}: {result}"
    status = {"TIMED_OUT": "timed out", "ABORTED": "was stopped"}.get(detail["status"], "failed")
    reason = detail["message"] or detail["error"]
    return f"{name} {status}{f': {reason}' if reason else ''} ({result})"


def _run_result(detail: dict[str, Any]) -> str:
    if detail["dry_run"]:
        return _estimate(detail)
    total = "" if detail["count"] is None else f" of {detail['count']}"
    refused = f", {detail['refused']} refused by OpenAI" if detail["refused"] else ""
    return f"{detail['stored']}{total} images stored{refused}, {_cost(detail)}"


def _batch_result(detail: dict[str, Any]) -> str:
    if detail["dry_run"]:
        return _estimate(detail)
    if detail["lines"] is None:
        return "no report"
    unfinished = detail["failed"] + detail["not_started"]
    rest = f", {unfinished} of {detail['lines']} lines not finished" if unfinished else ""
    return f"{detail['stored']} images stored{rest}, {_cost(detail)}"


def _estimate(detail: dict[str, Any]) -> str:
    bound = detail["estimate_usd"]
    return "an estimate" if bound is None else f"an estimate, up to ${bound:,.2f}"


def _cost(detail: dict[str, Any]) -> str:
    cost = detail["cost_usd"]
    if cost is None:
        return "cost unknown"
    return "less than $0.01" if 0 < cost < 0.005 else f"${cost:,.2f}"
