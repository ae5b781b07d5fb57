"""Deploys the synthesized template to the local AWS as the CDK CLI would to the real one: assets, then CloudFormation."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parent.parent
STACK = "Easel"
BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
DEADLINE_SECONDS = 120
PAGE_URL = "PageUrl"
# The first of the two ways in which the local stack differs from the deployed one: the virtual environment serves as the layers.
# The second is the parameter PageUrl: here the page stands at the emulator.
LOCAL_SETTINGS = ("layers=false",)
# Here for who says nothing else: nobody but this machine sees the page.
LOCAL_DEFAULTS = ("public_page=true",)


class DeployError(RuntimeError):
    """The stack can't be synthesized or created; the message holds the reason."""


@contextmanager
def synthesis(settings: Sequence[str], outdir: Path) -> Iterator[Callable[[], None]]:
    """Write the cloud assembly by the app itself, as `cdk synth` does, beside what the block does; what it gives waits for the end.

    That raises DeployError with the app's own words.
    """
    pairs = [word for setting in (*LOCAL_DEFAULTS, *settings, *LOCAL_SETTINGS) for word in ("-c", setting)]
    command = [sys.executable, str(ROOT / "app.py"), *pairs, "-o", str(outdir)]
    # The CDK's check of the template costs more CPU than all else, and changes nothing in it; `make synth` and the tests have it checked.
    unchecked = {**os.environ, "CDK_VALIDATION": "false"}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=unchecked, **quiet) as app:  # noqa: S603 - our own app

        def finish() -> None:
            _, said = app.communicate()
            if app.returncode:
                raise DeployError(said.strip() or "synth failed")

        try:
            yield finish
        finally:
            app.terminate()


def publish(assembly: Path, *, endpoint: str, s3: Any, account: str) -> str:
    """Upload the assembly's assets where the template looks for them, and the template, whose URL it gives."""
    urls = {}
    assets = json.loads((assembly / f"{STACK}.assets.json").read_text())["files"]
    for asset in assets.values():
        source = assembly / asset["source"]["path"]
        for place in asset["destinations"].values():
            bucket = place["bucketName"].replace("${AWS::AccountId}", account)
            _make_bucket(s3, bucket, region=place["region"])
            body = zipped(source) if asset["source"]["packaging"] == "zip" else source.read_bytes()
            s3.put_object(Bucket=bucket, Key=place["objectKey"], Body=body)
            urls[asset["source"]["path"]] = f"{endpoint}/{bucket}/{place['objectKey']}"
    return urls[f"{STACK}.template.json"]


def create_or_update(template_url: str, *, endpoint: str, cloudformation: Any, ssm: Any) -> dict[str, str]:
    """Create the stack, or change the one that stands; gives its outputs. Raises DeployError with CloudFormation's reasons."""
    ssm.put_parameter(Name=BOOTSTRAP_PARAMETER, Value="30", Type="String", Overwrite=True)
    before = _page_url(cloudformation, endpoint) if _exists(cloudformation) else None
    outputs = _apply(template_url, before, cloudformation=cloudformation)
    # Where the page stands is known only once there is an API.
    now = _page_url(cloudformation, endpoint)
    return outputs if now == before else _apply(template_url, now, cloudformation=cloudformation)


def _apply(template_url: str, page_url: str | None, *, cloudformation: Any) -> dict[str, str]:
    parameters = [{"ParameterKey": PAGE_URL, "ParameterValue": page_url}] if page_url else []
    call: Mapping[str, Any] = {
        "StackName": STACK,
        "TemplateURL": template_url,
        "Parameters": parameters,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    }
    try:
        if _exists(cloudformation):
            cloudformation.update_stack(**call)
        else:
            cloudformation.create_stack(**call)
    except ClientError as error:
        # CloudFormation has no other sign for it than these words.
        if "No updates are to be performed" not in str(error):
            raise DeployError(str(error)) from error
    return _outputs(cloudformation)


def _page_url(cloudformation: Any, endpoint: str) -> str | None:
    """Where the emulator serves the stack's API, None where the stack has none yet."""
    resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    api = next((one for one in resources if one["ResourceType"] == "AWS::ApiGatewayV2::Api"), None)
    return api and f"{endpoint}/_aws/execute-api/{api['PhysicalResourceId']}/$default/"


def _outputs(cloudformation: Any) -> dict[str, str]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        status = stack["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        if not status.endswith("IN_PROGRESS") or time.monotonic() > deadline:
            raise DeployError(f"the stack is {status}: {_reasons(cloudformation) or stack.get('StackStatusReason', 'no reason given')}")
        time.sleep(0.1)


def _reasons(cloudformation: Any) -> str:
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return "; ".join(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed)


def _exists(cloudformation: Any) -> bool:
    try:
        status = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    except ClientError:
        return False
    if status in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"):
        cloudformation.delete_stack(StackName=STACK)
        return False
    return bool(status != "DELETE_COMPLETE")


def _make_bucket(s3: Any, bucket: str, *, region: str) -> None:
    # The oldest region is the one that must not be named.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **place)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


def zipped(folder: Path) -> bytes:
    """An asset as Lambda takes it; the same folder gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                info = zipfile.ZipInfo(str(file.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
                archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return out.getvalue()
