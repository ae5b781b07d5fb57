"""The channels that report the end of a run or a batch, as a deployment declares them.

The settings `webhooks` and `notify_email` declare them. The stack builds each one and passes the
list to the functions in one variable.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

MAIL = "mail"  # the name of the channel of the setting notify_email
MOST_REQUESTED = 5
MAX_NAME = 32
CHANNEL_NAME = "[a-z][a-z0-9-]{0,31}"


class Form(StrEnum):
    """What a channel's receiver expects."""

    EASEL = "easel"
    SLACK = "slack"
    MAIL = "mail"


class When(StrEnum):
    """Whether a channel reports each end, or only what a request asks for in `notify`."""

    ALWAYS = "always"
    REQUESTED = "requested"


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One channel. `url` is None for mail, and for a webhook whose address is a secret."""

    name: str
    form: Form
    when: When
    url: str | None = None


def write_channels(channels: Iterable[Channel]) -> str:
    """Return the channels as the text of an environment variable."""
    return json.dumps([asdict(channel) for channel in channels], separators=(",", ":"))


def read_channels(text: str) -> tuple[Channel, ...]:
    """Return the channels in the text of an environment variable."""
    return tuple(
        Channel(
            name=entry["name"],
            form=Form(entry["form"]),
            when=When(entry["when"]),
            url=entry["url"],
        )
        for entry in json.loads(text)
    )
