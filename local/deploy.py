"""Deploy the synthesized template to the local AWS as the CDK CLI does: assets, then the stack."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local import assemblies
from local.ministack.cloudfront import DISTRIBUTIONS

ROOT = Path(__file__).resolve().parent.parent
STACK = "Easel"
BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
DEADLINE_SECONDS = 120
PAGE_URL = "PageUrl"
# The local stack differs from the deployed one in two ways. First, the virtual environment serves
# as the layers. Second, the parameter PageUrl is set, because the emulator serves the page.
LOCAL_SETTINGS = ("layers=false",)
# These settings apply unless the caller gives others. Only this machine can open the page.
LOCAL_DEFAULTS = ("public_page=true", "program_sign_in=true", "delivery=true")


class DeployError(RuntimeError):
    """The stack cannot be synthesized or created. The message has the reason."""


@contextmanager
def synthesis(settings: Sequence[str], outdir: Path) -> Iterator[Callable[[], None]]:
    """Run the app in the background while the block runs. It writes the cloud assembly.

    Yield a function that waits for the app. It raises DeployError with the app's message.
    """
    context = (*LOCAL_DEFAULTS, *settings, *LOCAL_SETTINGS)
    kept = assemblies.folder_of(context)
    if kept and kept.is_dir():
        shutil.copytree(kept, outdir, dirs_exist_ok=True)
        yield lambda: None
        return
    options = [word for setting in context for word in ("-c", setting)]
    command = [sys.executable, str(ROOT / "app.py"), *options, "-o", str(outdir)]
    # The CDK's check of the template costs most of the CPU time and changes nothing in the
    # template. `make synth` and the tests run the check.
    environment = {**os.environ, "CDK_VALIDATION": "false"}
    with subprocess.Popen(  # noqa: S603  the app is our own
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as app:

        def finish() -> None:
            _, errors = app.communicate()
            if app.returncode:
                raise DeployError(errors.strip() or "synth failed without a message")
            if kept:
                assemblies.keep(outdir, kept)

        try:
            yield finish
        finally:
            app.terminate()


def publish(assembly: Path, *, endpoint: str, s3: Any, account: str) -> str:
    """Upload the assets where the template expects them, and return the template's URL."""
    urls = {}
    assets = json.loads((assembly / f"{STACK}.assets.json").read_text())["files"]
    for asset in assets.values():
        source = assembly / asset["source"]["path"]
        is_folder = asset["source"]["packaging"] == "zip"
        for destination in asset["destinations"].values():
            bucket = destination["bucketName"].replace("${AWS::AccountId}", account)
            key = destination["objectKey"]
            _make_bucket(s3, bucket, region=destination["region"])
            s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=zip_folder(source) if is_folder else source.read_bytes(),
            )
            urls[asset["source"]["path"]] = f"{endpoint}/{bucket}/{key}"
    return urls[f"{STACK}.template.json"]


def create_or_update(
    template_url: str, *, endpoint: str, cloudformation: Any, ssm: Any
) -> dict[str, str]:
    """Create the stack or update the existing one, and return its outputs.

    Raise DeployError with CloudFormation's reasons if that fails.
    """
    ssm.put_parameter(Name=BOOTSTRAP_PARAMETER, Value="30", Type="String", Overwrite=True)
    before = _page_url(cloudformation, endpoint) if _exists(cloudformation) else None
    outputs = _apply(template_url, before, cloudformation=cloudformation)
    # The page's URL is known only after the API exists, so the first deploy needs an update.
    after = _page_url(cloudformation, endpoint)
    return (
        outputs if after == before else _apply(template_url, after, cloudformation=cloudformation)
    )


def zip_folder(folder: Path) -> bytes:
    """Return the folder as an asset for Lambda. The same folder always gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                info = zipfile.ZipInfo(str(file.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
                archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


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
        # CloudFormation has no error code for this, so only the message identifies it.
        if "No updates are to be performed" not in str(error):
            raise DeployError(str(error)) from error
        # The stack may have rolled back from another update to this template.
        return _outputs_of(cloudformation.describe_stacks(StackName=STACK)["Stacks"][0])
    return _outputs(cloudformation)


def _page_url(cloudformation: Any, endpoint: str) -> str | None:
    """Return the local URL of the distribution, or else of the API, or None if there is neither."""
    resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    ids = {resource["ResourceType"]: resource["PhysicalResourceId"] for resource in resources}
    if distribution := ids.get("AWS::CloudFront::Distribution"):
        return f"{endpoint}{DISTRIBUTIONS}{distribution}/"
    api = ids.get("AWS::ApiGatewayV2::Api")
    return api and f"{endpoint}/_aws/execute-api/{api}/$default/"


def _outputs(cloudformation: Any) -> dict[str, str]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        status = stack["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return _outputs_of(stack)
        if not status.endswith("IN_PROGRESS") or time.monotonic() > deadline:
            reason = stack.get("StackStatusReason", "no reason was given")
            raise DeployError(f"the stack is {status}: {_reasons(cloudformation) or reason}")
        time.sleep(0.1)


def _outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _reasons(cloudformation: Any) -> str:
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return "; ".join(
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed
    )


def _exists(cloudformation: Any) -> bool:
    """Return whether the stack can be updated. Delete what a failed creation left behind."""
    try:
        status = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    except ClientError:
        return False
    if status in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"):
        cloudformation.delete_stack(StackName=STACK)
        return False
    return bool(status != "DELETE_COMPLETE")


def _make_bucket(s3: Any, bucket: str, *, region: str) -> None:
    # S3 refuses a location constraint for its oldest region.
    is_oldest = region == "us-east-1"
    location = {} if is_oldest else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **location)
    except ClientError as error:
        if error.response["Error"]["Code"] not in (
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        ):
            raise
