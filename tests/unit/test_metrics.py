"""Metrics.

Each is counted when its event happens, and not when the event is reported again.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from easel.aws import observability
from easel.contract import metric_names
from easel.contract.errors import (
    BudgetExceededError,
    ContentRefusedError,
    EaselError,
    TransientError,
)
from easel.ledger.budget import Budget, month_of
from easel.request import models
from tests.support.images import png
from tests.support.openai_server import Reply, Server, openai_server
from tests.support.openai_server import image as paint
from tests.support.records import prompt_record
from tests.support.services import CAP, NOW, FakeServices
from tests.support.steps import ImageStep, PromptStep, UploadStep

COST = 20 * 5 + 430 * 30
MeasureMetrics = Callable[[Callable[[], Any]], dict[str, list[float]]]


@pytest.fixture
def measure_metrics(capsys: pytest.CaptureFixture[str]) -> MeasureMetrics:
    """Return a function that runs code as a step's call and returns its metrics.

    They are the metrics that CloudWatch would read from the log.
    """

    def measure(does: Callable[[], Any]) -> dict[str, list[float]]:
        @observability.step("any")
        def handler(_event: Any, _context: Any) -> dict[str, Any]:
            does()
            return {}

        observability.metrics.clear_metrics()  # drops what earlier tests counted without a frame
        named = dict.fromkeys(
            ("function_name", "memory_limit_in_mb", "invoked_function_arn", "aws_request_id"), "any"
        )
        with suppress(EaselError):
            handler({}, SimpleNamespace(**named))  # type: ignore[arg-type]
        log_line = json.loads(
            next(line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line)
        )
        assert log_line["service"] == metric_names.SERVICE
        (part,) = log_line["_aws"]["CloudWatchMetrics"]
        assert (part["Namespace"], part["Dimensions"]) == (metric_names.NAMESPACE, [["service"]])
        return {metric["Name"]: log_line[metric["Name"]] for metric in part["Metrics"]}

    return measure


@pytest.fixture
def image(services: FakeServices) -> ImageStep:
    return ImageStep(services)


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server() as server:
        yield server


def test_new_run_counts_its_budget_share(
    measure_metrics: MeasureMetrics, services: FakeServices
) -> None:
    request = {"prompt": "A kite", "count": 2}

    metrics = measure_metrics(lambda: PromptStep(services).run(request))

    bound = models.estimate_image(
        "gpt-image-2.6-flare", prompt="A kite", size="1024x1024", quality="medium"
    )
    assert metrics[metric_names.BUDGET_USED_PERCENT] == [
        pytest.approx(100 * 2 * (bound or 0) / CAP, abs=0.01)
    ]


def test_bought_image_counts_dollars_once(
    measure_metrics: MeasureMetrics, image: ImageStep
) -> None:
    first = measure_metrics(image.run)
    assert first[metric_names.SPEND_USD] == [COST / 1_000_000]

    metrics = measure_metrics(image.run)
    assert metric_names.SPEND_USD not in metrics


def test_refused_image_is_counted_once(measure_metrics: MeasureMetrics, image: ImageStep) -> None:
    image.painter.error = ContentRefusedError("no", category="moderation_blocked")
    assert measure_metrics(image.run)[metric_names.REFUSED] == [1.0]
    assert metric_names.REFUSED not in measure_metrics(image.run)


def test_unknown_outcome_counts_as_possibly_paid(
    measure_metrics: MeasureMetrics, image: ImageStep
) -> None:
    image.painter.error = TransientError("no answer", possibly_paid=True)
    assert measure_metrics(image.run)[metric_names.POSSIBLY_PAID] == [1.0]


def test_call_over_budget_is_counted(
    measure_metrics: MeasureMetrics, image: ImageStep, budget: Budget
) -> None:
    budget.set_cap(month_of(datetime.now(UTC)), 1_000)
    metrics = measure_metrics(image.run)
    assert metrics[metric_names.BUDGET_REFUSED] == [1.0]
    assert metric_names.SPEND_USD not in metrics


def test_zero_cap_counts_as_used_up(budget: Budget) -> None:
    assert budget.set_cap("2026-11", 0).used_percent(None) == 100.0
    with pytest.raises(BudgetExceededError):
        budget.read("2026-11").check(1, purpose="a test")


@pytest.mark.parametrize(("run_id", "by_schedule"), [("run-1", False), ("schedule-1f0c9a2e", True)])
def test_stored_image_is_counted_once(
    measure_metrics: MeasureMetrics, services: FakeServices, run_id: str, by_schedule: bool
) -> None:
    step = UploadStep(services)
    step.ledger.keep_prompt(prompt_record(run_id=run_id), paid=None)
    staged = step.staged(png(), run_id=run_id)

    first = measure_metrics(lambda: step.run(staged))

    assert first[metric_names.STORED] == [1.0]
    assert (metric_names.STORED_BY_SCHEDULE in first) is by_schedule
    assert metric_names.STORED not in measure_metrics(lambda: step.run(staged))


@pytest.mark.parametrize(("model", "left"), [("gpt-image-1.5", 7), ("gpt-image-2.6-flare", None)])
def test_remaining_days_of_model_are_counted(
    measure_metrics: MeasureMetrics, services: FakeServices, model: str, left: int | None
) -> None:
    step = PromptStep(services)
    step.services.configure(unpriced_models_allowed=True)
    metrics = measure_metrics(lambda: step.run({"model": model, "dry_run": True}))
    assert metrics.get(metric_names.MODEL_DAYS_LEFT) == (None if left is None else [left])

    end = models.shutdown("gpt-image-1.5")
    assert end
    assert NOW.date() + timedelta(days=7) == end[0]


def test_each_rate_refusal_is_counted(measure_metrics: MeasureMetrics, server: Server) -> None:
    assert measure_metrics(lambda: paint(server, Reply({}, 429)))[metric_names.RATE_LIMITED] == [
        1.0
    ]
