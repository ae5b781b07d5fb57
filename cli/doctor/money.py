"""Checks of what is paid: the OpenAI key, the models, the budget, and one dry run."""

import time
from datetime import UTC, date, datetime, timedelta
from secrets import token_hex

from cli.doctor.deployment import Deployment
from cli.doctor.finding import Finding, ok, problem, warning, worst
from cli.doctor.stack import IDENTITY, KEY
from cli.runs import failure_message
from easel.aws.table import Table
from easel.contract import settings
from easel.contract.money import micro_dollars, show
from easel.contract.states import ExecutionStatus
from easel.ledger.budget import Budget, month_of
from easel.request import models
from easel.runs.executions import Executions

SOON = timedelta(days=30)
NEARLY_USED_PERCENT = 80
DRY_RUN_SECONDS = 90
POLL_SECONDS = 0.25


def openai_key(deployment: Deployment) -> Finding:
    """Check that the secret has a value, without reading it."""
    identity = deployment.outputs.get(IDENTITY)
    if identity:
        return ok(f"none is needed: the functions sign in as the service account of {identity}")
    secret = deployment.output(KEY)
    about = deployment.client("secretsmanager").describe_secret(SecretId=secret)
    if about.get("DeletedDate"):
        restore = deployment.aws(f"secretsmanager restore-secret --secret-id {secret}")
        return problem("the secret is marked for deletion", restore)
    stages = [stage for all_of in about.get("VersionIdsToStages", {}).values() for stage in all_of]
    if "AWSCURRENT" not in stages:
        return problem("the secret has no value", f"make secret TARGET={deployment.target}")
    return ok("the secret has a value (not read); only a paid call shows whether it is valid")


def used_models(deployment: Deployment) -> Finding:
    """Check that both models have a known price and are not shut down soon."""
    variables, today = deployment.variables("prompt"), datetime.now(UTC).date()
    names = {"chat": variables[settings.CHAT_MODEL], "image": variables[settings.IMAGE_MODEL]}
    may_be_unpriced = variables[settings.UNPRICED_MODELS] == "allow"
    known = models.known_models()
    findings = [ok(f"{names['chat']} and {names['image']}, with known prices")]
    for kind, name in names.items():
        findings += _ending(kind, name, today, deployment)
        if name not in known[kind]:
            effect = "the cap does not cover it" if may_be_unpriced else "its runs are refused"
            report = warning if may_be_unpriced else problem
            fix = f"deploy with another {kind}_model: easel/request/models.toml lists them"
            findings.append(report(f"{name} has no known price, so {effect}", fix))
    return worst(findings)


def month_budget(deployment: Deployment) -> Finding:
    """Check that the month's budget has money left."""
    table = Table(deployment.client("dynamodb"), name=deployment.output("Table"))
    setting = micro_dollars(float(deployment.output("MonthlyBudgetUsd")))
    state = Budget(table, setting=setting).peek(month_of(datetime.now(UTC)))
    more = f"make budget USD=… TARGET={deployment.target}"
    if state.cap == 0:
        return problem("the cap is 0, which stops all spending", more)
    seen = f"{show(state.left)} left of {show(state.cap)} in {state.month}"
    if state.used_percent(0) >= NEARLY_USED_PERCENT:
        return warning(seen, more)
    return ok(seen)


def dry_run(deployment: Deployment) -> Finding:
    """Start a run that pays nothing, and wait for its estimate."""
    machine = deployment.output("StateMachineArn")
    executions = Executions(deployment.client("stepfunctions"), machine=machine)
    name = f"doctor-{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(2)}"
    executions.start({"dry_run": True}, name=name)
    execution = executions.wait_until_visible(name)
    deadline = time.monotonic() + DRY_RUN_SECONDS
    while execution.status == ExecutionStatus.RUNNING and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        execution = executions.get(name) or execution
    if execution.status == ExecutionStatus.RUNNING:
        seen = f"{name} is still running after {DRY_RUN_SECONDS} s"
        return problem(seen, f"make report RUN={name} TARGET={deployment.target}")
    if execution.output is None:
        seen = f"{name}: {failure_message(execution)}"
        return problem(seen, "docs/operations.md#runfailed")
    usd = execution.output["estimate_usd"]
    estimate = "unknown" if usd is None else show(micro_dollars(usd))
    return ok(f"{name} succeeded; the run would cost up to {estimate}")


def _ending(kind: str, name: str, today: date, deployment: Deployment) -> list[Finding]:
    """Return the finding of a model that ends soon, or nothing."""
    end = models.shutdown(name)
    if end is None or end[0] > today + SOON:
        return []
    day, successor = end
    deploy = deployment.deploy(f"{kind}_model={successor}")
    if day <= today:
        return [problem(f"{name} was shut down on {day}, so its runs are refused", deploy)]
    return [warning(f"{name} shuts down on {day}", deploy)]
