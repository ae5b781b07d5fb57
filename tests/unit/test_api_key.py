from typing import Any

import pytest

from easel.contract.errors import ConfigError
from easel.openai_client.credentials import ApiKey


@pytest.fixture
def secrets(aws: Any) -> Any:
    aws.secretsmanager.create_secret(Name="the-secret")
    return aws.secretsmanager


def test_line_end_is_stripped_from_key(secrets: Any) -> None:
    secrets.put_secret_value(SecretId="the-secret", SecretString="sk-abc\n")
    assert ApiKey(secrets, secret="the-secret").value() == "sk-abc"


@pytest.mark.parametrize("value", [None, " ", '{"key": "sk-abc"}', '"sk-abc"', "sk abc", "sk-äbc"])
def test_invalid_secret_is_named_and_never_shown(secrets: Any, value: str | None) -> None:
    if value is not None:
        secrets.put_secret_value(SecretId="the-secret", SecretString=value)
    with pytest.raises(ConfigError, match=r"the-secret.*make secret") as exc_info:
        ApiKey(secrets, secret="the-secret").value()
    assert value is None or not value.strip() or value not in str(exc_info.value)


def test_missing_secret_is_named(secrets: Any) -> None:
    with pytest.raises(ConfigError, match="another"):
        ApiKey(secrets, secret="another").value()


def test_refresh_finds_a_rotated_key(secrets: Any) -> None:
    secrets.put_secret_value(SecretId="the-secret", SecretString="old")
    key = ApiKey(secrets, secret="the-secret")
    assert key.value() == "old"

    secrets.put_secret_value(SecretId="the-secret", SecretString="new")
    assert key.value() == "old"
    assert key.refresh() == key.value() == "new"
