"""The dashboard: is it working, what does it cost, what is slow; and below, in words, what failed and why."""

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract import metric_names
from infra.operations.alarms import easel
from infra.functions.function import StepFunction

WIDTH, HEIGHT = 24, 6
HOUR = Duration.hours(1)
PICTURES = (metric_names.STORED, metric_names.REFUSED, metric_names.LOST, metric_names.BATCH_LINES_FAILED)
# The first thing to look at when an alarm rings: the newest failures with their run, their class, their words and OpenAI's request id.
FAILURES = (
    "fields @timestamp, level, step, run_id, n, attempt, error, message, openai_request_id, possibly_paid, @message",
    # Our own lines, and what Lambda says of a function that died.
    'filter @message like /"error":|possibly paid|picture is lost|Task timed out|Runtime exited/',
    "sort @timestamp desc",
    "limit 50",
)
PAID_CALLS = (
    "fields @timestamp, step, run_id, n, attempt, ms, usd, model, openai_request_id",
    'filter @message like /"usd":/',
    "sort @timestamp desc",
    "limit 50",
)


class Dashboard(Construct):
    """One dashboard, Easel-{region}."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alarms: Sequence[cloudwatch.IAlarm],
        machines: Mapping[str, sfn.IStateMachine],
        steps: Mapping[str, StepFunction],
        api_id: str,
    ) -> None:
        super().__init__(scope, construct_id)
        groups = [step.log_group.log_group_name for step in steps.values()]
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            # With the region in it: dashboards are the account's, whatever region they are made in.
            dashboard_name=f"Easel-{Aws.REGION}",
            default_interval=Duration.days(1),
            widgets=[
                [_heading("Is it working?")],
                [cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=WIDTH, height=3)],
                [
                    _graph("Runs", [m for name, machine in machines.items() for m in _ends(name, machine)]),
                    _graph("Pictures, and lines of batches that failed", [easel(name, period=HOUR) for name in PICTURES]),
                    _graph("Calls of a step that failed (most are tried again)", _failures(steps)),
                ],
                [_heading("What does it cost?")],
                [
                    _graph("Dollars spent", [easel(metric_names.SPEND_USD, period=HOUR)]),
                    _graph("Budget reserved or spent, %", [easel(metric_names.BUDGET_USED_PERCENT, statistic="Maximum", period=HOUR)]),
                    _graph(
                        "What nobody knows for sure",
                        [easel(name, period=HOUR) for name in (metric_names.POSSIBLY_PAID, metric_names.COST_UNKNOWN, metric_names.BUDGET_REFUSED)],
                    ),
                ],
                [_heading("What is slow?")],
                [
                    _graph("A step's call, half of them end within", [_duration(name, step, "p50") for name, step in steps.items()]),
                    _graph("A step's call, 95 % end within", [_duration(name, step, "p95") for name, step in steps.items()]),
                    _graph("Held up", [easel(metric_names.RATE_LIMITED, period=HOUR), *_throttled(steps)], right=[_latency(api_id)]),
                ],
                [_heading("What failed, and why")],
                [_query("Failures", FAILURES, groups)],
                [_query("Paid calls", PAID_CALLS, groups)],
            ],
        )


def _heading(says: str) -> cloudwatch.TextWidget:
    return cloudwatch.TextWidget(markdown=f"## {says}", width=WIDTH, height=1)


def _query(title: str, lines: Sequence[str], groups: Sequence[str]) -> cloudwatch.LogQueryWidget:
    return cloudwatch.LogQueryWidget(title=title, log_group_names=list(groups), query_lines=list(lines), width=WIDTH, height=8)


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric], right: Sequence[cloudwatch.IMetric] = ()) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), right=list(right), width=WIDTH // 3, height=HEIGHT)


def _ends(name: str, machine: sfn.IStateMachine) -> list[cloudwatch.IMetric]:
    return [
        machine.metric_succeeded(label=f"{name}: succeeded", period=HOUR),
        machine.metric_failed(label=f"{name}: failed", period=HOUR),
        machine.metric_timed_out(label=f"{name}: out of time", period=HOUR),
    ]


def _failures(steps: Mapping[str, StepFunction]) -> list[cloudwatch.IMetric]:
    # Our own count has what the API answered with 5xx, too.
    return [easel(metric_names.FAILED, period=HOUR), *(step.function.metric_errors(label=name, period=HOUR) for name, step in steps.items())]


def _duration(name: str, step: StepFunction, statistic: str) -> cloudwatch.IMetric:
    return step.function.metric_duration(label=name, period=HOUR, statistic=statistic)


def _latency(api_id: str) -> cloudwatch.IMetric:
    where = {"ApiId": api_id}
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway", metric_name="Latency", dimensions_map=where, period=HOUR, statistic="p95", label="API, 95 % within, ms"
    )


def _throttled(steps: Mapping[str, StepFunction]) -> list[cloudwatch.IMetric]:
    return [step.function.metric_throttles(label=f"{name}: no Lambda free", period=HOUR) for name, step in steps.items()]
