"""Plans the orders of a batch, places each, looks at it, collects what came, and lists what goes on to be stored."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start
from functions.adapters import object_store
from functions.adapters.budget import Budget
from functions.adapters.openai_batches import openai_batches
from functions.adapters.orders import Orders
from functions.adapters.records import Records
from functions.adapters.table import table
from functions.contract import Batch, Order, PlacedOrder
from functions.deadline import Deadline
from functions.economy.collecting import collect, look
from functions.economy.placing import place
from functions.economy.planning import came, plan
from functions.errors import ConfigError
from functions.settings import settings
from functions.telemetry import note, step


@step("economy")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Entry point of the economy step: the state's `task` and what it is about (`of`) in, what became of it out."""
    task, of = event["task"], event["of"]
    note(task=task)
    outside: dict[str, Any] = {
        "store": object_store.store(),
        "book": Records(table(), Budget(table(), setting=settings().monthly_budget_micro_usd)),
    }
    deadline = Deadline(context)
    match task:
        case "plan":
            return dict(plan(Batch.from_state(of), **outside))
        case "place":
            order = Order.from_state(of)
            return place(order, deadline=deadline, factory=openai_batches(), orders=Orders(table()), **outside).to_state()
        case "look":
            return look(PlacedOrder.from_state(of), results=openai_batches()).to_state()
        case "collect":
            return collect(PlacedOrder.from_state(of), deadline=deadline, results=openai_batches(), orders=Orders(table()), **outside)
        case "came":
            return dict(came(Batch.from_state(of), mirror=settings().mirror, **outside))
    raise ConfigError(f"{task!a} is no task of the economy step; is the state machine older than the functions?")


cold_start.ready(openai_batches, object_store.store, table)
