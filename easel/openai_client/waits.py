"""Reads how long a server asks to wait, from the headers and the message of a refused call."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import openai

from easel.openai_client.reasons import message_of

DURATION = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
# OpenAI and Azure name the wait in the message, if no header has it.
WAIT = re.compile(
    r"(?:try again|retry) (?:in|after) "
    r"((?:\d{1,6}(?:\.\d{1,9})?(?:ms|[dhms])?){1,4})(?!\d| ?(?:min|hour|day))",
    re.IGNORECASE,
)


def retry_after(error: Exception) -> float | None:
    """Return the seconds that the server asks to wait, or None.

    RFC 9110 (10.2.3) defines the usual header. Others have milliseconds, or the time until a limit
    is reset. A rate limit's message may name the time, too.
    """
    if not isinstance(error, openai.APIStatusError):
        return None
    headers = error.response.headers
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return _until_reset(headers, error.body) if error.status_code == 429 else None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _until_reset(headers: Mapping[str, str], body: object) -> float | None:
    """Return the seconds until the limits that are used up are reset, or None if none is known."""
    resets = {
        name: _duration(headers.get(f"x-ratelimit-reset-{name}")) for name in ("requests", "tokens")
    }
    known = {name: seconds for name, seconds in resets.items() if seconds is not None}
    used_up = [
        known[name] for name in known if headers.get(f"x-ratelimit-remaining-{name}", "") == "0"
    ]
    wait = WAIT.search(message_of(body))
    others = (_duration(headers.get("ratelimit-reset")), _duration(wait[1]) if wait else None)
    other = next((seconds for seconds in others if seconds is not None), None)
    return max(used_up or known.values(), default=other)


def _duration(text: str | None) -> float | None:
    """Read a duration such as 6m0s or 120ms, as OpenAI writes it, or a number of seconds."""
    match = DURATION.fullmatch(text.strip()) if text else None
    if match is None or not any(match.groups()):
        return _number(text)
    days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return days * 86_400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _number(text: str | None) -> float | None:
    """Return a number of zero or more, or None."""
    is_number = text is not None and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text.strip())
    return float(text) if text and is_number else None
