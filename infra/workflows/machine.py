"""Builds both machines and their tasks.

A machine is of type Standard, uses JSONata, is traced, and is logged without its data. A task is
one state that calls one function, with the retries of that call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from easel.contract import settings
from easel.contract.errors import ClaimHeldError, RateLimitedError, RetryableError, leaves
from easel.contract.states import State
from infra.access.encryption import Encryption
from infra.access.grants import Resource
from infra.functions.function import DeployedFunction, vended_logs
from infra.nag import acknowledge_wildcard

# These are the errors of AWS, as opposed to our code, and of a function that dies.
SERVICE_ERRORS = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "Lambda.Unknown",
    "States.Timeout",
]
# The account limits how many functions run at the same time. The limit of a new account may be ten.
THROTTLED = "Lambda.TooManyRequestsException"
THROTTLED_RETRIES = 60  # about half an hour
CLAIM_POLL = Duration.seconds(15)
# A retry costs a transition, and a long wait leaves slots unused: `python -m bench.pace` simulates
# both. The first waits are short, so that an image finds the next free slot. Full jitter makes the
# mean wait half of these.
RATE_LIMIT_INTERVAL, RATE_LIMIT_BACKOFF = Duration.seconds(5), 1.5
RATE_LIMIT_LONGEST = Duration.minutes(1)
LEASES = 2  # a call is made at most twice, and each attempt's function may die
TASK_MARGIN = Duration.seconds(10)
INPUT = "{% $states.input %}"
RESULT = "{% $states.result.Payload %}"
INPUT_AND_ATTEMPT = (
    "{% $merge([$states.input, {'attempt': 1 + $states.context.State.RetryCount}]) %}"
)
ATTEMPT = "{% 1 + $states.context.State.RetryCount %}"  # this attempt's number, for the log
# The execution of a batch's line has a random name. An execution that makes the whole run passes
# its ARN on, so that it can be found.
PART_OF_LINE = {
    name: f"{{% $states.input.{name} %}}" for name in ("request", "execution_name", "started")
}
LINE = PART_OF_LINE | {"execution": "{% $states.context.Execution.Id %}"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """A state's call of its function. Without a payload the state passes its own input on.

    Set `claims` if another execution may have claimed the paid call: the state then waits for it.
    `rate_limit_retries` is the number of retries after a rate limit, of OpenAI or Easel.
    """

    function: DeployedFunction
    comment: str
    payload: dict[str, Any] | None = None
    outputs: str = RESULT
    claims: bool = False
    rate_limit_retries: int = 20


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The definition of a machine, and the functions that it calls."""

    comment: str
    chain: sfn.IChainable
    timeout: Duration
    calls: Sequence[DeployedFunction]


@dataclass(frozen=True)
class Machines:
    """Both machines of the stack."""

    runs: sfn.StateMachine
    batches: sfn.StateMachine

    def arns(self) -> dict[Resource, str]:
        """Return the ARNs that grants name: the machines, their executions and their map runs."""
        runs, batches = self.runs.state_machine_arn, self.batches.state_machine_arn
        return {
            Resource.RUNS: runs,
            Resource.BATCHES: batches,
            Resource.RUN_EXECUTIONS: _related_arn(runs, ":execution:"),
            Resource.BATCH_EXECUTIONS: _related_arn(batches, ":execution:"),
            Resource.MAP_RUNS: _related_arn(batches, ":mapRun:"),
        }

    def by_name(self) -> dict[str, sfn.StateMachine]:
        """Return the machines by their names in alarms and dashboard."""
        return {"Run": self.runs, "Batch": self.batches}

    def add_outputs(self, stack: Stack) -> None:
        """Add the stack outputs with the machines' addresses, for people and programs."""
        runs, batches = self.runs.state_machine_arn, self.batches.state_machine_arn
        console = f"https://{Aws.REGION}.console.aws.amazon.com/states/home?region={Aws.REGION}"
        for name, value, about in (
            ("StateMachineArn", runs, "Start an execution with {} or a request"),
            (
                "BatchStateMachineArn",
                batches,
                "Start an execution with a manifest in the bucket",
            ),
            (
                "StartHere",
                f"{console}#/statemachines/view/{runs}",
                "The state machine in the console",
            ),
        ):
            CfnOutput(stack, name, value=value, description=about)

    def variables(self) -> dict[str, str]:
        """Return the settings with the machines' ARNs, for the functions."""
        return {
            settings.STATE_MACHINE: self.runs.state_machine_arn,
            settings.BATCH_STATE_MACHINE: self.batches.state_machine_arn,
        }


