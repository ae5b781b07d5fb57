"""The setting `webhooks`: the addresses to notify when a run or a batch has ended."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from easel.contract.channels import CHANNEL_NAME, MAIL, Channel, Form, When, write_channels
from easel.contract.errors import InputError
from easel.request.notify import check_webhook_url
from infra.setting_values import SettingError, SettingRefusedError, entries

NAME = "webhooks"
SECRET = "secret:"  # noqa: S105 - the prefix of a secret's name
SECRET_NAME = r"[A-Za-z0-9/_+=.@-]{1,512}"  # noqa: S105 - a pattern
FIELDS = ("name", "url", "form", "when")
FORMS = (Form.EASEL, Form.SLACK)
# Each rule is one of the 300 of the account's event bus.
MOST = 10
# Lambda gives a function 4 KB for its environment.
MAX_BYTES = 500
EXAMPLE = (
    '{"name": "shop", "url": "https://shop.example.com/easel"}, with form (easel | slack) and when '
    "(requested | always) if you like"
)


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A webhook: what the functions know of it, and the name of the secret with its address.

    Either the channel has a URL, or there is a secret.
    """

    channel: Channel
    secret: str | None


def read_webhooks(get: Callable[[str], Any], *, local: bool) -> tuple[Webhook, ...]:
    """Return the webhooks of the setting, a list or its JSON text. Raises SettingError.

    On the local stack, `http://127.0.0.1` is allowed as well.
    """
    listed = entries(get, NAME, most=MOST, example=EXAMPLE)
    webhooks = tuple(_read(entry, local=local) for entry in listed)
    channels = [webhook.channel for webhook in webhooks]
    names = [channel.name for channel in channels]
    urls = [channel.url for channel in channels if channel.url]
    for values in (names, urls):
        if len(set(values)) < len(values):
            raise _wrong("two webhooks with the same name or url")
    size = len(write_channels(channels).encode())
    if size > MAX_BYTES:
        allowed = f"at most {MAX_BYTES} bytes of names and addresses; a long address as {SECRET}…"
        raise SettingError(NAME, f"{size:,} bytes", allowed)
    return webhooks


def _read(entry: object, *, local: bool) -> Webhook:
    if not isinstance(entry, dict) or not {"name", "url"} <= set(entry) <= set(FIELDS):
        raise _wrong("an entry without name or url, or with an unknown field")
    name, url = entry["name"], entry["url"]
    if not isinstance(name, str) or not re.fullmatch(CHANNEL_NAME, name) or name == MAIL:
        allowed = f"a name of 1 to 32 characters from a-z 0-9 -, first a letter, and not {MAIL}"
        raise SettingError(f"{NAME}, name", name, allowed)
    form = _choice(entry, "form", Form.EASEL, tuple(FORMS))
    when = _choice(entry, "when", When.REQUESTED, tuple(When))
    secret = _secret(url)
    if secret is None:
        try:
            check_webhook_url(
                url if isinstance(url, str) else "", f"setting {NAME}, url of {name}", local=local
            )
        except InputError as error:
            raise SettingRefusedError(str(error)) from error
    address = None if secret else url
    channel = Channel(name=name, form=Form(form), when=When(when), url=address)
    return Webhook(channel=channel, secret=secret)


def _secret(url: object) -> str | None:
    if not isinstance(url, str) or not url.startswith(SECRET):
        return None
    name = url.removeprefix(SECRET)
    if not re.fullmatch(SECRET_NAME, name):
        raise SettingError(f"{NAME}, url", url, f"{SECRET}NAME, the name of a secret of yours")
    return name


def _choice(entry: dict[str, Any], field: str, default: str, options: tuple[str, ...]) -> str:
    value = entry.get(field, default)
    if value not in options:
        raise SettingError(f"{NAME}, {field}", value, " | ".join(options))
    return str(value)


def _wrong(got: str) -> SettingError:
    return SettingError(NAME, got, f"a list of up to {MOST} objects like {EXAMPLE}")
