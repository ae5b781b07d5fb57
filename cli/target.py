"""Which stack a command is for: the local one by its outputs file, or the one on AWS by CloudFormation's outputs."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parent.parent
# Another file where the stack was brought up in another folder.
OUTPUTS = Path(os.environ.get("EASEL_OUTPUTS", ROOT / ".local" / "outputs.json"))
STACK = "Easel"


class TargetError(RuntimeError):
    """There is no such stack; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One deployed stack. `endpoint` is None on AWS."""

    endpoint: str | None
    region: str
    bucket: str
    table: str
    state_machine_arn: str

    def client(self, service: str) -> Any:
        """A client for this stack's AWS."""
        # The local emulator takes any credentials; on AWS the usual chain finds them.
        local = {"endpoint_url": self.endpoint, "aws_access_key_id": "test", "aws_secret_access_key": "test"} if self.endpoint else {}
        config = Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=60, max_pool_connections=32)
        return boto3.client(service, region_name=self.region, config=config, **local)  # type: ignore[call-overload]

    @cached_property
    def batch_state_machine_arn(self) -> str:
        """The machine of batches. Raises TargetError where an older deployment has none: all else works there."""
        return self.output("BatchStateMachineArn")

    def output(self, name: str) -> str:
        """One of the stack's outputs. Raises TargetError where an older deployment lacks it."""
        outputs = stack_outputs(self.client("cloudformation"))
        if name not in outputs:
            raise TargetError(f"the deployed stack has no output {name}: it is older than this checkout; deploy it again")
        return outputs[name]

    def secret(self) -> str:
        """The name of the secret that holds the OpenAI key. Raises TargetError where the deployment has none."""
        identity = stack_outputs(self.client("cloudformation")).get("OpenAIWorkloadIdentity")
        if identity:
            raise TargetError(f"this deployment has no key: its functions are the service account of {identity} (openai_workload_identity)")
        return self.output("OpenAIKeySecret")


def local(outputs: Path = OUTPUTS) -> Target:
    """The stack that `make up` left running."""
    if not outputs.is_file():
        raise TargetError("no local stack is running; start it with `make up`, or name the one on AWS with TARGET=aws")
    said = json.loads(outputs.read_text())
    names = ("endpoint", "region", "bucket", "table", "state_machine_arn")
    return Target(**{name: said[name] for name in names})


def on_aws() -> Target:
    """The stack that `make deploy` made, in the region of cdk.json."""
    region = json.loads((ROOT / "cdk.json").read_text())["context"]["aws_region"]
    try:
        said = stack_outputs(boto3.client("cloudformation", region_name=region))
    except ClientError as error:
        raise TargetError(f"no stack {STACK} in {region} for these AWS credentials ({error}); deploy it with `make deploy`") from error
    except BotoCoreError as error:
        raise TargetError(f"AWS can't be asked for the stack {STACK} in {region}: {error}") from error
    return Target(endpoint=None, region=region, bucket=said["Bucket"], table=said["Table"], state_machine_arn=said["StateMachineArn"])


def stack_outputs(cloudformation: Any) -> dict[str, str]:
    """The outputs of the stack, by name."""
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def named(name: str) -> Target:
    """The target `local` or `aws`."""
    return local() if name == "local" else on_aws()
