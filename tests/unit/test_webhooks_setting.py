"""The setting webhooks: what is read, and what is refused."""

import json
from typing import Any

import pytest

from easel.contract.channels import Form, When
from infra.setting_values import SettingError
from infra.webhooks import MOST, Webhook, read_webhooks

SHOP = {"name": "shop", "url": "https://shop.example/easel"}


def read(value: Any, *, local: bool = False) -> tuple[Webhook, ...]:
    return read_webhooks({"webhooks": value}.__getitem__, local=local)


@pytest.mark.parametrize("value", [None, "", []])
def test_nothing_is_no_webhook(value: Any) -> None:
    assert read(value) == ()


@pytest.mark.parametrize("value", [[SHOP], json.dumps([SHOP])])
def test_list_or_its_text_is_read(value: Any) -> None:
    (webhook,) = read(value)
    assert (webhook.channel.form, webhook.channel.when, webhook.channel.url) == (
        Form.EASEL,
        When.REQUESTED,
        SHOP["url"],
    )


def test_secret_address_stays_a_name() -> None:
    (webhook,) = read([{"name": "chat", "url": "secret:team/slack", "form": "slack"}])
    assert (webhook.secret, webhook.channel.url) == ("team/slack", None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "not a list"),
        ("{}", "not a list"),
        ([1], "an entry without name or url"),
        ([{"name": "a"}], "an entry without name or url"),
        ([SHOP | {"key": "x"}], "an unknown field"),
        ([SHOP | {"name": "Shop"}], "name is 'Shop'"),
        ([SHOP | {"name": "mail"}], "name is 'mail'"),
        ([SHOP | {"form": "mail"}], r"form is 'mail'; allowed: easel \| slack"),
        ([SHOP | {"when": "never"}], r"when is 'never'; allowed: always \| requested"),
        ([SHOP | {"form": ["slack"]}], "form is"),
        ([SHOP | {"url": 7}], "not a URL"),
        ([SHOP | {"url": "secret:"}], "the name of a secret"),
        ([SHOP | {"url": "https://localhost/"}], "localhost is the name of a machine"),
        ([SHOP, SHOP], "the same name or url"),
        ([SHOP, SHOP | {"name": "b"}], "the same name or url"),
        ([SHOP | {"name": f"a{n}", "url": f"https://{n}.example"} for n in range(MOST + 1)], "11"),
        ([SHOP | {"url": "https://a.example/" + "x" * 900}], "at most 500 bytes"),
    ],
)
def test_wrong_setting_is_named(value: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words) as refused:
        read(value)
    assert str(refused.value).startswith("setting webhooks")
