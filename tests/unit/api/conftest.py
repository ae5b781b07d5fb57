"""Fixtures with the API on an AWS in memory."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.backends import get_backend

from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.contract import naming
from easel.runs.executions import Executions
from functions.api.links import (
    READ_SECONDS,
    UPLOAD_SECONDS,
    ImageLinks,
    Signer,
    SigningConfig,
    UploadLinks,
)
from tests.support.api import BATCH_MACHINE, MACHINE, READER, UPLOADER, Api, api_settings
from tests.support.memory_aws import OneAtATime, begin_month
from tests.support.services import BUCKET, OWNER, REGION, FakeServices

TABLE = "gallery"  # shares the memory with the other unit tests


@pytest.fixture(scope="session")
def memory() -> Iterator[tuple[Any, Any, Any]]:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        with mock_aws():
            dynamodb = OneAtATime(boto3.client("dynamodb"))
            yield dynamodb, boto3.client("stepfunctions"), boto3.client("sts")


@pytest.fixture
def api(memory: tuple[Any, Any, Any]) -> Iterator[Api]:
    dynamodb, states, sts = memory
    keys = {"pk", "sk", "at_id", *naming.GALLERY_INDEXES.values()}
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=_key("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        GlobalSecondaryIndexes=[
            {
                "IndexName": name,
                "KeySchema": _key(key, "at_id"),
                "Projection": {"ProjectionType": "ALL"},
            }
            for name, key in naming.GALLERY_INDEXES.items()
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    begin_month(dynamodb, TABLE)
    for name in ("easel", "batches"):
        states.create_state_machine(name=name, definition="{}", roleArn=READER)
    table = Table(dynamodb, name=TABLE, sleep=lambda _: None)
    services = FakeServices().use(table, Bucket(None, name=BUCKET, owner=OWNER))
    services.api = api_settings()
    services.executions = Executions(states, machine=MACHINE)
    services.batch_executions = Executions(states, machine=BATCH_MACHINE)
    services.image_links = ImageLinks(_signer(sts, READER, READ_SECONDS))
    services.upload_links = UploadLinks(_signer(sts, UPLOADER, UPLOAD_SECONDS))
    yield Api(services=services, table=table, dynamodb=dynamodb, states=states)
    for machine in (MACHINE, BATCH_MACHINE):
        for execution in states.list_executions(stateMachineArn=machine)["executions"]:
            states.stop_execution(executionArn=execution["executionArn"])
        states.delete_state_machine(stateMachineArn=machine)
    dynamodb.delete_table(TableName=TABLE)


@pytest.fixture(scope="session")
def s3(memory: tuple[Any, Any, Any]) -> Any:
    return boto3.client("s3")


@pytest.fixture
def bucket(api: Api, s3: Any) -> Bucket:
    """Give the API a bucket."""
    get_backend("s3")[OWNER]["aws"].reset()
    where = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    versioned = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=versioned)
    api.services.bucket = Bucket(s3, name=BUCKET, owner=OWNER)
    return api.services.bucket


def _signer(sts: Any, role: str, seconds: int) -> Signer:
    signing = SigningConfig(role=role, session="test", bucket=BUCKET, region=REGION)
    return Signer(sts, signing, seconds=seconds)


def _key(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]
