"""The dashboard: is it working, what does it cost, what is slow, and what failed and why."""

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract import metric_names
from infra.functions.function import DeployedFunction
from infra.operations.alarms import WatchedResources, easel

WIDTH, HEIGHT = 24, 6
HOUR = Duration.hours(1)
PICTURES = (
    metric_names.STORED,
    metric_names.REFUSED,
    metric_names.LOST,
    metric_names.BATCH_LINES_FAILED,
)
UNCERTAIN = (metric_names.POSSIBLY_PAID, metric_names.COST_UNKNOWN, metric_names.BUDGET_REFUSED)
# Look here first after an alarm: these are the newest failures with their run, class, message and
# OpenAI's request id.
FAILURES = (
    "fields @timestamp, level, step, run_id, n, attempt, error, message, openai_request_id, "
    "possibly_paid, @message",
    # This matches our own lines, and the lines that Lambda logs for a function that died.
    'filter @message like /"error":|possibly paid|image is lost|Task timed out|Runtime exited/',
    "sort @timestamp desc",
    "limit 50",
)
PAID_CALLS = (
    "fields @timestamp, step, run_id, n, attempt, ms, usd, model, openai_request_id",
    'filter @message like /"usd":/',
    "sort @timestamp desc",
    "limit 50",
)
Widgets = list[cloudwatch.IWidget]


class Dashboard(Construct):
    """One dashboard, Easel-{region}."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        resources: WatchedResources,
        alarms: Sequence[cloudwatch.IAlarm],
    ) -> None:
        super().__init__(scope, construct_id)
        console = f"https://{Aws.REGION}.console.aws.amazon.com/cloudwatch/home"
        name = f"#dashboards/dashboard/Easel-{Aws.REGION}"
        about = "Is it working, what does it cost, what is slow"
        url = f"{console}?region={Aws.REGION}{name}"
        CfnOutput(Stack.of(self), "DashboardHere", value=url, description=about)
        steps = resources.functions.by_name()
        groups = [step.log_group.log_group_name for step in steps.values()]
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            # The name contains the region, because dashboards belong to the account and not to a
            # region.
            dashboard_name=f"Easel-{Aws.REGION}",
            default_interval=Duration.days(1),
            widgets=[
                [_heading("Is it working?")],
                [_alarms(alarms)],
                _health_graphs(resources),
                [_heading("What does it cost?")],
                _cost_graphs(),
                [_heading("What is slow?")],
                _latency_graphs(resources),
                [_heading("What failed, and why")],
                [_query("Failures", FAILURES, groups)],
                [_query("Paid calls", PAID_CALLS, groups)],
            ],
        )


def _health_graphs(resources: WatchedResources) -> Widgets:
    ends = [
        end
        for name, machine in resources.machines.by_name().items()
        for end in _ends(name, machine)
    ]
    return [
        _graph("Runs", ends),
        _graph(
            "Images, and failed lines of batches",
            [easel(name, period=HOUR) for name in PICTURES],
        ),
        _graph(
            "Failed calls by step (most are retried)",
            _failures(resources.functions.by_name()),
        ),
    ]


def _cost_graphs() -> Widgets:
    used = easel(metric_names.BUDGET_USED_PERCENT, statistic="Maximum", period=HOUR)
    return [
        _graph("Dollars spent", [easel(metric_names.SPEND_USD, period=HOUR)]),
        _graph("Budget reserved or spent, %", [used]),
        _graph("Unknown outcomes", [easel(name, period=HOUR) for name in UNCERTAIN]),
    ]


def _latency_graphs(resources: WatchedResources) -> Widgets:
    steps = resources.functions.by_name()
    delays = [easel(metric_names.RATE_LIMITED, period=HOUR), *_throttles(steps)]
    return [
        _graph("Duration of a step, median", _durations(steps, "p50")),
        _graph("Duration of a step, 95 %", _durations(steps, "p95")),
        _graph("Held up", delays, right=[_latency(resources.api_id)]),
    ]


def _alarms(alarms: Sequence[cloudwatch.IAlarm]) -> cloudwatch.IWidget:
    return cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=WIDTH, height=3)


def _heading(text: str) -> cloudwatch.TextWidget:
    return cloudwatch.TextWidget(markdown=f"## {text}", width=WIDTH, height=1)


def _query(title: str, lines: Sequence[str], groups: Sequence[str]) -> cloudwatch.LogQueryWidget:
    return cloudwatch.LogQueryWidget(
        title=title, log_group_names=list(groups), query_lines=list(lines), width=WIDTH, height=8
    )


def _graph(
    title: str, metrics: Sequence[cloudwatch.IMetric], right: Sequence[cloudwatch.IMetric] = ()
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title, left=list(metrics), right=list(right), width=WIDTH // 3, height=HEIGHT
    )


def _ends(name: str, machine: sfn.IStateMachine) -> list[cloudwatch.IMetric]:
    return [
        machine.metric_succeeded(label=f"{name}: succeeded", period=HOUR),
        machine.metric_failed(label=f"{name}: failed", period=HOUR),
        machine.metric_timed_out(label=f"{name}: timed out", period=HOUR),
    ]


def _failures(steps: Mapping[str, DeployedFunction]) -> list[cloudwatch.IMetric]:
    # Our own count includes responses of the API with status 5xx.
    failed: list[cloudwatch.IMetric] = [easel(metric_names.FAILED, period=HOUR)]
    for name, step in steps.items():
        failed.append(step.function.metric_errors(label=name, period=HOUR))
    return failed


def _durations(steps: Mapping[str, DeployedFunction], statistic: str) -> list[cloudwatch.IMetric]:
    return [
        step.function.metric_duration(label=name, period=HOUR, statistic=statistic)
        for name, step in steps.items()
    ]


def _latency(api_id: str) -> cloudwatch.IMetric:
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway",
        metric_name="Latency",
        dimensions_map={"ApiId": api_id},
        period=HOUR,
        statistic="p95",
        label="API, 95 %, ms",
    )


def _throttles(steps: Mapping[str, DeployedFunction]) -> list[cloudwatch.IMetric]:
    return [
        step.function.metric_throttles(label=f"{name}: throttled", period=HOUR)
        for name, step in steps.items()
    ]
