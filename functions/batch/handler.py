"""Checks a batch before it starts, and reports it at its end."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import prepare
from easel.aws.observability import step
from easel.contract.batch_messages import BatchPlan
from easel.contract.messages import StartRun
from easel.services import SERVICES
from functions.batch.check import check
from functions.batch.report import report_batch


@step("batch")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Take a StartRun and return a BatchPlan, or take a BatchPlan and return a BatchReport."""
    if isinstance(event, dict) and "request" in event:
        return check(StartRun.from_state(event), SERVICES).to_state()
    return report_batch(BatchPlan.from_state(event), SERVICES).to_state()


prepare(lambda: SERVICES.bucket, lambda: SERVICES.ledger)
