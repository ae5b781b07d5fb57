"""Fixtures of AWS in memory."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.backends import get_backend

from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from tests.support.cloudformation import CloudFormation, waiting_cloudformation
from tests.support.memory_aws import Clients, ConditionalCopies, OneAtATime, begin_month
from tests.support.services import BUCKET, CAP, OWNER, PUBLIC_BUCKET, REGION, TABLE, FakeServices


@pytest.fixture(scope="session")
def memory() -> Iterator[tuple[Any, Clients]]:
    """Start one AWS in memory for all tests, since making its clients takes half a second."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        with mock_aws() as mock:
            clients = Clients(
                s3=boto3.client("s3"),
                dynamodb=OneAtATime(boto3.client("dynamodb")),
                secretsmanager=boto3.client("secretsmanager"),
            )
            yield mock, clients


@pytest.fixture
def aws(memory: tuple[Any, Clients]) -> Clients:
    """Return the AWS in memory, emptied."""
    for name in ("s3", "dynamodb", "secretsmanager"):
        get_backend(name)[OWNER]["aws" if name == "s3" else REGION].reset()
    return memory[1]


@pytest.fixture
def table(aws: Clients) -> Table:
    keys = {"pk": "HASH", "sk": "RANGE"}
    aws.dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return Table(aws.dynamodb, name=TABLE, sleep=lambda _: None)


@pytest.fixture
def begun(table: Table, aws: Clients) -> None:
    """Let the month begin in the table. Only the tests of its beginning need it empty."""
    begin_month(aws.dynamodb, TABLE)


@pytest.fixture
def budget(table: Table) -> Budget:
    return Budget(table, setting=CAP)


@pytest.fixture
def ledger(table: Table, budget: Budget, begun: None) -> Ledger:
    return Ledger(table, budget)


@pytest.fixture
def s3(aws: Clients) -> Any:
    where = {"LocationConstraint": REGION}
    aws.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    versioned = {"Status": "Enabled"}
    aws.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=versioned)
    return aws.s3


@pytest.fixture
def bucket(s3: Any) -> Bucket:
    return Bucket(ConditionalCopies(s3), name=BUCKET, owner=OWNER)


@pytest.fixture
def services(table: Table, bucket: Bucket, begun: None) -> FakeServices:
    """Return the collaborators of a deployment, in memory."""
    return FakeServices().use(table, bucket)


@pytest.fixture
def public(s3: Any) -> Bucket:
    """Return the bucket of the distribution."""
    where = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=PUBLIC_BUCKET, CreateBucketConfiguration=where)
    return Bucket(s3, name=PUBLIC_BUCKET, owner=OWNER)


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    with waiting_cloudformation() as waiting:
        yield waiting
