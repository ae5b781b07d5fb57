"""Builds a function from its row of the catalogue, and all functions of a deployment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import cast

from aws_cdk import IgnoreMode, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import ROOT
from infra.access.encryption import Encryption
from infra.access.grants import OPTIONAL, Grant, Resource
from infra.functions.catalogue import CATALOGUE, Caller, Row
from infra.functions.layers import ARCHITECTURE, RUNTIME, Layers
from infra.nag import acknowledge, acknowledge_wildcard

# boto3 is pinned as well. The runtime's own version changes without notice, and may be too old for
# If-None-Match on CopyObject.
BASE_LAYERS = ("boto3", "powertools")


@dataclass
class Deployment:
    """The inputs for building functions. It grows while the stack is built.

    `arns` are the resources of grants, and `variables` the values of settings. The local stack has
    no `layers`.
    """

    encryption: Encryption
    layers: Layers | None
    arns: dict[Resource, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def add(self, arns: Mapping[Resource, str], variables: Mapping[str, str]) -> None:
        """Add resources and variables for the functions that are built from now on."""
        self.arns.update(arns)
        self.variables.update(variables)

    def allow(self, role: iam.Role, grants: Iterable[Grant]) -> None:
        """Give a role its grants, and the permissions on the key that they need."""
        known = [one for one in grants if one.on in self.arns or one.on not in OPTIONAL]
        for grant in known:
            resource = f"{self.arns[grant.on]}{grant.below}"
            if grant.because:
                acknowledge_wildcard(role, resource, grant.because)
            role.add_to_principal_policy(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY if grant.deny else iam.Effect.ALLOW,
                    actions=list(grant.actions),
                    resources=[resource],
                    conditions=grant.conditions,
                )
            )
        self.encryption.allow(role, known)


class DeployedFunction(Construct):
    """A function's role and log group. `build` adds the function itself."""

    def __init__(
        self, scope: Construct, construct_id: str, *, row: Row, deployment: Deployment
    ) -> None:
        super().__init__(scope, construct_id)
        self.row, self.timeout = row, row.timeout
        self._deployment = deployment
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
            encryption_key=deployment.encryption.key,
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)

    def build(self) -> "DeployedFunction":
        """Build the function with the deployment's current resources and variables."""
        row, deployment, layers = self.row, self._deployment, self._deployment.layers
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=handler(row),
            code=lambda_.Code.from_asset(
                str(ROOT), ignore_mode=IgnoreMode.GIT, exclude=asset_filter(row)
            ),
            role=self.role,
            log_group=self.log_group,
            timeout=row.timeout,
            memory_size=row.memory_mb,
            environment=environment(row, deployment.variables),
            layers=[layers[name] for name in layer_names(row)] if layers else [],
            tracing=lambda_.Tracing.ACTIVE,
            description=f"Easel: {row.name}",
        )
        traces = "X-Ray's two actions for the function's traces, which have no resource to name"
        acknowledge_wildcard(self.role, "*", traces)
        deployment.allow(self.role, row.grants)
        if row.caller is Caller.EVENTS:
            self._keep_failures(deployment.arns[Resource.DEAD_LETTERS])
        else:
            acknowledge(self.function, "Serverless-LambdaDLQ", row.caller.value)
        return self

    def _keep_failures(self, queue: str) -> None:
        # The construct's own property would grant more of a customer's key than sending needs.
        resource = cast("lambda_.CfnFunction", self.function.node.default_child)
        resource.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=queue)


class Functions:
    """The functions of the stack, by their row."""

    def __init__(self, stack: Stack, deployment: Deployment) -> None:
        self.deployment = deployment
        self._stack = stack
        self._made: dict[str, DeployedFunction] = {}

    def __getitem__(self, row: Row) -> DeployedFunction:
        return self._made[row.name]

    def __contains__(self, row: Row) -> bool:
        return row.name in self._made

    def by_name(self) -> dict[str, DeployedFunction]:
        """Return all functions by name, in the catalogue's order."""
        return {row.name: self[row] for row in CATALOGUE if row in self}

    def begin(self, row: Row) -> DeployedFunction:
        """Create a function's role and log group."""
        self._made[row.name] = DeployedFunction(
            self._stack, row.name.capitalize(), row=row, deployment=self.deployment
        )
        return self[row]

    def add_steps(self) -> None:
        """Build the functions that the machines call."""
        for row in CATALOGUE:
            is_there = not row.only_with or row.only_with in self.deployment.variables
            if row.caller is Caller.MACHINE and is_there:
                self.begin(row).build()


def handler(row: Row) -> str:
    """Return the handler of functions/<name>.py or of functions/<name>/handler.py."""
    module = f"functions.{row.name}"
    return f"{module}.handler" if _is_module(row) else f"{module}.handler.handler"


def layer_names(row: Row) -> tuple[str, ...]:
    """Return the layers of a function, including the base layers."""
    return () if row.layers is None else (*BASE_LAYERS, *row.layers)


def environment(row: Row, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a row's settings. Raises KeyError if a required one has no value."""
    required = {name for group in row.settings for name in group.variables()}
    declared = {one.metadata["variable"] for group in row.settings for one in fields(group)}
    return {
        name: variables[name] for name in sorted(declared) if name in required or name in variables
    }


def contents(row: Row) -> tuple[str, ...]:
    """Return the files and folders of a function's asset."""
    code = f"functions/{row.name}" + (".py" if _is_module(row) else "")
    return (
        *("easel/__init__.py", "easel/services.py", "easel/contract", "easel/aws"),
        *(f"easel/{folder}" for folder in row.folders),
        *("functions/__init__.py", code),
        *(("web",) if row.caller is Caller.GATEWAY else ()),
    )


def asset_filter(row: Row) -> list[str]:
    """Return .gitignore patterns that ignore everything except a function's contents."""
    kept = [f"!/{path}" for path in contents(row)]
    packages = ("!/easel", "/easel/*", "!/functions", "/functions/*")
    return ["/*", *packages, *kept, "__pycache__", "*.pyc", ".*"]


def _is_module(row: Row) -> bool:
    return (ROOT / "functions" / f"{row.name}.py").is_file()
