import pytest

from easel.contract import settings
from easel.contract.errors import ConfigError

COMPLETE = dict.fromkeys((*settings.STACK_SETS, settings.REGION), "x") | {
    settings.MONTHLY_BUDGET: "12.5",
    settings.RECOVERABLE_DAYS: "30",
    settings.IMAGES_PER_MINUTE: "250",
    settings.MAX_PARALLEL_IMAGES: "60",
    settings.TOLERATED_FAILURES: "2.5",
    settings.MAX_BATCH_LINES: "100000",
}


def test_reads_typed_values() -> None:
    read = settings.read(COMPLETE | {settings.TOPICS: "a\nb", settings.UNPRICED_MODELS: "allow"})
    assert read.topics == ("a", "b")
    assert read.monthly_budget_micro_usd == 12_500_000
    assert read.unpriced_models_allowed
    assert read.openai_base_url is None
    assert read.recoverable_days == 30
    assert (read.images_per_minute, read.max_parallel_images) == (250, 60)
    assert (read.tolerated_failure_percentage, read.max_batch_lines) == (2.5, 100_000)


def test_a_workload_identity_stands_in_the_secret_s_place() -> None:
    keyless = {name: value for name, value in COMPLETE.items() if name != settings.SECRET} | {settings.WORKLOAD_IDENTITY: "idp_1/sa_2"}
    read = settings.read(keyless)
    assert read.secret is None
    assert read.workload_identity == settings.WorkloadIdentity(provider="idp_1", service_account="sa_2", token_url=None)
    assert settings.read(COMPLETE).workload_identity is None


def test_no_images_per_minute_leaves_the_pace_to_openai() -> None:
    assert settings.read(COMPLETE | {settings.IMAGES_PER_MINUTE: settings.NO_LIMIT}).images_per_minute is None


def test_an_existing_bucket_s_owner_decides_how_long_a_delete_can_be_undone() -> None:
    assert settings.read(COMPLETE | {settings.RECOVERABLE_DAYS: settings.OWNER_DECIDES}).recoverable_days is None


def test_names_every_variable_that_is_missing_in_one_error() -> None:
    lacking = {name: value for name, value in COMPLETE.items() if name not in (settings.BUCKET, settings.TABLE)}
    with pytest.raises(ConfigError, match=f"{settings.BUCKET}, {settings.TABLE}"):
        settings.read(lacking)


def test_a_budget_that_is_no_number_is_named() -> None:
    with pytest.raises(ConfigError, match=settings.MONTHLY_BUDGET):
        settings.read(COMPLETE | {settings.MONTHLY_BUDGET: "much"})
