"""CloudFormation in the emulator: the protection of stored data."""

import json
from typing import Any

from botocore.exceptions import ClientError

from tests.support.emulator import CLOSED, Emulator, until

RULES = (
    {
        "Id": "staging",
        "Status": "Enabled",
        "Prefix": "staging/",
        "ExpirationInDays": 30,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    },
    {
        "Id": "old",
        "Status": "Enabled",
        "ExpiredObjectDeleteMarker": True,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    },
)
KEY = "pk"


def deploy(emulator: Emulator, name: str, properties: dict[str, Any]) -> None:
    """Create or update a stack with one resource of this name, and wait for it."""
    client = emulator.client("cloudformation")
    kind = "AWS::S3::Bucket" if "BucketName" in properties else "AWS::DynamoDB::Table"
    template = {"Resources": {"Data": {"Type": kind, "Properties": properties}}}
    stacks = {entry["StackName"] for entry in client.describe_stacks()["Stacks"]}
    change = client.update_stack if name in stacks else client.create_stack
    change(StackName=name, TemplateBody=json.dumps(template))

    def has_ended() -> bool:
        status = client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return str(status).endswith("_COMPLETE")

    until(has_ended)


def lifecycle(emulator: Emulator, bucket: str) -> Any:
    """Return a bucket's lifecycle rules, or None if it has none."""
    try:
        return emulator.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError:
        return None


def recovery(emulator: Emulator, table: str) -> Any:
    """Return the status of a table's point-in-time recovery."""
    answer = emulator.client("dynamodb").describe_continuous_backups(TableName=table)
    about = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    return about["PointInTimeRecoveryStatus"]


def test_bucket_gets_its_lifecycle_rules(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    bucket = {"BucketName": "ruled"}
    for emulator in (plain_emulator, patched_emulator):
        deploy(emulator, "ruled", bucket | {"LifecycleConfiguration": {"Rules": RULES}})

    assert lifecycle(plain_emulator, "ruled") is None, CLOSED
    staging, old = lifecycle(patched_emulator, "ruled")
    assert (staging["ID"], staging["Filter"]["Prefix"]) == ("staging", "staging/")
    assert staging["Expiration"] == {"Days": 30}
    assert staging["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert old["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert old["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}

    deploy(patched_emulator, "ruled", bucket)
    until(lambda: lifecycle(patched_emulator, "ruled") is None)


def test_table_gets_point_in_time_recovery(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    table = {
        "TableName": "recoverable",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": KEY, "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": KEY, "AttributeType": "S"}],
    }
    on = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    for emulator in (plain_emulator, patched_emulator):
        deploy(emulator, "recoverable", table | on)

    assert recovery(plain_emulator, "recoverable") == "DISABLED", CLOSED
    assert recovery(patched_emulator, "recoverable") == "ENABLED"

    deploy(patched_emulator, "recoverable", table)
    until(lambda: recovery(patched_emulator, "recoverable") == "DISABLED")
