"""Checks of the stack itself: its status, its outputs, its version, its functions."""

import tomllib
from collections import Counter
from typing import Any

from cli.doctor.deployment import Deployment, NoStackError
from cli.doctor.finding import Finding, ok, problem, warning
from cli.target import ROOT, STACK

ALWAYS = frozenset(
    {
        *("Bucket", "Table", "MonthlyBudgetUsd", "StateMachineArn", "BatchStateMachineArn"),
        *("ApiUrl", "UserPoolId", "SignInUrl", "AlarmTopic"),
        *("StartHere", "PicturesHere", "DashboardHere"),
    }
)
KEY, IDENTITY = "OpenAIKeySecret", "OpenAIWorkloadIdentity"
COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


def status(deployment: Deployment) -> Finding:
    """Check that the last deployment succeeded and that every output is there."""
    try:
        state = deployment.stack["StackStatus"]
    except NoStackError as error:
        return problem(str(error), f"{deployment.deploy()}; cdk.json names the region")
    if state not in COMPLETE:
        if state.endswith("_IN_PROGRESS") and "ROLLBACK" not in state:
            return warning(f"{STACK} is {state}", "wait for the deployment, then run this again")
        events = deployment.aws(
            f"cloudformation describe-stack-events --stack-name {STACK} --output text --query "
            "\"StackEvents[?ends_with(ResourceStatus, 'FAILED')]"
            '.[LogicalResourceId, ResourceStatusReason]"'
        )
        return problem(f"{STACK} is {state}", f"{events} shows why; then {deployment.deploy()}")
    missing = ALWAYS - deployment.outputs.keys()
    if not {KEY, IDENTITY} & deployment.outputs.keys():
        missing |= {KEY}
    if missing:
        names = ", ".join(sorted(missing))
        return problem(f"{STACK} is {state}, but has no output {names}", deployment.deploy())
    return ok(f"{STACK} is {state}, with {len(deployment.outputs)} outputs")


def version(deployment: Deployment) -> Finding:
    """Compare the deployed version with the version of this checkout."""
    here, deployed = checkout_version(), deployment.outputs.get("Version")
    if deployed == here:
        return ok(here)
    if deployed is None:
        return warning(
            f"the deployed stack is older than this checkout, {here}", deployment.deploy()
        )
    return warning(f"{deployed} is deployed, this checkout is {here}", deployment.deploy())


def functions(deployment: Deployment) -> Finding:
    """Check that every function can be called. AWS does not report when a runtime ends."""
    states = {function["FunctionName"]: _state(function) for function in deployment.functions}
    idle = {name: state for name, state in states.items() if state != "Active"}
    if idle:
        seen = "; ".join(f"{name}: {state}" for name, state in idle.items())
        if any(state.startswith("Failed") for state in idle.values()):
            return problem(seen, deployment.deploy())
        return warning(seen, "run this again in a minute")
    runtimes = Counter(function["Runtime"] for function in deployment.functions)
    used = ", ".join(f"{count} with {runtime}" for runtime, count in runtimes.items())
    return ok(f"{len(deployment.functions)} are active: {used}")


def checkout_version() -> str:
    """Return Easel's version in this checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def _state(function: dict[str, Any]) -> str:
    """Return the state of a function, with the reason of a failure."""
    if function.get("LastUpdateStatus") == "Failed":
        return f"Failed, {function.get('LastUpdateStatusReason', 'at its last update')}"
    state = str(function["State"])
    return f"Failed, {function.get('StateReason', '')}" if state == "Failed" else state
