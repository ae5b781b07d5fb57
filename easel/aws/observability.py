"""A call's structured log line and its metrics. Prompts, events and links are not logged.

Each call logs one line at its end. The line has `step`, `run_id`, `n`, `attempt`, `ms`
(milliseconds), `openai_request_id`, `usd` (dollars spent), `error` (the class) and `possibly_paid`
where they apply, and the facts that the step adds. Three events get a line of their own, because
they concern money that nobody would notice: a call that may have been paid, a lost image, and a
failed run. The events function logs the failed run, because the run itself has ended.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.contract.errors import BudgetExceededError, EaselError, RetryableError
from easel.contract.metric_names import (
    BUDGET_REFUSED,
    COST_UNKNOWN,
    FAILED,
    NAMESPACE,
    SERVICE,
    SPEND_USD,
)
from easel.contract.money import dollars

logger = Logger(service=SERVICE, log_uncaught_exceptions=False, location=None)
metrics = Metrics(namespace=NAMESPACE, service=SERVICE)

Handler = Callable[[Any, LambdaContext], dict[str, Any]]
_facts: dict[str, Any] = {}  # the current call's; a process handles one call at a time


def step(name: str) -> Callable[[Handler], Handler]:
    """Wrap a handler to log its line and count the metric `Failed` (0 or 1).

    A call that reports nothing and does not fail logs no line.
    """

    def wrap(handler: Handler) -> Handler:
        @wraps(handler)
        def wrapped(event: Any, context: LambdaContext) -> dict[str, Any]:
            started = time.monotonic()
            _facts.clear()
            logger.append_keys(step=name)
            if isinstance(event, dict):
                run_id = event.get("run_id") or event.get("execution_name")
                logger.append_keys(run_id=run_id, n=event.get("n"), attempt=event.get("attempt"))
            try:
                answer = handler(event, context)
            except Exception as error:
                log_failure(error)
                raise
            finally:
                _log_line(round((time.monotonic() - started) * 1000))
            return answer

        return metrics.log_metrics(logger.inject_lambda_context(wrapped, clear_state=True))

    return wrap


def log_result(message: str, **facts: Any) -> None:
    """Set the message of this call's log line. The last message wins."""
    _facts.update(facts, message=message)


def note(**facts: Any) -> None:
    """Add facts to this call's log line."""
    _facts.update(facts)


def log_failure(error: Exception) -> None:
    """Report a failure in this call's log line: a warning if it is retryable, else an error."""
    message, possibly_paid = "an unexpected error", False
    # Any other error is a bug. Its message may contain anything, and Lambda logs it with a
    # traceback.
    if isinstance(error, EaselError):
        message, possibly_paid = str(error), error.possibly_paid
    log_result(message, error=type(error).__name__, possibly_paid=possibly_paid)
    _facts["level"] = logger.warning if isinstance(error, RetryableError) else logger.error
    _facts[FAILED] = 1
    if isinstance(error, BudgetExceededError):
        count(BUDGET_REFUSED)


def count(name: str, value: float = 1) -> None:
    """Add to a counter metric."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def gauge(name: str, value: float) -> None:
    """Set a gauge metric."""
    metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=value)


def spend(micro_usd: int | None) -> None:
    """Add to the dollars spent. An unknown cost is counted as unknown, never as 0."""
    if micro_usd is None:
        count(COST_UNKNOWN)
        return
    usd = dollars(micro_usd)
    metrics.add_metric(name=SPEND_USD, unit=MetricUnit.NoUnit, value=usd)
    note(usd=round(_facts.get("usd", 0) + usd, 6))


def _log_line(milliseconds: int) -> None:
    count(FAILED, _facts.pop(FAILED, 0))
    level, message = _facts.pop("level", logger.info), _facts.pop("message", None)
    if message:
        level(message, ms=milliseconds, **_facts)
