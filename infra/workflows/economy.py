"""A batch in economy, as a part of its machine.

OpenAI's Batch API makes the images within a day, at half the price.

 Write each prompt
  └ Write the line's prompt
 Plan the orders ─► Anything to order?
 For each order
  └ Place the order ─► Wait for OpenAI ─► Look at the order ─► Is it done? ─► Collect the images
     ▲                  ▲                                        │
     │                  └────────────────────────────────────────┤
     └── Wait for OpenAI's queue ◄───────────────────────────────┘
 List the staged images ─► Anything to store?
 Store each line
  └ For each staged image ─► Clean up the line
     └ Store the staged image ─► Not stored
 Report the batch

No function runs while OpenAI works. The prompts and the storing use the same steps as a single run.

Transitions: for a line 3 and one for each image; for an order of up to 200 images 2, and 3 every
five minutes.
"""

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from easel.contract.errors import ENDS_ONE_IMAGE
from easel.contract.states import State, Task
from infra.functions.catalogue import ECONOMY, MIRRORING
from infra.functions.function import Functions
from infra.workflows.each_line import START_OF_LINE, BatchEnd, EachLine, Lines
from infra.workflows.machine import INPUT, PART_OF_LINE, RESULT, Call, task
from infra.workflows.run import (
    mirror_task,
    no_picture,
    prompt_task,
    report_task,
    upload_task,
)

# A small order is done soon, and a look costs little. Later looks are five minutes apart.
UNTIL_NEXT_LOOK = "{% $min([300, 30 + 30 * $states.input.looks]) %}"
# A queue may be full for hours: five minutes at first, later half an hour.
UNTIL_NEXT_TRY = "{% $min([1800, 300 * $states.input.queued]) %}"
# An order makes no images itself but waits for OpenAI, which limits how many images it makes at the
# same time. While orders are placed, they compete for the budget's record.
ORDERS_AT_ONCE = "{% 50 %}"
WITH_COUNTS = "{% $merge([$states.input, $states.result.Payload]) %}"


class Economy(Construct):
    """The states of an economy batch, from `start` to the batch's report."""

    def __init__(
        self, scope: Construct, construct_id: str, *, functions: Functions, end: BatchEnd
    ) -> None:
        super().__init__(scope, construct_id)
        self._functions = functions
        lines = Lines(
            comment="The chat call of each line",
            file="{% $states.input.todo_key %}",
            selector=START_OF_LINE,
        )
        orders = Lines(
            comment="Placed once; then the state machine waits, and no function runs",
            file="{% $states.input.work & 'orders.jsonl' %}",
            at_once=ORDERS_AT_ONCE,
        )
        staged = Lines(
            comment="The last steps of a single run",
            file="{% $states.input.work & 'came.jsonl' %}",
        )
        write = EachLine(self, State.EACH_PROMPT, lines, end)
        write.item_processor(
            prompt_task(self, State.WRITE_LINE_PROMPT, functions, payload=PART_OF_LINE)
        )
        order = EachLine(self, State.EACH_ORDER, orders, end)
        order.item_processor(self._order())
        store = EachLine(self, State.STORE_EACH_LINE, staged, end)
        store.item_processor(self._store())

        plan = self._task(
            State.PLAN_ORDERS, Task.PLAN, "Up to 200 images each", outputs=WITH_COUNTS
        )
        list_staged = self._task(
            State.LIST_STAGED,
            Task.LIST_STAGED,
            "The lines with an image in staging",
            outputs=WITH_COUNTS,
        )
        any_order = sfn.Condition.jsonata("{% $states.input.orders > 0 %}")
        any_image = sfn.Condition.jsonata("{% $states.input.came > 0 %}")
        storing = sfn.Choice.jsonata(self, State.ANYTHING_TO_STORE)
        list_staged.next(storing.when(any_image, store.next(end.report)).otherwise(end.report))
        ordering = sfn.Choice.jsonata(self, State.ANYTHING_TO_ORDER)
        ordering.when(any_order, order.next(list_staged)).otherwise(list_staged)
        self.start = write.next(plan).next(ordering)

    def _order(self) -> sfn.Chain:
        place = self._task(
            State.PLACE_ORDER,
            Task.PLACE,
            "Claims its images, then orders them from OpenAI, once",
            claims=True,
        )
        until = sfn.WaitTime.seconds(UNTIL_NEXT_LOOK)
        wait = sfn.Wait.jsonata(self, State.WAIT_FOR_OPENAI, time=until)
        look = self._task(State.LOOK_AT_ORDER, Task.LOOK, "Has OpenAI finished it?")
        collect = self._task(
            State.COLLECT, Task.COLLECT, "Streams the results into staging", claims=True
        )
        is_done = sfn.Condition.jsonata("{% $states.input.done %}")
        # OpenAI's queue had no room for the order. It empties as other batches end.
        again = sfn.Condition.jsonata("{% $states.input.again %}")
        until_again = sfn.WaitTime.seconds(UNTIL_NEXT_TRY)
        queue = sfn.Wait.jsonata(self, State.WAIT_FOR_QUEUE, time=until_again)
        queue.next(place)
        done = sfn.Choice.jsonata(self, State.IS_IT_DONE)
        done.when(is_done, collect).when(again, queue).otherwise(wait)
        return place.next(wait).next(look).next(done)

    def _store(self) -> sfn.Chain:
        # A state's name must be unique in its machine, so these names differ from the run's names.
        store: sfn.IChainable
        store = upload = upload_task(self, State.STORE_STAGED, self._functions)
        not_stored = no_picture(self, State.NOT_STORED)
        upload.add_catch(not_stored, errors=list(ENDS_ONE_IMAGE), outputs=INPUT)
        if MIRRORING in self._functions:
            mirror = mirror_task(self, State.MIRROR_STAGED, self._functions[MIRRORING])
            store = upload.next(mirror)
        pictures = sfn.Map.jsonata(
            self,
            State.EACH_STAGED,
            items=sfn.ProvideItems.jsonata("{% $states.input.staged %}"),
            max_concurrency=1,
            outputs=INPUT,
        )
        pictures.item_processor(store)
        return pictures.next(report_task(self, State.REPORT_LINE, self._functions))

    def _task(
        self,
        name: State,
        kind: Task,
        comment: str,
        *,
        outputs: str = RESULT,
        claims: bool = False,
    ) -> tasks.LambdaInvoke:
        call = Call(
            function=self._functions[ECONOMY],
            comment=comment,
            payload={"task": kind, "of": INPUT},
            outputs=outputs,
            claims=claims,
        )
        return task(self, name, call)
