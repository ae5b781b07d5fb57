"""What a call reports: one structured line, and metrics. Prompts, events and links are not logged.

Each call logs one line at its end: `step`, `run_id`, `n`, `attempt`, `ms` (milliseconds),
`openai_request_id`, `usd` (dollars that it spent), `error` (the class) and `possibly_paid`, as far
as they apply, and what its own work adds. Three things have a line of their own because they are
about money that nobody sees: a call that may have been paid, an image that is lost, and a run that
failed (logged by the events function, because the run itself no longer runs).
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
_facts: dict[str, Any] = {}  # of the current call: a process has one at a time


def step(name: str) -> Callable[[Handler], Handler]:
    """Wrap a handler with its line and the metric `Failed` (0 or 1).

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
                report_failure(error)
                raise
            finally:
                _log_line(round((time.monotonic() - started) * 1000))
            return answer

        return metrics.log_metrics(logger.inject_lambda_context(wrapped, clear_state=True))

    return wrap


def report(what: str, **facts: Any) -> None:
    """Set what this call did, for the line at its end; the last one counts."""
    _facts.update(facts, message=what)


def note(**facts: Any) -> None:
    """Add facts to the line at the end of this call."""
    _facts.update(facts)


def report_failure(error: Exception) -> None:
    """Let the line report a failure; a transient one is a warning."""
    message, possibly_paid = "an unexpected error", False
    # Any other error is a bug; its words may hold anything, and Lambda logs them with a traceback.
    if isinstance(error, EaselError):
        message, possibly_paid = str(error), error.possibly_paid
    report(message, error=type(error).__name__, possibly_paid=possibly_paid)
    _facts["level"] = logger.warning if isinstance(error, RetryableError) else logger.error
    _facts[FAILED] = 1
    if isinstance(error, BudgetExceededError):
        count(BUDGET_REFUSED)


def count(name: str, value: float = 1) -> None:
    """Add to a metric that counts."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def gauge(name: str, value: float) -> None:
    """Set a metric that is a level."""
    metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=value)


def spend(micro_usd: int | None) -> None:
    """Add to the dollars spent; an unknown cost is counted as unknown, never as 0."""
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
