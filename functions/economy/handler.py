"""Plans a batch's orders, places, polls and collects each, and lists the staged images."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import Deadline, prepare
from easel.aws.observability import note, step
from easel.contract.batch_messages import BatchPlan, Order, PlacedOrder
from easel.contract.errors import ConfigError
from easel.contract.states import Task
from easel.services import SERVICES
from functions.economy.collect import collect, look
from functions.economy.place import place
from functions.economy.plan import list_staged, plan


@step("economy")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Take a state's `task` and its subject `subject`, and return the result."""
    task, subject = event["task"], event["of"]
    note(task=task)
    match task:
        case Task.PLAN:
            return dict(plan(BatchPlan.from_state(subject), SERVICES))
        case Task.PLACE:
            return place(Order.from_state(subject), SERVICES, Deadline(context)).to_state()
        case Task.LOOK:
            return look(PlacedOrder.from_state(subject), SERVICES).to_state()
        case Task.COLLECT:
            return collect(PlacedOrder.from_state(subject), SERVICES, Deadline(context))
        case Task.LIST_STAGED:
            return dict(list_staged(BatchPlan.from_state(subject), SERVICES))
    raise ConfigError(
        f"{task!a} is not a task of the economy step; the state machine may be older than the "
        "functions: deploy the stack again"
    )


prepare(lambda: SERVICES.openai_batches, lambda: SERVICES.bucket, lambda: SERVICES.ledger)
