"""The state machine.

 Which action? ─┬─► Write the prompt ─► For each variation ─────────────────────────────► Clean up and report
                │                        └ Make the image ─► Store the image
                │                              └ No picture
                └─► Delete or restore

Input: a Request (functions/request.py), `{}` included. Output: a Report, a Removal or a Restoration (functions/contract.py).
Errors: the class names of functions/errors.py. What ends one picture and not its run is caught: a refusal is in the report, of the
others the last step makes the run red. Everything else stays uncaught, so that the run is red under the error's own name and
Redrive resumes at that very step.

With a mirror, For each variation is followed by For each stored image, and in it Mirror the image.

Transitions: Which action?, Write the prompt, For each variation, Clean up and report, and two for each variation; with a mirror
one more, and one for each picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from easel.contract.errors import ONE_PICTURE, ClaimHeldError, RateLimitedError, RetryableError, leaves
from easel.request.request import BY_CLEANUP, MAX_COUNT
from infra.nag import acknowledge_wildcard
from infra.data.encryption import CustomerKey
from infra.functions.function import StepFunction

# What AWS itself answers when it, not our code, failed; and how a function dies.
SERVICE_ERRORS = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "Lambda.Unknown",
    "States.Timeout",
]
# The account's functions that run at once are all busy: a new account may have ten.
THROTTLED = "Lambda.TooManyRequestsException"
CLAIM_POLL = Duration.seconds(15)
LEASES = 2  # a call is made at most twice, and each time its function can die
TASK_MARGIN = Duration.seconds(10)
RUN_TIMEOUT = Duration.hours(6)
INPUT = "{% $states.input %}"
INPUT_AND_ATTEMPT = "{% $merge([$states.input, {'attempt': 1 + $states.context.State.RetryCount}]) %}"
ATTEMPT = "{% 1 + $states.context.State.RetryCount %}"  # for the log: which try of the step this is
ENDS_ONE = [error.__name__ for error in ONE_PICTURE]
# A picture of a large batch waits for its turn as long as it takes: by 100 times it has waited for hours.
TURNS = 100
WITH_STORED = "{% $merge([$states.input, {'stored': [$states.result[status = 'stored']]}]) %}"
START = {
    "request": INPUT,
    "execution_name": "{% $states.context.Execution.Name %}",
    "started": "{% $states.context.Execution.StartTime %}",
}
# A batch's line, whose execution has no name that anybody knows, and is found by its ARN where it makes the whole run.
PART_OF_LINE = {name: f"{{% $states.input.{name} %}}" for name in ("request", "execution_name", "started")}
LINE = PART_OF_LINE | {"execution": "{% $states.context.Execution.Id %}"}


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The function behind each step."""

    prompt: StepFunction
    image: StepFunction
    upload: StepFunction
    cleanup: StepFunction
    mirror: StepFunction | None = None

    @property
    def all(self) -> tuple[StepFunction, ...]:
        """Those that there are."""
        return tuple(step for step in (self.prompt, self.image, self.upload, self.mirror, self.cleanup) if step)


@dataclass(frozen=True, kw_only=True)
class BatchSteps:
    """What a batch needs besides."""

    batch: StepFunction
    economy: StepFunction


class Workflow(Construct):
    """One Standard state machine in JSONata."""

    def __init__(
        self, scope: Construct, construct_id: str, *, steps: Steps, max_parallel_images: int, customer_key: CustomerKey | None = None
    ) -> None:
        super().__init__(scope, construct_id)
        upkeep = task(self, "Delete or restore", steps.cleanup, comment="One image or one folder, as asked for", payload=START)
        # Input that is no object goes to the prompt step, which refuses it by name.
        named = "[" + ", ".join(f'"{action}"' for action in BY_CLEANUP) + "]"
        asked = sfn.Condition.jsonata(f'{{% $type($states.input) = "object" and $states.input.action in {named} %}}')
        chain = (
            sfn.Choice.jsonata(self, "Which action?", comment="Pictures are made unless a delete or a restore is asked for")
            .when(asked, upkeep)
            .otherwise(run_chain(self, steps, payload=START, at_once=max_parallel_images))
        )
        comment = "Easel: a prompt, then each picture bought, staged, verified and stored"
        calls = steps.all
        self.state_machine = machine(self, chain, comment=comment, timeout=RUN_TIMEOUT, calls=calls, customer_key=customer_key)