def make_machine(
    scope: Construct, definition: Definition, encryption: Encryption
) -> sfn.StateMachine:
    """Return a new machine in this construct."""
    log_group = logs.LogGroup(
        scope,
        "Logs",
        log_group_name=f"{vended_logs('states', Stack.of(scope))}/{scope.node.id}",
        retention=logs.RetentionDays.THREE_MONTHS,
        removal_policy=RemovalPolicy.DESTROY,
        encryption_key=encryption.key,
    )
    machine = sfn.StateMachine(
        scope,
        "StateMachine",
        definition_body=sfn.DefinitionBody.from_chainable(definition.chain),
        query_language=sfn.QueryLanguage.JSONATA,
        comment=definition.comment,
        timeout=definition.timeout,
        tracing_enabled=True,
        logs=sfn.LogOptions(
            destination=log_group,
            level=sfn.LogLevel.ALL,
            # States contain topics and descriptions, which must not be logged.
            include_execution_data=False,
        ),
    )
    on_all = "X-Ray's and log delivery's actions, which AWS can grant only on all resources"
    acknowledge_wildcard(machine.role, "*", on_all)
    for step in definition.calls:
        acknowledge_wildcard(
            machine.role,
            f"{step.function.function_arn}:*",
            "Any version of this function: the task's construct grants this, but calls no version",
        )
    encryption.encrypt(machine)
    return machine


def task(scope: Construct, name: State, call: Call) -> tasks.LambdaInvoke:
    """Return the state that makes a call."""
    timeout = call.function.timeout
    state = tasks.LambdaInvoke.jsonata(
        scope,
        name,
        lambda_function=call.function.function,
        comment=call.comment,
        payload=(
            sfn.TaskInput.from_object(call.payload | {"attempt": ATTEMPT})
            if call.payload
            else sfn.TaskInput.from_text(INPUT_AND_ATTEMPT)
        ),
        outputs=call.outputs,
        retry_on_service_exceptions=False,
        task_timeout=sfn.Timeout.duration(timeout.plus(TASK_MARGIN)),
    )
    _add_retries(state, rate_limit_retries=call.rate_limit_retries)
    if call.claims:
        polls = LEASES * ceil(timeout.to_seconds() / CLAIM_POLL.to_seconds()) + 2
        held = [ClaimHeldError.__name__]
        state.add_retry(errors=held, interval=CLAIM_POLL, backoff_rate=1, max_attempts=polls)
    return state


def _add_retries(state: tasks.LambdaInvoke, *, rate_limit_retries: int) -> None:
    state.add_retry(
        errors=[RateLimitedError.__name__],
        interval=RATE_LIMIT_INTERVAL,
        backoff_rate=RATE_LIMIT_BACKOFF,
        max_attempts=rate_limit_retries,
        max_delay=RATE_LIMIT_LONGEST,
        jitter_strategy=sfn.JitterType.FULL,
    )
    other_errors = (ClaimHeldError, RateLimitedError)
    transient = [error for error in leaves(RetryableError) if error not in other_errors]
    state.add_retry(
        errors=[error.__name__ for error in transient],
        interval=Duration.seconds(2),
        backoff_rate=2,
        max_attempts=8,  # about two minutes: OpenAI may ask for one
        max_delay=Duration.seconds(60),
        jitter_strategy=sfn.JitterType.FULL,
    )
    state.add_retry(
        errors=[THROTTLED],
        interval=Duration.seconds(3),
        backoff_rate=1.5,
        max_attempts=THROTTLED_RETRIES,
        max_delay=Duration.minutes(1),
        jitter_strategy=sfn.JitterType.FULL,
    )
    state.add_retry(
        errors=SERVICE_ERRORS,
        interval=Duration.seconds(2),
        backoff_rate=2,
        max_attempts=2,
        max_delay=Duration.seconds(20),
        jitter_strategy=sfn.JitterType.FULL,
    )


def _related_arn(arn: str, kind: str) -> str:
    """Return an ARN that contains a machine's name, such as an execution's."""
    return Fn.join(kind, Fn.split(":stateMachine:", arn, 2))
