"""Checks whom a request asks Easel to notify, and the addresses of webhooks.

EventBridge calls only the webhooks that the deployment declares, so no request can send a call to
another address.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, urlsplit

from easel.contract.channels import CHANNEL_NAME, MOST_REQUESTED, Channel
from easel.contract.errors import InputError, Summary, summarize
from easel.request.fields import Text, Texts

MAX_URL = 400
NOTIFY = Texts(Text(MAX_URL), MOST_REQUESTED)
PUBLIC = "an https URL with a public host, without user, password or fragment"
LOOPBACK = "127.0.0.1"
# Names of machines in a local network. A name without a dot is one, too.
PRIVATE_ENDINGS = (
    "local",
    "localhost",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "arpa",
    "corp",
)
# Libraries read a host like 127.1 or 0x7f000001 as an address.
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")


def check_webhook_url(url: str, field: str, *, local: bool = False) -> str:
    """Return the URL of a webhook, which must be public. Raises InputError.

    On the local stack, `http://127.0.0.1` is allowed as well.
    """
    parts = _split(url)
    host = (parts.hostname or "") if parts else ""
    if parts and local and parts.scheme == "http" and host == LOOPBACK:
        return url
    problem = _problem(parts, host.removesuffix("."))
    if problem:
        raise InputError(field, shown_url(url), PUBLIC, but=problem)
    return url


def select_channels(
    names: Iterable[str] | None, channels: Sequence[Channel], field: str = "notify"
) -> tuple[Channel, ...]:
    """Return the declared channels with these names or URLs, each once.

    Raises InputError for a name or URL that the deployment does not declare.
    """
    known = {channel.name: channel for channel in channels}
    known |= {channel.url: channel for channel in channels if channel.url}
    for name in names or ():
        if name in known:
            continue
        if ":" in name:
            check_webhook_url(name, field)
        declared = ", ".join(channel.name for channel in channels)
        allowed = f"a list of the channels of this deployment: {declared}"
        if not channels:
            allowed = "nothing: the settings webhooks and notify_email declare no channel"
        reason = "the deployment does not declare it"
        raise InputError(field, shown_url(name), allowed, but=reason)
    return tuple(dict.fromkeys(known[name] for name in names or ()))


def shown_url(text: str) -> object:
    """Return a channel's name, or a URL without its path, which may be a secret."""
    if re.fullmatch(CHANNEL_NAME, text):
        return text
    parts = _split(text)
    if parts is None or not parts.hostname:
        return summarize(text)
    return Summary(f'"{parts.scheme}://{parts.hostname}/…"')


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # which raises an error if it is not a number
    except ValueError:
        return None
    return parts


def _problem(parts: SplitResult | None, host: str) -> str | None:
    """Return why a webhook's address is refused, or None."""
    if parts is None or not host:
        return "it is not a URL"
    problem = _problem_of_host(host)
    if problem:
        return f"{host} is {problem}"
    if parts.scheme != "https":
        return "it does not use https"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "it has a user, a password or a fragment"
    # EventBridge reads an asterisk as a placeholder.
    if "*" in parts.path or "*" in parts.query:
        return "it contains an asterisk"
    return None


def _problem_of_host(host: str) -> str | None:
    address, last = _address(host), host.rpartition(".")[2]
    if address:
        # An IPv6 address may contain a private IPv4 address in several ways.
        is_public = address.version == 4 and address.is_global and not address.is_multicast
        return None if is_public else "a private, loopback, link-local or reserved address"
    if NUMBER.fullmatch(last):
        return "another spelling of an IP address"
    if last == host or last in PRIVATE_ENDINGS:
        return "the name of a machine in a private network"
    return None if HOST.fullmatch(host) else "not a name in the public DNS"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