def machine(
    scope: Construct,
    chain: sfn.IChainable,
    *,
    comment: str,
    timeout: Duration,
    calls: Sequence[StepFunction],
    customer_key: CustomerKey | None,
) -> sfn.StateMachine:
    """A Standard state machine in JSONata that calls these functions, traced and logged without its data."""
    log_group = logs.LogGroup(
        scope,
        "Logs",
        retention=logs.RetentionDays.THREE_MONTHS,
        removal_policy=RemovalPolicy.DESTROY,
        encryption_key=customer_key.key if customer_key else None,
    )
    made = sfn.StateMachine(
        scope,
        "StateMachine",
        definition_body=sfn.DefinitionBody.from_chainable(chain),
        query_language=sfn.QueryLanguage.JSONATA,
        comment=comment,
        timeout=timeout,
        tracing_enabled=True,
        logs=sfn.LogOptions(
            destination=log_group,
            level=sfn.LogLevel.ALL,
            # States carry topics and descriptions: those stay out of the logs.
            include_execution_data=False,
        ),
    )
    acknowledge_wildcard(made.role, "*", "X-Ray's actions for traces and those of log delivery, which AWS gives on all resources only")
    for step in calls:
        said = "Any version of this one function: the task's construct grants that, and only the function itself is called"
        acknowledge_wildcard(made.role, f"{step.function.function_arn}:*", said)
    if customer_key:
        customer_key.encrypt(made)
    return made


def run_chain(scope: Construct, steps: Steps, *, payload: dict[str, Any], at_once: int) -> sfn.Chain:
    """One run, from its request to its report; `payload` makes the first step's Start."""
    chain = prompt_task(scope, steps, payload=payload).next(_variations(scope, steps, at_once))
    if steps.mirror:
        chain = chain.next(_copies(scope, steps.mirror, at_once))
    return chain.next(report_task(scope, steps))


def prompt_task(scope: Construct, steps: Steps, *, payload: dict[str, Any], name: str = "Write the prompt") -> tasks.LambdaInvoke:
    """A run's first step."""
    comment = "Checks the whole request, then asks the chat model"
    return task(scope, name, steps.prompt, comment=comment, payload=payload, lease=steps.prompt.timeout)


def upload_task(scope: Construct, steps: Steps, *, name: str = "Store the image") -> tasks.LambdaInvoke:
    """What makes a staged picture a stored one."""
    return task(scope, name, steps.upload, comment="Verifies, copies to the final key, writes thumbnail and sidecar")


def mirror_task(scope: Construct, mirror: StepFunction, *, name: str = "Mirror the image") -> tasks.LambdaInvoke:
    """What copies a stored picture. Its failure makes the run red; Redrive goes on here, and nothing is paid again."""
    return task(scope, name, mirror, comment="Copies picture, thumbnail and sidecar to the second store")


def report_task(scope: Construct, steps: Steps, *, name: str = "Clean up and report") -> tasks.LambdaInvoke:
    """A run's last step."""
    return task(scope, name, steps.cleanup, comment="Empties staging; its output is the report")


