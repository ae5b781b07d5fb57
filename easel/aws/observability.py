"""What a call tells: one structured line, and the metrics. Events, prompts and links are never logged.

Each call of a step logs one line at its end: `step`, `run_id`, `n`, `attempt`, `ms` (milliseconds), `openai_request_id`, `usd` (dollars
that it spent), `error` (the class) and `possibly_paid`, as far as they apply, and what its own work adds. Two things get a line of their
own, since they are about money that nobody sees: a call that may have been paid, and a picture that is lost. So does a run that failed:
the events' function tells it, for a run itself runs no more.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.errors import BudgetExceededError, EaselError, RetryableError
from functions.signals import BUDGET_REFUSED, COST_UNKNOWN, FAILED, NAMESPACE, SERVICE, SPEND_USD

logger = Logger(service=SERVICE, log_uncaught_exceptions=False, location=None)
metrics = Metrics(namespace=NAMESPACE, service=SERVICE)

Handler = Callable[[Any, LambdaContext], dict[str, Any]]
_facts: dict[str, Any] = {}  # of the call that goes on: a process has one at a time


def step(name: str) -> Callable[[Handler], Handler]:
    """Frame a handler: its line, and the metric `Failed` (0 or 1). A call that has nothing to say and does not fail logs no line."""

    def frame(handler: Handler) -> Handler:
        @wraps(handler)
        def framed(event: Any, context: LambdaContext) -> dict[str, Any]:
            begun = time.monotonic()
            _facts.clear()
            logger.append_keys(step=name)
            if isinstance(event, dict):
                run_id = event.get("run_id") or event.get("execution_name")
                logger.append_keys(run_id=run_id, n=event.get("n"), attempt=event.get("attempt"))
            try:
                answer = handler(event, context)
            except Exception as error:
                failed(error)
                raise
            finally:
                _tell(round((time.monotonic() - begun) * 1000))
            return answer

        return metrics.log_metrics(logger.inject_lambda_context(framed, clear_state=True))

    return frame


def say(what: str, **facts: Any) -> None:
    """What this call did, in the line at its end; of several, the last."""
    _facts.update(facts, message=what)


def note(**facts: Any) -> None:
    """More for the line at the end of this call."""
    _facts.update(facts)


def failed(error: Exception) -> None:
    """Let the line tell a failure; what passes by itself is a warning."""
    # What is not of the tree is a bug; its words may hold anything, and Lambda logs them with the traceback.
    said, possibly_paid = (str(error), error.possibly_paid) if isinstance(error, EaselError) else ("an unexpected error", False)
    say(said, error=type(error).__name__, possibly_paid=possibly_paid)
    _facts["level"] = logger.warning if isinstance(error, RetryableError) else logger.error
    _facts[FAILED] = 1
    if isinstance(error, BudgetExceededError):
        count(BUDGET_REFUSED)


def count(name: str, value: float = 1) -> None:
    """Add to a metric that counts."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def gauge(name: str, value: float) -> None:
    """Say how much of something there is now."""
    metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=value)


def spend(micro_usd: int | None) -> None:
    """Add to the dollars spent; an unknown cost is counted as such, never as 0."""
    if micro_usd is None:
        count(COST_UNKNOWN)
        return
    usd = micro_usd / 1_000_000
    metrics.add_metric(name=SPEND_USD, unit=MetricUnit.NoUnit, value=usd)
    note(usd=round(_facts.get("usd", 0) + usd, 6))


def _tell(milliseconds: int) -> None:
    count(FAILED, _facts.pop(FAILED, 0))
    level, said = _facts.pop("level", logger.info), _facts.pop("message", None)
    if said:
        level(said, ms=milliseconds, **_facts)
