"""Builds a function from its row of the catalogue, and all functions of a deployment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import cast

from aws_cdk import Duration, IgnoreMode, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import ROOT
from infra.access.encryption import Encryption
from infra.access.grants import OPTIONAL, Grant, Resource
from infra.functions.catalogue import CATALOGUE, Caller, FunctionSpec
from infra.functions.code import source
from infra.functions.layers import ARCHITECTURE, HERE, LAMBDA, RUNTIME, Layers
from infra.nag import acknowledge, acknowledge_wildcard

# It pins boto3 as well. The runtime's own version changes without notice, and may be too old for
# If-None-Match on CopyObject.
BASE_LAYER = "base"


@dataclass
class Deployment:
    """The inputs for building functions. It grows while the stack is built.

    `arns` are the resources of grants, and `variables` the values of settings. The local stack has
    no `layers`. `timeouts` has the seconds of the functions whose timeout depends on settings.
    """

    encryption: Encryption
    layers: Layers | None
    timeouts: Mapping[str, int] = field(default_factory=dict)
    arns: dict[Resource, str] = field(default_factory=lambda: {Resource.EVERYTHING: "*"})
    variables: dict[str, str] = field(default_factory=dict)

    def add(self, arns: Mapping[Resource, str], variables: Mapping[str, str]) -> None:
        """Add resources and variables for the functions that are built from now on."""
        self.arns.update(arns)
        self.variables.update(variables)

    def allow(self, role: iam.Role, grants: Iterable[Grant]) -> None:
        """Give a role its grants, and the permissions on the key that they need."""
        usable = [
            grant
            for grant in grants
            if grant.resource in self.arns or grant.resource not in OPTIONAL
        ]
        for grant in usable:
            resource = f"{self.arns[grant.resource]}{grant.path}"
            if grant.reason:
                acknowledge_wildcard(role, resource, grant.reason)
            role.add_to_principal_policy(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY if grant.deny else iam.Effect.ALLOW,
                    actions=list(grant.actions),
                    resources=[resource],
                    conditions=grant.conditions,
                )
            )
        self.encryption.allow(role, usable)


class DeployedFunction(Construct):
    """A function's role and log group. `build` adds the function itself."""

    def __init__(
        self, scope: Construct, construct_id: str, *, spec: FunctionSpec, deployment: Deployment
    ) -> None:
        super().__init__(scope, construct_id)
        self.spec = spec
        self.timeout = spec.timeout or Duration.seconds(deployment.timeouts[spec.name])
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
        spec, deployment, layers = self.spec, self._deployment, self._deployment.layers
        folder = source(LAMBDA if layers else HERE)
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=handler(spec),
            code=lambda_.Code.from_asset(
                str(folder), ignore_mode=IgnoreMode.GIT, exclude=asset_filter(spec)
            ),
            role=self.role,
            log_group=self.log_group,
            timeout=self.timeout,
            memory_size=spec.memory_mb,
            environment=environment(spec, deployment.variables),
            layers=[layers[name] for name in layer_names(spec)] if layers else [],
            tracing=lambda_.Tracing.ACTIVE,
            description=f"Easel: {spec.name}",
        )
        traces = "X-Ray's two actions for the function's traces, which have no resource to name"
        acknowledge_wildcard(self.role, "*", traces)
        deployment.allow(self.role, spec.grants)
        if spec.caller is Caller.EVENTS:
            self._keep_failures(deployment.arns[Resource.DEAD_LETTERS])
        else:
            acknowledge(self.function, "Serverless-LambdaDLQ", spec.caller.value)
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
        self._functions: dict[str, DeployedFunction] = {}

    def __getitem__(self, spec: FunctionSpec) -> DeployedFunction:
        return self._functions[spec.name]

    def __contains__(self, spec: FunctionSpec) -> bool:
        return spec.name in self._functions

    def by_name(self) -> dict[str, DeployedFunction]:
        """Return all functions by name, in the catalogue's order."""
        return {spec.name: self[spec] for spec in CATALOGUE if spec in self}

    def begin(self, spec: FunctionSpec) -> DeployedFunction:
        """Create a function's role and log group."""
        self._functions[spec.name] = DeployedFunction(
            self._stack, spec.name.capitalize(), spec=spec, deployment=self.deployment
        )
        return self[spec]

    def add_steps(self) -> None:
        """Build the functions that the machines call."""
        for spec in CATALOGUE:
            is_there = not spec.only_with or spec.only_with in self.deployment.variables
            if spec.caller is Caller.MACHINE and is_there:
                self.begin(spec).build()


def vended_logs(service: str, stack: Stack) -> str:
    """Return the name of the log group into which a service of AWS writes.

    Each group with another name adds an entry to the account's log resource policy, which has a
    size limit and is never cleaned up. In the end, no state machine could be created:
    https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
    """
    return f"/aws/vendedlogs/{service}/{stack.stack_name}"


def handler(spec: FunctionSpec) -> str:
    """Return the handler of functions/<name>.py or of functions/<name>/handler.py."""
    module = f"functions.{spec.name}"
    return f"{module}.handler" if _is_module(spec) else f"{module}.handler.handler"


def layer_names(spec: FunctionSpec) -> tuple[str, ...]:
    """Return the layers of a function, including the base layer."""
    return () if spec.layers is None else (BASE_LAYER, *spec.layers)


def environment(spec: FunctionSpec, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a row's settings. Raises KeyError if a required one has no value."""
    required = {name for group in spec.settings for name in group.variables()}
    names = {setting.metadata["variable"] for group in spec.settings for setting in fields(group)}
    return {
        name: variables[name] for name in sorted(names) if name in required or name in variables
    }


def contents(spec: FunctionSpec) -> tuple[str, ...]:
    """Return the files and folders of a function's asset."""
    code = f"functions/{spec.name}" + (".py" if _is_module(spec) else "")
    return (
        *("easel/__init__.py", "easel/services.py", "easel/contract", "easel/aws"),
        *(f"easel/{folder}" for folder in spec.folders),
        *("functions/__init__.py", code),
        *(("web",) if spec.has_page else ()),
    )


def asset_filter(spec: FunctionSpec) -> list[str]:
    """Return .gitignore patterns that ignore everything except a function's contents."""
    paths = contents(spec)
    modules = [Path(path) for path in paths if path.endswith(".py")]
    # Modules that are not shipped have their bytecode in the same folder.
    caches = sorted({f"/{module.parent}/__pycache__" for module in modules})
    return [
        *("/*", "!/easel", "/easel/*", "!/functions", "/functions/*"),
        *(f"!/{path}" for path in paths),
        *(pattern for cache in caches for pattern in (f"!{cache}", f"{cache}/*")),
        *(f"!/{module.parent}/__pycache__/{module.stem}.*.pyc" for module in modules),
        ".*",
    ]


def _is_module(spec: FunctionSpec) -> bool:
    return (ROOT / "functions" / f"{spec.name}.py").is_file()