def _variations(scope: Construct, steps: Steps, at_once: int) -> sfn.Map:
    image = task(
        scope,
        "Make the image",
        steps.image,
        comment="Claims, pays once, stages the bytes",
        lease=steps.image.timeout,
        turns=TURNS,
    )
    upload = upload_task(scope, steps)
    none = no_picture(scope)
    for caught in (image, upload):
        caught.add_catch(none, errors=ENDS_ONE, outputs=INPUT)
    variations = sfn.Map.jsonata(
        scope,
        "For each variation",
        comment="One picture each, side by side",
        items=sfn.ProvideItems.jsonata("{% $states.input.variations %}"),
        item_selector={"run_id": "{% $states.input.run_id %}", "n": "{% $states.context.Map.Item.Value %}"},
        max_concurrency=min(at_once, MAX_COUNT),
        outputs=WITH_STORED if steps.mirror else INPUT,
    )
    variations.item_processor(image.next(upload))
    return variations


def _copies(scope: Construct, mirror: StepFunction, at_once: int) -> sfn.Map:
    """After all pictures are stored: a second store that is down keeps none of them from being made."""
    copies = sfn.Map.jsonata(
        scope,
        "For each stored image",
        comment="A copy each in the second store",
        items=sfn.ProvideItems.jsonata("{% $states.input.stored %}"),
        max_concurrency=min(at_once, MAX_COUNT),
        outputs=INPUT,
    )
    copies.item_processor(mirror_task(scope, mirror))
    return copies


def no_picture(scope: Construct, *, name: str = "No picture") -> sfn.Pass:
    """Where a picture ends that is not to be had."""
    return sfn.Pass.jsonata(
        scope,
        name,
        comment="Refused, or never to be had: the others go on, and the last step tells",
        outputs={"run_id": "{% $states.input.run_id %}", "n": "{% $states.input.n %}"},
    )


def task(
    scope: Construct,
    name: str,
    step: StepFunction,
    *,
    comment: str,
    payload: dict[str, Any] | None = None,
    outputs: str = "{% $states.result.Payload %}",
    lease: Duration | None = None,
    turns: int = 6,
) -> tasks.LambdaInvoke:
    """One step as a task; `lease` where it can find a paid call claimed by another execution and has to wait that long.

    `turns` is how often it comes again when OpenAI, or the pace that all runs keep, has no turn for it.
    """
    made = tasks.LambdaInvoke.jsonata(
        scope,
        name,
        lambda_function=step.function,
        comment=comment,
        payload=sfn.TaskInput.from_object(payload | {"attempt": ATTEMPT}) if payload else sfn.TaskInput.from_text(INPUT_AND_ATTEMPT),
        outputs=outputs,
        retry_on_service_exceptions=False,
        task_timeout=sfn.Timeout.duration(step.timeout.plus(TASK_MARGIN)),
    )
    # OpenAI counts its limits by the minute, and may ask to wait for one.
    made.add_retry(
        errors=[RateLimitedError.__name__],
        interval=Duration.seconds(20),
        backoff_rate=2,
        max_attempts=turns,
        max_delay=Duration.minutes(5),
        jitter_strategy=sfn.JitterType.FULL,
    )
    passing = [error.__name__ for error in leaves(RetryableError) if error not in (ClaimHeldError, RateLimitedError)]
    made.add_retry(
        errors=passing,
        interval=Duration.seconds(2),
        backoff_rate=2,
        max_attempts=6,
        max_delay=Duration.seconds(60),
        jitter_strategy=sfn.JitterType.FULL,
    )
    made.add_retry(
        errors=[THROTTLED],
        interval=Duration.seconds(3),
        backoff_rate=1.5,
        max_attempts=20,
        max_delay=Duration.minutes(1),
        jitter_strategy=sfn.JitterType.FULL,
    )
    made.add_retry(
        errors=SERVICE_ERRORS,
        interval=Duration.seconds(2),
        backoff_rate=2,
        max_attempts=2,
        max_delay=Duration.seconds(20),
        jitter_strategy=sfn.JitterType.FULL,
    )
    if lease:
        polls = LEASES * ceil(lease.to_seconds() / CLAIM_POLL.to_seconds()) + 2
        made.add_retry(errors=[ClaimHeldError.__name__], interval=CLAIM_POLL, backoff_rate=1, max_attempts=polls)
    return made
