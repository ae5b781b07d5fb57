"""One logger and one set of metrics for all steps, and the frame around every handler."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.errors import EaselError

NAMESPACE = "Easel"
logger = Logger(service="easel", log_uncaught_exceptions=False)
metrics = Metrics(namespace=NAMESPACE, service="easel")

Handler = Callable[[Any, LambdaContext], dict[str, Any]]


def step(name: str) -> Callable[[Handler], Handler]:
    """Frame a handler: log keys, one line for each failure, and the metric `Failed` (0 or 1) by step. Events are never logged whole."""

    def frame(handler: Handler) -> Handler:
        @wraps(handler)
        def framed(event: Any, context: LambdaContext) -> dict[str, Any]:
            logger.append_keys(step=name)
            metrics.add_dimension(name="step", value=name)
            if isinstance(event, dict):
                logger.append_keys(run_id=event.get("run_id") or event.get("execution_name"), n=event.get("n"))
            try:
                answer = handler(event, context)
            except Exception as error:
                # What is not of the tree is a bug; its words may hold anything, and Lambda logs them with the traceback.
                said = str(error) if isinstance(error, EaselError) else "an unexpected error"
                possibly_paid = isinstance(error, EaselError) and error.possibly_paid
                logger.error(said, error=type(error).__name__, possibly_paid=possibly_paid)
                count("Failed")
                raise
            count("Failed", 0)
            return answer

        return metrics.log_metrics(logger.inject_lambda_context(framed, clear_state=True))

    return frame


def count(name: str, value: float = 1) -> None:
    """Add to a metric that counts."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def spend(micro_usd: int | None) -> None:
    """Add to the metric of dollars spent; an unknown cost is counted as such, never as 0."""
    if micro_usd is None:
        count("CostUnknown")
    else:
        metrics.add_metric(name="SpendUSD", unit=MetricUnit.NoUnit, value=micro_usd / 1_000_000)
