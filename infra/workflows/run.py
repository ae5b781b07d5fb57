"""The machine of runs.

 Which action? ─┬─► Write the prompt ─► For each variation ─────────────────► Clean up and report
                │                        └ Make the image ─► Store the image
                │                              └ No image
                └─► Delete, restore or share

Input: a request (easel/request/request.py), `{}` included. Output: a Report, a Removal, a
Restoration, Sharing, Relocation or Several (easel/contract/messages.py).

Errors are the class names of easel/contract/errors.py. An error that ends one image and not its run
is caught: a refusal is in the report, and any other makes the last step fail the run. All other
errors are not caught. The run then fails with the error's own name, and Redrive resumes at the step
that failed.

With a mirror, For each variation is followed by For each stored image, and in it Mirror the image.

Transitions: Which action?, Write the prompt, For each variation, Clean up and report, and two for
each variation; with a mirror one more, and one for each image.
"""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from easel.contract.errors import ENDS_ONE_IMAGE
from easel.contract.states import State
from easel.request.actions import BY_CLEANUP
from easel.request.request import MAX_COUNT
from infra.functions.catalogue import CLEANUP, IMAGE, MIRRORING, PROMPT, UPLOAD, FunctionSpec
from infra.functions.function import DeployedFunction, Functions
from infra.workflows.machine import INPUT, Call, Definition, make_machine, task

RUN_TIMEOUT = Duration.hours(6)
STEPS: tuple[FunctionSpec, ...] = (PROMPT, IMAGE, UPLOAD, MIRRORING, CLEANUP)
# An image may wait for a slot behind large batches. The mean wait before a retry is half a minute,
# so these are two and a half hours. An execution's history has room for 25,000 events, and each of
# ten images adds three with each retry.
RATE_LIMIT_RETRIES = 300
WITH_STORED = "{% $merge([$states.input, {'stored': [$states.result[status = 'stored']]}]) %}"
START = {
    "request": INPUT,
    "execution_name": "{% $states.context.Execution.Name %}",
    "started": "{% $states.context.Execution.StartTime %}",
}


class RunWorkflow(Construct):
    """A Standard state machine in JSONata."""

    def __init__(
        self, scope: Construct, construct_id: str, *, functions: Functions, at_once: int
    ) -> None:
        super().__init__(scope, construct_id)
        upkeep = Call(
            function=functions[CLEANUP],
            comment="One image or one folder, as requested",
            payload=START,
        )
        # Input that is not an object goes to the prompt step, whose error names the problem.
        actions = ", ".join(f'"{action}"' for action in BY_CLEANUP)
        by_cleanup = sfn.Condition.jsonata(
            f'{{% $type($states.input) = "object" and $states.input.action in [{actions}] %}}'
        )
        comment = "Images are made unless the request names an image or a folder to change"
        chain = (
            sfn.Choice.jsonata(self, State.CHOOSE_ACTION, comment=comment)
            .when(by_cleanup, task(self, State.UPKEEP, upkeep))
            .otherwise(run_chain(self, functions, payload=START, at_once=at_once))
        )
        definition = Definition(
            comment="Easel: a prompt, then each image bought, staged, verified and stored",
            chain=chain,
            timeout=RUN_TIMEOUT,
            calls=[functions[spec] for spec in STEPS if spec in functions],
        )
        self.state_machine = make_machine(self, definition, functions.deployment.encryption)


def run_chain(
    scope: Construct, functions: Functions, *, payload: dict[str, Any], at_once: int
) -> sfn.Chain:
    """Return the states of one run. `payload` is the StartRun of the first step."""
    prompt = prompt_task(scope, State.WRITE_PROMPT, functions, payload=payload)
    report = report_task(scope, State.REPORT, functions)
    chain = prompt.next(_variations(scope, functions, at_once))
    if MIRRORING in functions:
        chain = chain.next(_copies(scope, functions[MIRRORING], at_once))
    return chain.next(report)


def prompt_task(
    scope: Construct, name: State, functions: Functions, *, payload: dict[str, Any]
) -> tasks.LambdaInvoke:
    """Return a run's first step."""
    comment = "Checks the whole request, then asks the chat model"
    call = Call(function=functions[PROMPT], comment=comment, payload=payload, claims=True)
    return task(scope, name, call)


def upload_task(scope: Construct, name: State, functions: Functions) -> tasks.LambdaInvoke:
    """Return the step that stores a staged image."""
    comment = "Verifies, copies to the final key, writes thumbnail and sidecar"
    return task(scope, name, Call(function=functions[UPLOAD], comment=comment))


def mirror_task(scope: Construct, name: State, mirror: DeployedFunction) -> tasks.LambdaInvoke:
    """Return the step that copies a stored image to the second store.

    If it fails, the run fails. Redrive resumes here, and nothing is paid again.
    """
    comment = "Copies image, thumbnail and sidecar to the second store"
    return task(scope, name, Call(function=mirror, comment=comment))


def report_task(scope: Construct, name: State, functions: Functions) -> tasks.LambdaInvoke:
    """Return a run's last step."""
    comment = "Empties staging; its output is the report"
    return task(scope, name, Call(function=functions[CLEANUP], comment=comment))


def no_picture(scope: Construct, name: State) -> sfn.Pass:
    """Return the final state of an image that cannot be made."""
    return sfn.Pass.jsonata(
        scope,
        name,
        comment="Refused or unusable: the other images continue, and the last step reports it",
        outputs={"run_id": "{% $states.input.run_id %}", "n": "{% $states.input.n %}"},
    )


def _variations(scope: Construct, functions: Functions, at_once: int) -> sfn.Map:
    buy = Call(
        function=functions[IMAGE],
        comment="Claims, pays once, stages the bytes",
        claims=True,
        rate_limit_retries=RATE_LIMIT_RETRIES,
    )
    image = task(scope, State.MAKE_IMAGE, buy)
    upload = upload_task(scope, State.STORE_IMAGE, functions)
    none = no_picture(scope, State.NO_PICTURE)
    for step in (image, upload):
        step.add_catch(none, errors=list(ENDS_ONE_IMAGE), outputs=INPUT)
    variations = sfn.Map.jsonata(
        scope,
        State.EACH_VARIATION,
        comment="One image each, in parallel",
        items=sfn.ProvideItems.jsonata("{% $states.input.variations %}"),
        item_selector={
            "run_id": "{% $states.input.run_id %}",
            "n": "{% $states.context.Map.Item.Value %}",
        },
        max_concurrency=min(at_once, MAX_COUNT),
        outputs=WITH_STORED if MIRRORING in functions else INPUT,
    )
    variations.item_processor(image.next(upload))
    return variations


def _copies(scope: Construct, mirror: DeployedFunction, at_once: int) -> sfn.Map:
    """Return the Map that mirrors images. It runs last, so a broken mirror blocks no image."""
    copies = sfn.Map.jsonata(
        scope,
        State.EACH_STORED,
        comment="One copy each in the second store",
        items=sfn.ProvideItems.jsonata("{% $states.input.stored %}"),
        max_concurrency=min(at_once, MAX_COUNT),
        outputs=INPUT,
    )
    copies.item_processor(mirror_task(scope, State.MIRROR_IMAGE, mirror))
    return copies
