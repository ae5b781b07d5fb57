import json

import pytest

from easel.contract.errors import ConfigError
from easel.contract.messages import ImageTask, Report, ReportedImage, StagedImage, StartRun

STATE_LIMIT = (
    262_144  # bytes, https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
)


def test_unknown_fields_are_ignored() -> None:
    assert ImageTask.from_state({"run_id": "r", "n": 1, "new": True}) == ImageTask(run_id="r", n=1)


@pytest.mark.parametrize("state", [None, [], {"run_id": "r"}])
def test_missing_fields_are_named(state: object) -> None:
    with pytest.raises(ConfigError, match="ImageTask"):
        ImageTask.from_state(state)


def test_largest_report_fits_into_a_state() -> None:
    key = "写" * 341
    picture = ReportedImage(
        n=10,
        id="x" * 11,
        status="stored",
        key=key,
        console_url="u" * 4_000,
        bytes=1,
        cost_usd=1.0,
        possibly_paid=2,
        refusal="r" * 100,
        shared_url="u" * 300,
    )
    report = Report(
        run_id="r" * 80,
        dry_run=False,
        topic="t" * 200,
        title="t" * 80,
        pictures=(picture,) * 10,
        stored=10,
        refused=0,
        possibly_paid=0,
        chat_cost_usd=1.0,
        image_cost_usd=1.0,
        cost_usd=1.0,
        estimate_usd=1.0,
    )
    assert len(json.dumps(report.to_state()).encode()) < STATE_LIMIT / 2


def test_message_survives_its_way_through_a_state() -> None:
    staged = StagedImage(run_id="r", n=1, key="k", sha256="s")
    assert StagedImage.from_state(json.loads(json.dumps(staged.to_state()))) == staged


def test_run_of_older_machine_is_found_by_name() -> None:
    old = {"request": {}, "execution_name": "e-1", "started": "2026-11-24T03:15:02Z"}
    assert StartRun.from_state(old).execution_id == "e-1"
    assert StartRun.from_state(old | {"execution": "arn:child"}).execution_id == "arn:child"
