"""A custom resource of CloudFormation: it fails the deployment, with the reason, unless the bucket can keep Easel's promises."""

import json
import urllib.request
from typing import Any

from functions import cold_start
from functions.adapters import aws
from functions.errors import ConfigError

RESPONSE_SECONDS = 20


def handler(event: dict[str, Any], _context: object) -> None:
    """Entry point: answers CloudFormation at the URL that it names, whatever happens, else it waits until the resource times out."""
    properties = event["ResourceProperties"]
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] != "Delete":
            check(aws.client("s3"), bucket=properties["Bucket"], owner=properties["Owner"], region=properties["Region"])
    except Exception as error:  # a bug has to be answered, too
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
    names = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer = names | {"Status": status, "Reason": reason, "PhysicalResourceId": f"check-{properties['Bucket']}"}
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310 - CloudFormation's own
    urllib.request.urlopen(request, timeout=RESPONSE_SECONDS).close()  # noqa: S310 - CloudFormation's own


def check(client: Any, *, bucket: str, owner: str, region: str) -> None:
    """Raise ConfigError or StorageDeniedError unless the bucket is the owner's, in the region, and keeps versions."""
    mine = {"Bucket": bucket, "ExpectedBucketOwner": owner}
    with aws.named(f"looking at the existing bucket {bucket}"):
        # The oldest region answers with nothing.
        there = client.get_bucket_location(**mine).get("LocationConstraint") or "us-east-1"
        versioning = client.get_bucket_versioning(**mine).get("Status", "off")
    if there != region:
        raise ConfigError(f"the existing bucket {bucket} is in {there}, the stack in {region}; deploy with -c aws_region={there}")
    if versioning != "Enabled":
        raise ConfigError(f"versioning of the existing bucket {bucket} is {versioning}: turn it on, so that a delete can be undone")


cold_start.ready()
