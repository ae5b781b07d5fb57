"""A custom resource of CloudFormation, deployed only with an existing bucket.

It fails the deployment with a reason unless the bucket can keep Easel's promises.
"""

import json
import urllib.request
from typing import Any

from easel.aws.client import client, translate_errors
from easel.contract.errors import ConfigError

RESPONSE_SECONDS = 20


def handler(event: dict[str, Any], _context: object) -> None:
    """Answer CloudFormation at the URL in the event, even after an error.

    Without an answer CloudFormation would wait until the resource times out.
    """
    properties = event["ResourceProperties"]
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] != "Delete":
            bucket, owner = properties["Bucket"], properties["Owner"]
            check(client("s3"), bucket=bucket, owner=owner, region=properties["Region"])
    except Exception as error:  # CloudFormation needs an answer even after a bug
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
    names = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    resource = f"check-{properties['Bucket']}"
    answer = names | {"Status": status, "Reason": reason, "PhysicalResourceId": resource}
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own
        event["ResponseURL"],
        data=json.dumps(answer).encode(),
        method="PUT",
        headers={"Content-Type": ""},
    )
    urllib.request.urlopen(request, timeout=RESPONSE_SECONDS).close()  # noqa: S310 - as above


def check(s3: Any, *, bucket: str, owner: str, region: str) -> None:
    """Raise ConfigError or StorageDeniedError unless the bucket is usable.

    It must belong to `owner`, be in `region`, and have versioning on.
    """
    target = {"Bucket": bucket, "ExpectedBucketOwner": owner}
    with translate_errors(f"checking the existing bucket {bucket}"):
        # S3 returns no location for us-east-1.
        location = s3.get_bucket_location(**target).get("LocationConstraint") or "us-east-1"
        versioning = s3.get_bucket_versioning(**target).get("Status", "off")
    if location != region:
        raise ConfigError(
            f"the existing bucket {bucket} is in {location}, but the stack is in {region}; deploy "
            f"with -c aws_region={location}"
        )
    if versioning != "Enabled":
        raise ConfigError(
            f"versioning of the existing bucket {bucket} is {versioning}; turn it on, so that "
            "deleted images can be restored"
        )
