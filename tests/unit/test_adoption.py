from collections.abc import Iterable
from typing import Any

import pytest

from easel.contract.errors import ConfigError
from easel.contract.naming import GALLERY_INDEXES, thumbnail_key
from functions import adoption
from tests.support.cloudformation import CloudFormation
from tests.support.memory_aws import Clients
from tests.support.services import BUCKET, OWNER, REGION

KEY = f"arn:aws:kms:{REGION}:{OWNER}:key/11111111-2222-3333-4444-555555555555"
EXISTING = {"Bucket": BUCKET, "Owner": OWNER, "Region": REGION, "ExistingTable": ""}


def check(before: dict[str, Any] | None = None, **properties: Any) -> None:
    adoption.check_bucket(EXISTING | properties, before or {})


def encrypt(s3: Any, key: str | None) -> None:
    """Encrypt the bucket with a KMS key, or with the account's own key if there is none."""
    default = {"SSEAlgorithm": "aws:kms"} | ({"KMSMasterKeyID": key} if key else {})
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration=rules)


def test_versioned_bucket_is_accepted(s3: Any, cloudformation: CloudFormation) -> None:
    adoption.handler(cloudformation.event(EXISTING), None)
    assert (cloudformation.answers[0]["Status"], cloudformation.answers[0]["StackId"]) == (
        "SUCCESS",
        "s",
    )


def test_missing_bucket_fails_deployment_with_reason(
    s3: Any, cloudformation: CloudFormation
) -> None:
    adoption.handler(cloudformation.event(EXISTING | {"Bucket": "none"}), None)
    assert cloudformation.answers[0]["Status"] == "FAILED"
    assert "none" in cloudformation.answers[0]["Reason"]


def test_stack_removal_needs_no_bucket(aws: Any, cloudformation: CloudFormation) -> None:
    adoption.handler(cloudformation.event(EXISTING | {"Bucket": "none"}, kind="Delete"), None)
    assert cloudformation.answers[0]["Status"] == "SUCCESS"


def test_bucket_without_versions_is_refused(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(ConfigError, match="Suspended"):
        check()


def test_bucket_in_other_region_is_refused(s3: Any) -> None:
    with pytest.raises(ConfigError, match="aws_region=ap-southeast-1"):
        check(Region="eu-west-1")


@pytest.mark.parametrize("name", [KEY, KEY.rpartition("/")[2], "alias/a"])
def test_bucket_with_a_key_needs_the_setting(s3: Any, name: str) -> None:
    encrypt(s3, name)

    with pytest.raises(ConfigError, match="bucket_keys"):
        check()
    check(Keys=[KEY])


def test_bucket_with_another_key_is_refused(s3: Any) -> None:
    encrypt(s3, KEY)

    with pytest.raises(ConfigError, match="bucket_keys"):
        check(Keys=[KEY.replace("1111", "2222")])


@pytest.mark.parametrize("name", [None, f"arn:aws:kms:{REGION}:{OWNER}:alias/aws/s3"])
def test_bucket_with_the_service_key_is_accepted(s3: Any, name: str | None) -> None:
    encrypt(s3, name)
    check()


def test_images_without_their_records_are_refused(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=thumbnail_key("a/b.png"), Body=b"any")

    for before in ({}, {"Bucket": "another"}, EXISTING | {"ExistingTable": "records"}):
        with pytest.raises(ConfigError, match="existing_table"):
            check(before)
    check(ExistingTable="records")
    check(ExistingTable="new")
    # By now they are this stack's own images.
    check(EXISTING)
    check(EXISTING | {"ExistingTable": "new"})


def create_table(
    aws: Clients, *, indexes: Iterable[str], view: str | None, key_arn: str | None = None
) -> None:
    """Create a table with these indexes, a stream of this kind, and perhaps a KMS key."""
    encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key_arn} if key_arn else None
    stream = {"StreamEnabled": True, "StreamViewType": view} if view else {"StreamEnabled": False}
    key = [{"AttributeName": "pk", "KeyType": "HASH"}]
    aws.dynamodb.create_table(
        TableName="existing",
        KeySchema=key,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        GlobalSecondaryIndexes=[
            {"IndexName": name, "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}
            for name in indexes
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=stream,
        **({"SSESpecification": encryption} if encryption else {}),
    )


def test_table_is_accepted_with_its_stream(aws: Clients) -> None:
    create_table(aws, indexes=GALLERY_INDEXES, view="NEW_AND_OLD_IMAGES")

    data = adoption.check_table({"Table": "existing"}, {})

    prefix = f"arn:aws:dynamodb:{REGION}:{OWNER}:table/existing/stream/"
    assert data["StreamArn"].startswith(prefix)


@pytest.mark.parametrize("view", [None, "KEYS_ONLY"])
def test_table_without_stream_is_refused(aws: Clients, view: str | None) -> None:
    create_table(aws, indexes=GALLERY_INDEXES, view=view)

    with pytest.raises(ConfigError, match=f"is {view or 'off'}; set it to NEW_AND_OLD_IMAGES"):
        adoption.check_table({"Table": "existing"}, {})


def test_table_of_another_program_is_refused(aws: Clients) -> None:
    create_table(aws, indexes=["by_time", "theirs"], view="NEW_AND_OLD_IMAGES")

    with pytest.raises(ConfigError, match="no index by_folder, by_folder_topic, by_topic"):
        adoption.check_table({"Table": "existing"}, {})


def test_table_with_a_key_needs_the_setting(aws: Clients) -> None:
    create_table(aws, indexes=GALLERY_INDEXES, view="NEW_AND_OLD_IMAGES", key_arn=KEY)

    with pytest.raises(ConfigError, match="existing_key"):
        adoption.check_table({"Table": "existing"}, {})
    assert adoption.check_table({"Table": "existing", "Keys": [KEY]}, {})["StreamArn"]
