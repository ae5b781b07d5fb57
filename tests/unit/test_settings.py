from dataclasses import fields

import pytest

from easel.contract import settings
from easel.contract.errors import ConfigError
from easel.contract.settings import (
    ApiSettings,
    BatchSettings,
    OpenAISettings,
    RateSettings,
    RequestSettings,
    Settings,
    StorageSettings,
)

STORAGE = {
    settings.BUCKET: "pictures",
    settings.BUCKET_OWNER: "123456789012",
    settings.TABLE: "records",
    settings.REGION: "eu-west-1",
    settings.MONTHLY_BUDGET: "12.5",
    settings.RECOVERABLE_DAYS: "30",
}


def test_typed_values_are_read() -> None:
    storage = StorageSettings.read(STORAGE)
    rate = RateSettings.read(
        {settings.IMAGES_PER_MINUTE: "250", settings.MAX_PARALLEL_IMAGES: "60"}
    )
    batching = BatchSettings.read(
        {
            settings.MAX_PARALLEL_IMAGES: "60",
            settings.TOLERATED_FAILURES: "2.5",
            settings.MAX_BATCH_LINES: "100000",
            settings.CHANNELS: "[]",
        }
    )

    assert (storage.monthly_budget_micro_usd, storage.recoverable_days) == (12_500_000, 30)
    assert (rate.images_per_minute, rate.max_parallel_images) == (250, 60)
    assert (batching.tolerated_failure_percentage, batching.max_batch_lines) == (2.5, 100_000)


def test_topics_are_separated_by_line_ends() -> None:
    names = RequestSettings.variables(settings.REGION)
    more = {settings.TOPICS: "a\nb", settings.UNPRICED_MODELS: "allow", settings.CHANNELS: "[]"}
    more |= {settings.PRESETS: "{}"}

    requests = RequestSettings.read(dict.fromkeys(names, "x") | more)

    assert requests.topics == ("a", "b")
    assert requests.unpriced_models_allowed


def test_workload_identity_replaces_the_secret() -> None:
    keyless = OpenAISettings.read({settings.WORKLOAD_IDENTITY: "idp_1/sa_2"})
    with_key = OpenAISettings.read({settings.SECRET: "the-secret"})

    assert (keyless.secret, keyless.workload_identity) == (None, "idp_1/sa_2")
    assert (with_key.secret, with_key.workload_identity) == ("the-secret", None)
    assert (with_key.base_url, with_key.token_url) == (None, None)


def test_openai_needs_a_key_or_an_identity() -> None:
    with pytest.raises(ConfigError, match=settings.SECRET):
        OpenAISettings.read({})


def test_unset_rate_is_left_to_openai() -> None:
    environment = {
        settings.IMAGES_PER_MINUTE: settings.NO_LIMIT,
        settings.MAX_PARALLEL_IMAGES: "5",
    }

    assert RateSettings.read(environment).images_per_minute is None


def test_existing_bucket_leaves_recovery_to_its_owner() -> None:
    environment = STORAGE | {settings.RECOVERABLE_DAYS: settings.OWNER_DECIDES}

    assert StorageSettings.read(environment).recoverable_days is None


def test_local_sign_in_replaces_the_deployed_one() -> None:
    environment = dict.fromkeys(ApiSettings.variables(), "x") | {settings.UPLOAD_DAYS: "30"}
    local = environment | {settings.LOCAL_SIGN_IN_URL: "http://127.0.0.1"}

    assert ApiSettings.read(environment).sign_in_url == "x"
    assert ApiSettings.read(local).sign_in_url == "http://127.0.0.1"


def test_missing_variables_are_named_in_one_error() -> None:
    lacking = {
        name: value
        for name, value in STORAGE.items()
        if name not in (settings.BUCKET, settings.TABLE)
    }

    with pytest.raises(ConfigError, match=f"{settings.BUCKET}, {settings.TABLE}"):
        StorageSettings.read(lacking)


@pytest.mark.parametrize("name", [settings.MONTHLY_BUDGET, settings.RECOVERABLE_DAYS])
def test_non_numeric_value_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 'much'"):
        StorageSettings.read(STORAGE | {name: "much"})


def test_every_variable_belongs_to_one_group() -> None:
    shared = {settings.REGION, settings.MAX_PARALLEL_IMAGES, settings.MIRROR}
    shared |= {settings.BATCH_STATE_MACHINE, settings.CHANNELS, settings.DELIVERY_URL}
    names = [
        field.metadata["variable"] for group in Settings.__subclasses__() for field in fields(group)
    ]

    assert {name for name in names if names.count(name) > 1} == shared
