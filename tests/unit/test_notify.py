"""Whom a request may ask to notify, and which addresses a webhook may have."""

from datetime import date
from typing import Any

import pytest

from easel.contract.channels import Channel, Form, When, read_channels, write_channels
from easel.contract.errors import InputError
from easel.request import batch_request, request
from easel.request.notify import check_webhook_url
from tests.support.services import batch_settings, request_settings

URL = "https://shop.example/easel?key=1"
CHANNELS = (
    Channel(name="shop", form=Form.EASEL, when=When.REQUESTED, url=URL),
    Channel(name="chat", form=Form.SLACK, when=When.ALWAYS),
    Channel(name="mail", form=Form.MAIL, when=When.REQUESTED),
)


def parse(notify: Any, channels: tuple[Channel, ...] = CHANNELS) -> request.Request:
    settings = request_settings(channels=channels)
    return request.parse({"notify": notify}, settings, today=date(2026, 11, 24))


def test_channels_survive_the_environment() -> None:
    assert read_channels(write_channels(CHANNELS)) == CHANNELS


@pytest.mark.parametrize("notify", [["shop"], [URL, "mail"], ["shop", URL], ["chat"]])
def test_declared_names_and_urls_are_accepted(notify: list[str]) -> None:
    assert parse(notify).notify == tuple(notify)
    assert batch_request.parse(
        {"manifest": "batches/a.csv", "notify": notify}, batch_settings(channels=CHANNELS)
    ).notify == tuple(notify)


@pytest.mark.parametrize("name", ["shops", "https://elsewhere.example/hook"])
def test_undeclared_channel_is_refused_with_declared_ones(name: str) -> None:
    with pytest.raises(InputError, match=r"does not declare it; .*: shop, chat, mail$"):
        parse([name])
    with pytest.raises(InputError, match=r"does not declare it; .*: shop, chat, mail$"):
        batch_request.parse(
            {"manifest": "batches/a.csv", "notify": [name]}, batch_settings(channels=CHANNELS)
        )


def test_deployment_without_channels_says_so() -> None:
    with pytest.raises(
        InputError, match="allowed: nothing: the settings webhooks and notify_email"
    ):
        parse(["mail"], channels=())


@pytest.mark.parametrize("notify", ["mail", [], [""], [7], ["mail"] * 6, {"mail": True}])
def test_notify_is_a_short_list_of_texts(notify: Any) -> None:
    with pytest.raises(InputError, match="notify is"):
        parse(notify)


def test_delete_and_line_take_no_notify() -> None:
    delete = {"action": "delete_folder", "folder_name": "a", "confirm": True, "notify": ["mail"]}
    with pytest.raises(InputError, match="action delete_folder does not accept it"):
        request.parse(delete, request_settings(channels=CHANNELS), today=date(2026, 11, 24))
    assert not request.TABLE["notify"].in_batch


def test_resuming_with_other_channels_is_the_same_request() -> None:
    raw = {"topic": "Sport"}
    assert request.digest(raw) == request.digest(raw | {"notify": ["mail"]})


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "https://shop.example:8443/a?b=c",
        "https://8.8.8.8/hook",
        "https://xn--bcher-kva.example/",
        "HTTPS://Shop.Example/",
        "https://my_team.shop.example/",
    ],
)
def test_public_https_address_is_accepted(url: str) -> None:
    assert check_webhook_url(url, "webhooks") == url


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - it is refused
        "224.0.0.1",
        "255.255.255.255",
        "198.51.100.1",
        "[::1]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2606:4700::1111]",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "localhost.",
        "a.localhost",
        "printer",
        "printer.local",
        "api.internal",
        "db.corp.lan",
        "127.0.0.1.",
        "fritz.home.arpa",
    ],
)
def test_private_address_is_refused_by_name(host: str) -> None:
    shown = host.strip("[]").removesuffix(".")
    with pytest.raises(InputError, match=r"webhooks is .*, but ") as refused:
        check_webhook_url(f"https://{host}/hook", "webhooks")
    assert shown in str(refused.value)
    with pytest.raises(InputError, match=r"notify is .*, but "):
        parse([f"https://{host}/hook"])


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://shop.example/", "does not use https"),
        ("ftp://shop.example/", "does not use https"),
        ("https://", "not a URL"),
        ("https:///path", "not a URL"),
        ("https://shop.example:port/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://me:password@shop.example/", "has a user"),
        ("https://shop.example/#part", "a fragment"),
        ("https://shop..example/", "not a name in the public DNS"),
        ("https://shop example.com/", "not a name in the public DNS"),
        ("http://127.0.0.1:80/", "loopback"),
    ],
)
def test_other_address_is_refused_with_reason(url: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        check_webhook_url(url, "webhooks")


def test_local_stack_may_call_loopback_only() -> None:
    url = "http://127.0.0.1:8080/hook"
    assert check_webhook_url(url, "webhooks", local=True) == url
    for other in ("http://127.0.0.2/", "http://localhost/", "http://10.0.0.1/"):
        with pytest.raises(InputError):
            check_webhook_url(other, "webhooks", local=True)


def test_errors_never_repeat_a_path() -> None:
    with pytest.raises(InputError) as refused:
        parse(["https://hooks.slack.com/services/T0/B0/secret"])
    assert '"https://hooks.slack.com/…"' in str(refused.value)
    assert "services" not in str(refused.value)
