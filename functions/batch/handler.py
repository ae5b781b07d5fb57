"""Checks a batch before it begins, and reports it at its end."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start
from functions.adapters import object_store
from functions.adapters.batches import Batches
from functions.adapters.budget import Budget
from functions.adapters.records import Records
from functions.adapters.table import table
from functions.batch.checking import check
from functions.batch.reporting import report
from functions.contract import Batch, Start
from functions.settings import settings
from functions.telemetry import step


@step("batch")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Entry point of the batch step: Start in, Batch out; or at the end Batch in, BatchReport out."""
    budget = Budget(table(), setting=settings().monthly_budget_micro_usd)
    outside: dict[str, Any] = {"now": datetime.now(UTC), "store": object_store.store(), "book": Records(table(), budget)}
    if isinstance(event, dict) and "request" in event:
        start = Start.from_state(event)
        return check(start, settings=settings(), batches=Batches(table()), budget=budget, **outside).to_state()
    return report(Batch.from_state(event), mirror=settings().mirror, **outside).to_state()


cold_start.ready(object_store.store, table)
