"""A batch in economy, as a part of its machine: OpenAI's Batch API makes the pictures within a day, at half the price.

 Write each prompt            └ Write the line's prompt
 Plan the orders ─► Anything to order?
 For each order               └ Place the order ─► Wait for OpenAI ─► Look at the order ─► Is it done? ─► Collect the pictures
                                                     ▲                                         │
                                                     └─────────────────────────────────────────┘
 List what came ─► Anything to store?
 Store each line              └ For each staged picture ─► Clean up the line
                                 └ Store the staged picture ─► Not stored
 Report the batch

No function runs while OpenAI works. The prompts are written by the chat call of a single run, and a picture that came is stored by a
single run's own steps.

Transitions: for a line 3 and one a picture; for an order of up to 200 pictures 2, and 3 every five minutes.
"""

from typing import Any

from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.functions.function import StepFunction
from infra.workflows.each_line import EachLine
from infra.workflows.run import ENDS_ONE, INPUT, PART_OF_LINE, Steps, mirror_task, no_picture, prompt_task, report_task, task, upload_task

# Small orders come soon, and a look costs little; in the end one every five minutes.
UNTIL_NEXT_LOOK = "{% $min([300, 30 + 30 * $states.input.looks]) %}"
# An order waits, and paints nothing: OpenAI bounds what it takes at once by itself. While they are placed they share the budget's item.
ORDERS_AT_ONCE = "{% 50 %}"
COUNTED = "{% $merge([$states.input, $states.result.Payload]) %}"


class Economy(Construct):
    """The states from `begin` on; they lead to `report`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        steps: Steps,
        economy: StepFunction,
        bucket: s3.IBucket,
        selector: dict[str, Any],
        report: sfn.IChainable,
    ) -> None:
        super().__init__(scope, construct_id)
        self._economy = economy
        prompts = EachLine(
            self,
            "Write each prompt",
            comment="The chat call of each line",
            bucket=bucket,
            items="{% $states.input.todo_key %}",
            selector=selector,
            each=prompt_task(self, steps, payload=PART_OF_LINE, name="Write the line's prompt"),
            too_many=report,
        )
        plan = self._task("Plan the orders", "plan", comment="Up to 200 pictures each", outputs=COUNTED)
        orders = EachLine(
            self,
            "For each order",
            comment="Placed once, then waited for, without a function running",
            bucket=bucket,
            items="{% $states.input.work & 'orders.jsonl' %}",
            selector=None,
            each=self._order(),
            too_many=report,
            at_once=ORDERS_AT_ONCE,
        )
        came = self._task("List what came", "came", comment="The lines with a picture in staging", outputs=COUNTED)
        store = EachLine(
            self,
            "Store each line",
            comment="The last steps of a single run",
            bucket=bucket,
            items="{% $states.input.work & 'came.jsonl' %}",
            selector=None,
            each=self._stored(steps),
            too_many=report,
        )
        storing = (
            sfn.Choice.jsonata(self, "Anything to store?")
            .when(sfn.Condition.jsonata("{% $states.input.came > 0 %}"), store.next(report))
            .otherwise(report)
        )
        came.next(storing)
        ordering = (
            sfn.Choice.jsonata(self, "Anything to order?")
            .when(sfn.Condition.jsonata("{% $states.input.orders > 0 %}"), orders.next(came))
            .otherwise(came)
        )
        self.begin = prompts.next(plan).next(ordering)

    def _order(self) -> sfn.Chain:
        place = self._task("Place the order", "place", comment="Claims its pictures, then has OpenAI make them, once", lease=True)
        wait = sfn.Wait.jsonata(self, "Wait for OpenAI", time=sfn.WaitTime.seconds(UNTIL_NEXT_LOOK))
        look = self._task("Look at the order", "look", comment="Has OpenAI ended it?")
        collect = self._task("Collect the pictures", "collect", comment="Streams what came into staging", lease=True)
        done = sfn.Choice.jsonata(self, "Is it done?").when(sfn.Condition.jsonata("{% $states.input.done %}"), collect).otherwise(wait)
        return place.next(wait).next(look).next(done)

    def _stored(self, steps: Steps) -> sfn.Chain:
        # A state's name stands once in a machine, and the steps of a single run have theirs.
        upload = upload_task(self, steps, name="Store the staged picture")
        upload.add_catch(no_picture(self, name="Not stored"), errors=ENDS_ONE, outputs=INPUT)
        pictures = sfn.Map.jsonata(
            self,
            "For each staged picture",
            items=sfn.ProvideItems.jsonata("{% $states.input.staged %}"),
            max_concurrency=1,
            outputs=INPUT,
        )
        pictures.item_processor(upload.next(mirror_task(self, steps.mirror, name="Mirror the staged picture")) if steps.mirror else upload)
        return pictures.next(report_task(self, steps, name="Clean up the line"))

    def _task(
        self, name: str, what: str, *, comment: str, outputs: str = "{% $states.result.Payload %}", lease: bool = False
    ) -> tasks.LambdaInvoke:
        payload = {"task": what, "of": INPUT}
        held = self._economy.timeout if lease else None
        return task(self, name, self._economy, comment=comment, payload=payload, outputs=outputs, lease=held)
