"""The channels in the template: who is called, how often, and that no secret is in it."""

import json
from pathlib import Path

import pytest

from easel.contract import settings
from easel.contract.channels import read_channels
from tests.support.template import EVERYTHING, Synth, Template, run_app


@pytest.fixture
def everything(synth: Synth) -> Template:
    return synth(*EVERYTHING)


def channel_rules(template: Template) -> dict[str, dict[str, object]]:
    """Return the only target of each channel's rule."""
    rules = [rule["Properties"] for rule in template.of("AWS::Events::Rule").values()]
    return {
        rule["EventPattern"]["detail"]["channel"][0]: rule["Targets"][0]
        for rule in rules
        if rule.get("EventPattern", {}).get("detail-type") == ["Notification"]
    }


def test_each_channel_is_retried_and_kept(everything: Template) -> None:
    rules = channel_rules(everything)

    assert set(rules) == {"shop", "chat", "mail"}
    for target in rules.values():
        assert target["InputPath"] == "$.detail.body"
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 86_400,
            "MaximumRetryAttempts": 185,
        }
        assert str(target["DeadLetterConfig"]).count("ChannelsDeadLetters") == 1
        assert "RoleArn" in target


def test_secret_address_is_read_by_cloudformation(everything: Template) -> None:
    endpoints = {
        resource["Properties"]["InvocationEndpoint"]
        for resource in everything.of("AWS::Events::ApiDestination").values()
    }
    assert endpoints == {
        "https://shop.example.org/easel",
        "{{resolve:secretsmanager:slack:SecretString:::}}",
    }


def test_signing_key_has_no_value_in_template(everything: Template) -> None:
    key = everything.resource("AWS::SecretsManager::Secret", "SigningKey")
    variables = everything.environment("events")

    assert "SecretString" not in key
    assert key["GenerateSecretString"] == {"ExcludePunctuation": True, "PasswordLength": 64}
    assert "Ref" in variables[settings.SIGNING_SECRET]
    for function in ("api", "prompt"):
        assert settings.SIGNING_SECRET not in everything.environment(function)


def test_functions_know_the_channels(everything: Template) -> None:
    for function in ("prompt", "batch", "api", "events"):
        channels = read_channels(everything.environment(function)[settings.CHANNELS])
        assert [(channel.name, channel.when.value) for channel in channels] == [
            ("shop", "requested"),
            ("chat", "always"),
            ("mail", "requested"),
        ]
        assert channels[1].url is None


def test_default_stack_has_no_channels(template: Template) -> None:
    assert not channel_rules(template)
    assert not template.of("AWS::Events::Connection")
    assert settings.SIGNING_SECRET not in template.environment("events")


@pytest.mark.parametrize(
    ("layers", "webhooks", "words"),
    [
        ("true", {"name": "a", "url": "http://127.0.0.1/"}, "127.0.0.1 is a private, loopback"),
        ("false", {"name": "a", "url": "https://10.0.0.1/"}, "10.0.0.1 is a private, loopback"),
        ("false", {"name": "mail", "url": "https://a.example"}, "name is 'mail'"),
    ],
)
def test_wrong_webhook_is_refused_at_synth(
    tmp_path: Path, layers: str, webhooks: dict[str, str], words: str
) -> None:
    result = run_app(tmp_path / "out", f"layers={layers}", f"webhooks={json.dumps([webhooks])}")

    assert result.returncode == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
