"""The stack that a command uses: the local one, found by its outputs file, or the one on AWS."""

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from easel.aws.table import Table
from easel.contract.money import micro_dollars
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from easel.runs.executions import Executions
from easel.runs.runs import Runs

ROOT = Path(__file__).resolve().parent.parent
# The file is elsewhere if the stack was started in another folder.
OUTPUTS = Path(os.environ.get("EASEL_OUTPUTS", ROOT / ".local" / "outputs.json"))
STACK = "Easel"
# Outputs that only a deployment with a setting has.
OPTIONAL_OUTPUTS = {"ProgramClientId": "program_sign_in", "PageClientId": "public_page"}

# The local stack's outputs that a command uses.
LOCAL_ACCESS = ("endpoint", "region", "access_key_id", "secret_access_key")
LOCAL_TARGET = (*LOCAL_ACCESS, "bucket", "table", "state_machine_arn")


class TargetError(RuntimeError):
    """The stack does not exist. The message has the next step."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """The way to AWS, whether or not the stack is there.

    On AWS, `endpoint` and the access key are None, and boto3 finds a key in the usual way.
    """

    endpoint: str | None
    region: str
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)

    def client(self, service: str) -> Any:
        """Return an AWS client for this stack."""
        local: dict[str, Any] = {}
        if self.endpoint:
            local = {
                "endpoint_url": self.endpoint,
                "aws_access_key_id": self.access_key_id,
                "aws_secret_access_key": self.secret_access_key,
            }
        config = Config(
            retries={"mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=32,
        )
        return boto3.client(  # type: ignore[call-overload]
            service, region_name=self.region, config=config, **local
        )


@dataclass(frozen=True, kw_only=True)
class Target(Access):
    """A deployed stack."""

    bucket: str
    table: str
    state_machine_arn: str

    @cached_property
    def records(self) -> Table:
        """Return the table of records."""
        return Table(self.client("dynamodb"), name=self.table)

    @cached_property
    def ledger(self) -> Ledger:
        """Return the ledger, with the cap of the deployment.

        Reading the budget may write the cap, so it must be the deployed one.
        """
        setting = micro_dollars(float(self.output("MonthlyBudgetUsd")))
        return Ledger(self.records, Budget(self.records, setting=setting))

    @cached_property
    def runs(self) -> Runs:
        """Return the runs."""
        machine = self.state_machine_arn
        return Runs(Executions(self.client("stepfunctions"), machine=machine), self.ledger)

    @cached_property
    def batch_executions(self) -> Executions:
        """Return the executions of batches.

        Raises TargetError if the deployed stack is too old to have batches.
        """
        machine = self.output("BatchStateMachineArn")
        return Executions(self.client("stepfunctions"), machine=machine)

    def output(self, name: str) -> str:
        """Return one of the stack's outputs. Raises TargetError if it is missing."""
        outputs = stack_outputs(self.client("cloudformation"))
        if name not in outputs:
            setting = OPTIONAL_OUTPUTS.get(name)
            reason = f"deploy it with -c {setting}=true" if setting else "deploy it again"
            raise TargetError(f"the deployed stack has no output {name}; {reason}")
        return outputs[name]

    def openai_secret(self) -> str:
        """Return the name of the secret with the OpenAI key.

        Raises TargetError if the deployment uses no key.
        """
        identity = stack_outputs(self.client("cloudformation")).get("OpenAIWorkloadIdentity")
        if identity:
            raise TargetError(
                "this deployment has no OpenAI key: its functions sign in as the service account "
                f"of {identity} (openai_workload_identity)"
            )
        return self.output("OpenAIKeySecret")


def find_target(name: str) -> Target:
    """Return the target `local` or `aws`. Raises TargetError."""
    return local_target() if name == "local" else aws_target()


def find_access(name: str) -> Access:
    """Return the way to the target `local` or `aws`, without reading its stack.

    Raises TargetError if no local stack is running.
    """
    if name == "aws":
        return Access(endpoint=None, region=_aws_region())
    values = _local_outputs(OUTPUTS)
    return Access(**{name: values[name] for name in LOCAL_ACCESS})


def local_target(outputs: Path = OUTPUTS) -> Target:
    """Return the stack that `make up` started. Raises TargetError."""
    values = _local_outputs(outputs)
    return Target(**{name: values[name] for name in LOCAL_TARGET})


def aws_target() -> Target:
    """Return the deployed stack in the region of cdk.json. Raises TargetError."""
    region = _aws_region()
    try:
        outputs = stack_outputs(boto3.client("cloudformation", region_name=region))
    except ClientError as error:
        raise TargetError(
            f"there is no stack {STACK} in {region} for these AWS credentials ({error}); deploy it "
            "with `make deploy`"
        ) from error
    except BotoCoreError as error:
        raise TargetError(
            f"the stack {STACK} in {region} cannot be read: {error}; check your AWS "
            "credentials, such as AWS_PROFILE"
        ) from error
    return Target(
        endpoint=None,
        region=region,
        bucket=outputs["Bucket"],
        table=outputs["Table"],
        state_machine_arn=outputs["StateMachineArn"],
    )


def stack_outputs(cloudformation: Any) -> dict[str, str]:
    """Return the outputs of the stack by name."""
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _aws_region() -> str:
    return str(json.loads((ROOT / "cdk.json").read_text())["context"]["aws_region"])


def _local_outputs(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise TargetError(
            "no local stack is running; start it with `make up`, or use the one on AWS with "
            "--target aws (make: TARGET=aws)"
        )
    values: dict[str, Any] = json.loads(file.read_text())
    if not set(LOCAL_ACCESS) <= set(values):
        raise TargetError(
            "an older version started the local stack; run `make down`, then `make up`"
        )
    return values
