"""A stack that is destroyed and deployed again keeps its data, and pays for nothing twice."""

import shlex
from dataclasses import replace
from typing import Any

import pytest

from local import stack
from local.deploy import STACK, DeployError
from local.stack import STAND_IN_KEY, Local
from tests.e2e.test_batches import SMALL, run, upload
from tests.support.local_stack import LocalStack

LINES = [SMALL | {"prompt": f"Kite {number}"} for number in range(3)]


def destroy(aws: LocalStack) -> None:
    """Delete the stack, as `make destroy` does on AWS, after its events were sent."""
    aws.until(
        lambda: (
            sent_events(aws) >= sum(key.endswith(".png.webp") for key in aws.keys("thumbnails/"))
        )
    )
    cloudformation = aws.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)
    aws.until(lambda: not stacks(cloudformation))


def sent_events(aws: LocalStack) -> int:
    return sum(line.count("ImageStored") for line in aws.log_lines() if "events sent" in line)


def stacks(cloudformation: Any) -> list[str]:
    return [
        each["StackName"]
        for each in cloudformation.describe_stacks()["Stacks"]
        if each["StackStatus"] != "DELETE_COMPLETE"
    ]


def outputs(aws: LocalStack) -> dict[str, str]:
    (described,) = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def users(aws: LocalStack, pool: str) -> list[tuple[str, str]]:
    listed = aws.client("cognito-idp").list_users(UserPoolId=pool)["Users"]
    return [(user["Username"], user["Attributes"][0]["Value"]) for user in listed]


def test_destroyed_stack_comes_back_with_its_data(local: Local) -> None:
    aws = LocalStack(stack.up(replace(local, settings=("customer_key=true",))))
    upload(aws, *LINES, key="batches/spring.jsonl")
    before = run(aws, manifest="batches/spring.jsonl")["report"]
    first, paid = outputs(aws), aws.charges()["images"]
    members, kept = users(aws, first["UserPoolId"]), sorted(aws.keys(""))
    assert (before["stored"], paid) == (3, 3)

    destroy(aws)
    assert sorted(aws.keys("")) == kept
    settings = tuple(word for word in shlex.split(first["ComeBack"]) if word != "-c")
    stack.up(replace(local, settings=settings))
    without_table = tuple(word for word in settings if not word.startswith("existing_table"))
    with pytest.raises(DeployError, match="existing_table"):
        stack.up(replace(local, settings=without_table))
    again = LocalStack(stack.up(replace(local, settings=settings)))

    second = outputs(again)
    same = ("Bucket", "Table", "UserPoolId", "ComeBack")
    assert [second[name] for name in same] == [first[name] for name in same]
    assert users(again, second["UserPoolId"]) == members
    assert len(members) == 1
    after = run(again, manifest="batches/spring.jsonl")["report"]
    assert after["stored"] == 3
    assert again.charges()["images"] == paid
    key = shlex.split(first["ComeBack"])[-1].partition("=")[2]
    (alias,) = again.client("kms").list_aliases(KeyId=key)["Aliases"]
    assert alias["AliasName"] == "alias/easel"


def test_images_without_their_table_are_refused(local: Local) -> None:
    aws = LocalStack(stack.up(local))
    aws.run(LINES[0])
    settings = ("existing_bucket=true", f"bucket_name={aws.bucket}")
    destroy(aws)

    with pytest.raises(DeployError, match="existing_table"):
        stack.up(replace(local, settings=settings))

    again = LocalStack(stack.up(replace(local, settings=(*settings, "existing_table=new"))))
    # Only the data is kept. The new stack's secret is empty, as after any first deployment.
    secret = outputs(again)["OpenAIKeySecret"]
    again.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=STAND_IN_KEY)
    execution = again.run(LINES[0])
    assert execution["status"] == "SUCCEEDED", execution["cause"]
