"""The state machine.

 Which action? ─┬─► Write the prompt ─► For each variation ─────────────────────────────► Clean up and report
                │                        └ Make the image ─► Store the image
                │                              └ No picture
                └─► Delete or restore

Input: a Request (functions/request.py), `{}` included. Output: a Report, a Removal or a Restoration (functions/contract.py).
Errors: the class names of functions/errors.py. What ends one picture and not its run is caught: a refusal is in the report, of the
others the last step makes the run red. Everything else stays uncaught, so that the run is red under the error's own name and
Redrive resumes at that very step.

Transitions: Which action?, Write the prompt, For each variation, Clean up and report, and two for each variation.
"""

from dataclasses import dataclass
from math import ceil

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.errors import ONE_PICTURE, ClaimHeldError, RateLimitedError, RetryableError, leaves
from functions.request import BY_CLEANUP
from infra.function import StepFunction

# What AWS itself answers when it, not our code, failed; and how a function dies.
SERVICE_ERRORS = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "Lambda.Unknown",
    "States.Timeout",
]
CLAIM_POLL = Duration.seconds(15)
LEASES = 2  # a call is made at most twice, and each time its function can die
TASK_MARGIN = Duration.seconds(10)
RUN_TIMEOUT = Duration.hours(6)
INPUT = "{% $states.input %}"


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The function behind each step."""

    prompt: StepFunction
    image: StepFunction
    upload: StepFunction
    cleanup: StepFunction


class Workflow(Construct):
    """One Standard state machine in JSONata."""

    def __init__(self, scope: Construct, construct_id: str, *, steps: Steps, max_parallel_images: int) -> None:
        super().__init__(scope, construct_id)
        start = {
            "request": INPUT,
            "execution_name": "{% $states.context.Execution.Name %}",
            "started": "{% $states.context.Execution.StartTime %}",
        }
        prompt = _task(
            self,
            "Write the prompt",
            steps.prompt,
            comment="Checks the whole request, then asks the chat model",
            payload=start,
            lease=steps.prompt.timeout,
        )
        report = _task(self, "Clean up and report", steps.cleanup, comment="Empties staging; its output is the report")
        upkeep = _task(self, "Delete or restore", steps.cleanup, comment="One image or one folder, as asked for", payload=start)
        # Input that is no object goes to the prompt step, which refuses it by name.
        named = "[" + ", ".join(f'"{action}"' for action in BY_CLEANUP) + "]"
        asked = sfn.Condition.jsonata(f'{{% $type($states.input) = "object" and $states.input.action in {named} %}}')
        chain = (
            sfn.Choice.jsonata(self, "Which action?", comment="Pictures are made unless a delete or a restore is asked for")
            .when(asked, upkeep)
            .otherwise(prompt.next(_variations(self, steps, max_parallel_images)).next(report))
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_chainable(chain),
            query_language=sfn.QueryLanguage.JSONATA,
            comment="Easel: a prompt, then each picture bought, staged, verified and stored",
            timeout=RUN_TIMEOUT,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=logs.LogGroup(self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY),
                level=sfn.LogLevel.ALL,
                # States carry topics and descriptions: those stay out of the logs.
                include_execution_data=False,
            ),
        )


def _variations(scope: Construct, steps: Steps, max_parallel_images: int) -> sfn.Map:
    image = _task(scope, "Make the image", steps.image, comment="Claims, pays once, stages the bytes", lease=steps.image.timeout)
    upload = _task(scope, "Store the image", steps.upload, comment="Verifies, copies to the final key, writes thumbnail and sidecar")
    none = sfn.Pass.jsonata(
        scope,
        "No picture",
        comment="Refused, or never to be had: the others go on, and the last step tells",
        outputs={"run_id": "{% $states.input.run_id %}", "n": "{% $states.input.n %}"},
    )
    for task in (image, upload):
        task.add_catch(none, errors=[error.__name__ for error in ONE_PICTURE], outputs=INPUT)
    variations = sfn.Map.jsonata(
        scope,
        "For each variation",
        comment="One picture each, side by side",
        items=sfn.ProvideItems.jsonata("{% $states.input.variations %}"),
        item_selector={"run_id": "{% $states.input.run_id %}", "n": "{% $states.context.Map.Item.Value %}"},
        max_concurrency=max_parallel_images,
        outputs=INPUT,
    )
    variations.item_processor(image.next(upload))
    return variations


def _task(
    scope: Construct,
    name: str,
    step: StepFunction,
    *,
    comment: str,
    payload: dict[str, str] | None = None,
    lease: Duration | None = None,
) -> tasks.LambdaInvoke:
    """One step as a task; `lease` where it can find a paid call claimed by another execution and has to wait that long."""
    task = tasks.LambdaInvoke.jsonata(
        scope,
        name,
        lambda_function=step.function,
        comment=comment,
        payload=sfn.TaskInput.from_object(payload) if payload else sfn.TaskInput.from_text(INPUT),
        outputs="{% $states.result.Payload %}",
        retry_on_service_exceptions=False,
        task_timeout=sfn.Timeout.duration(step.timeout.plus(TASK_MARGIN)),
    )
    # OpenAI counts its limits by the minute, and may ask to wait for one.
    task.add_retry(
        errors=[RateLimitedError.__name__],
        interval=Duration.seconds(20),
        backoff_rate=2,
        max_attempts=6,
        max_delay=Duration.minutes(5),
        jitter_strategy=sfn.JitterType.FULL,
    )
    passing = [error.__name__ for error in leaves(RetryableError) if error not in (ClaimHeldError, RateLimitedError)]
    task.add_retry(
        errors=passing,
        interval=Duration.seconds(2),
        backoff_rate=2,
        max_attempts=6,
        max_delay=Duration.seconds(60),
        jitter_strategy=sfn.JitterType.FULL,
    )
    task.add_retry(
        errors=SERVICE_ERRORS,
        interval=Duration.seconds(2),
        backoff_rate=2,
        max_attempts=2,
        max_delay=Duration.seconds(20),
        jitter_strategy=sfn.JitterType.FULL,
    )
    if lease:
        polls = LEASES * ceil(lease.to_seconds() / CLAIM_POLL.to_seconds()) + 2
        task.add_retry(errors=[ClaimHeldError.__name__], interval=CLAIM_POLL, backoff_rate=1, max_attempts=polls)
    return task
