"""What AWS reports about the stack. Each part is read once, when a check first needs it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from cli.doctor.finding import NotCheckedError, needs
from cli.target import STACK, Access
from easel.aws.client import error_code


class NoStackError(NotCheckedError):
    """CloudFormation does not know the stack."""


@dataclass(frozen=True)
class Resource:
    """A resource of the stack: its logical id, its type and the id that AWS knows."""

    name: str
    kind: str
    id: str


class Deployment:
    """A stack, which may be missing or broken."""

    def __init__(self, access: Access) -> None:
        self.client = access.client
        self.region = access.region
        self.endpoint = access.endpoint
        self.is_local = access.endpoint is not None

    @property
    def target(self) -> str:
        """Return the value of TARGET in make commands for this stack."""
        return "local" if self.is_local else "aws"

    def deploy(self, setting: str = "") -> str:
        """Return the command that deploys the stack again, with another setting if there is one."""
        command = "make up" if self.is_local else "make deploy"
        if setting:
            return f'{command} CONTEXT="-c {setting}" and all your other settings'
        return f"{command} with all your settings"

    def aws(self, command: str) -> str:
        """Return a command of the AWS CLI for the stack, wherever it is."""
        endpoint = f" --endpoint-url {self.endpoint}" if self.is_local else ""
        return f"aws {command} --region {self.region}{endpoint}"

    @cached_property
    def stack(self) -> dict[str, Any]:
        """Return CloudFormation's description of the stack. Raises NoStackError."""
        with needs("cloudformation:DescribeStacks"):
            try:
                answer = self.client("cloudformation").describe_stacks(StackName=STACK)
            except ClientError as error:
                if error_code(error) == "ValidationError":
                    reason = f"there is no stack {STACK} in {self.region}"
                    raise NoStackError(reason) from error
                raise
        stack: dict[str, Any] = answer["Stacks"][0]
        return stack

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Return the stack's outputs by name."""
        outputs = self.stack.get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def output(self, name: str) -> str:
        """Return an output. Raises NotCheckedError if the stack does not have it."""
        if name not in self.outputs:
            raise NotCheckedError(f"the stack has no output {name}")
        return self.outputs[name]

    @cached_property
    def resources(self) -> list[Resource]:
        """Return the stack's resources."""
        name = self.stack["StackName"]
        with needs("cloudformation:ListStackResources"):
            pages = self.client("cloudformation").get_paginator("list_stack_resources")
            return [
                Resource(
                    name=entry["LogicalResourceId"],
                    kind=entry["ResourceType"],
                    id=entry.get("PhysicalResourceId", ""),
                )
                for page in pages.paginate(StackName=name)
                for entry in page["StackResourceSummaries"]
            ]

    def of_kind(self, kind: str) -> list[Resource]:
        """Return the stack's resources of a type."""
        return [resource for resource in self.resources if resource.kind == kind]

    @cached_property
    def functions(self) -> list[dict[str, Any]]:
        """Return the configurations of the stack's functions."""
        functions = self.of_kind("AWS::Lambda::Function")
        with needs("lambda:GetFunctionConfiguration"):
            read = self.client("lambda").get_function_configuration
            return [read(FunctionName=function.id) for function in functions]

    def variables(self, step: str) -> dict[str, str]:
        """Return the environment of a step's function. Raises NotCheckedError if it is missing."""
        for function in self.functions:
            if function["Handler"].startswith(f"functions.{step}."):
                variables: dict[str, str] = function["Environment"]["Variables"]
                return variables
        raise NotCheckedError(f"the stack has no function {step}")
