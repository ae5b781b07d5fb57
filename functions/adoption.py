"""Custom resources of CloudFormation, deployed only with an existing bucket or table.

They fail the deployment with a reason unless the bucket or table can keep Easel's promises.
"""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from easel.aws.client import client, translate_errors
from easel.aws.custom_resource import answer
from easel.contract.errors import ConfigError
from easel.contract.naming import GALLERY_INDEXES

NO_ENCRYPTION = "ServerSideEncryptionConfigurationNotFoundError"
SERVICE_KEY = "alias/aws/s3"  # the key that S3 itself keeps in each account


def handler(event: dict[str, Any], _context: object) -> None:
    """Check what the resource names, unless it is deleted."""
    properties = event["ResourceProperties"]
    before = event.get("OldResourceProperties", {})
    kind = "Bucket" if "Bucket" in properties else "Table"

    def act() -> dict[str, Any]:
        return {} if event["RequestType"] == "Delete" else CHECKS[kind](properties, before)

    answer(event, act, physical_id=f"check-{properties[kind]}")


def check_bucket(properties: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Raise ConfigError or StorageDeniedError unless the bucket is usable.

    It must belong to `Owner`, be in `Region`, have versioning on, and be encrypted with none but
    the given `Keys`. It must not hold images whose records are in another table than the stack's.
    `before` are the properties of the deployment before this one, if there was one.
    """
    s3, bucket = client("s3"), properties["Bucket"]
    target = {"Bucket": bucket, "ExpectedBucketOwner": properties["Owner"]}
    with translate_errors(f"checking the existing bucket {bucket}"):
        # S3 returns no location for us-east-1.
        location = s3.get_bucket_location(**target).get("LocationConstraint") or "us-east-1"
        versioning = s3.get_bucket_versioning(**target).get("Status", "off")
        key = _encryption_key(s3, target)
        thumbnails = s3.list_objects_v2(**target, Prefix="thumbnails/", MaxKeys=1)["KeyCount"]
    if location != properties["Region"]:
        raise ConfigError(
            f"the existing bucket {bucket} is in {location}, but the stack is in "
            f"{properties['Region']}; deploy with -c aws_region={location}"
        )
    if versioning != "Enabled":
        raise ConfigError(
            f"versioning of the existing bucket {bucket} is {versioning}; turn it on, so that "
            "deleted images can be restored"
        )
    if key and not key.endswith(SERVICE_KEY) and not _may_use(key, properties.get("Keys", [])):
        raise ConfigError(
            f"the existing bucket {bucket} is encrypted with the KMS key {key}, which the "
            "functions may not use; deploy with its ARN in -c existing_key= if an earlier "
            "deployment of Easel created the key, or else in -c bucket_keys="
        )
    has_no_table = not properties["ExistingTable"]
    if thumbnails and has_no_table and _begins_without_records(properties, before):
        raise ConfigError(
            f"the existing bucket {bucket} has objects in thumbnails/; if they are Easel's, a "
            "batch would be paid again without the records of these images: deploy with -c "
            "existing_table= and the name of their table, or with -c existing_table=new to begin "
            "without records"
        )
    return {}


def check_table(properties: Mapping[str, Any], _before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ARN of the table's stream as `StreamArn`.

    Raise ConfigError or StorageDeniedError unless the table has the indexes and the stream of
    Easel's tables, and is encrypted with none but the given `Keys`.
    """
    name = properties["Table"]
    with translate_errors(f"checking the existing table {name}"):
        table = client("dynamodb").describe_table(TableName=name)["Table"]
    indexes = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
    if missing := sorted(set(GALLERY_INDEXES) - indexes):
        raise ConfigError(
            f"the existing table {name} is not a table of Easel: it has no index "
            f"{', '.join(missing)}"
        )
    view = table.get("StreamSpecification", {}).get("StreamViewType", "off")
    if view != "NEW_AND_OLD_IMAGES":
        raise ConfigError(
            f"the stream of the existing table {name} is {view}; set it to NEW_AND_OLD_IMAGES, so "
            "that events are sent"
        )
    encryption = table.get("SSEDescription", {})
    key = encryption.get("KMSMasterKeyArn")
    if encryption.get("SSEType") == "KMS" and key and key not in properties.get("Keys", []):
        raise ConfigError(
            f"the existing table {name} is encrypted with the KMS key {key}, which the functions "
            "may not use; deploy with its ARN in -c existing_key="
        )
    return {"StreamArn": table["LatestStreamArn"]}


Check = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
CHECKS: dict[str, Check] = {
    "Bucket": check_bucket,
    "Table": check_table,
}


def _begins_without_records(properties: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether the stack is new in this bucket, or leaves the table with its records."""
    is_new_here = before.get("Bucket") != properties["Bucket"]
    return is_new_here or before.get("ExistingTable", "") not in ("", "new")


def _encryption_key(s3: Any, target: Mapping[str, str]) -> str | None:
    """Return the KMS key of the bucket's default encryption, or None if it uses S3's own."""
    try:
        answer = s3.get_bucket_encryption(**target)
    except ClientError as error:
        if error.response["Error"]["Code"] == NO_ENCRYPTION:
            return None
        raise
    (rule,) = answer["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    key: str | None = default.get("KMSMasterKeyID")
    return key


def _may_use(key: str, allowed: list[str]) -> bool:
    """Return whether the key is one of the allowed ARNs.

    A bucket may name it by ARN, by id, or by an alias, which may refer to any key.
    """
    return bool(allowed) if "alias/" in key else any(arn.endswith(key) for arn in allowed)
