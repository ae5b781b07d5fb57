"""Deploys to the local AWS: what a stack refuses, what it changes, and what it keeps."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local import processes, stack
from local.deploy import ROOT, DeployError
from local.ministack import process
from local.ministack.process import EmulatorConfig
from local.stack import Local
from tests.e2e.test_batches import run, upload
from tests.support.api_caller import machine
from tests.support.command_line import easel
from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low"}
CHANGED = ("folder_name=changed", "monthly_budget_usd=7")


@pytest.fixture
def emulator(local: Local) -> Callable[[], LocalStack]:
    """Return a function that starts the emulator of that stack with nothing deployed."""

    def start() -> LocalStack:
        folder = local.folder / "emulator"
        folder.mkdir(parents=True)
        config = EmulatorConfig(
            port=local.port, folder=folder, region="ap-southeast-1", base=local.environment
        )
        running = process.start(config)
        access = {"access_key_id": config.key.id, "secret_access_key": config.key.secret}
        started = access | {
            "port": local.port,
            "emulator": running.pid,
            "openai_base_url": "http://127.0.0.1:9/v1",
        }
        local.processes_file.write_text(json.dumps(started))
        outputs = access | {
            "endpoint": f"http://127.0.0.1:{local.port}",
            "region": "ap-southeast-1",
            "bucket": "mine",
            "state_machine_arn": "",
        }
        return LocalStack(outputs)

    return start


def test_existing_bucket_needs_versions(local: Local, emulator: Callable[[], LocalStack]) -> None:
    theirs, mine = emulator(), replace(local, settings=("bucket_name=mine", "existing_bucket=true"))
    with pytest.raises(DeployError, match="existing bucket mine"):
        stack.up(mine)  # it does not exist

    location = {"LocationConstraint": "ap-southeast-1"}
    theirs.s3.create_bucket(Bucket="mine", CreateBucketConfiguration=location)
    theirs.s3.put_object(Bucket="mine", Key="theirs.txt", Body=b"x")
    with pytest.raises(DeployError, match="versioning of the existing bucket mine is off"):
        stack.up(mine)

    theirs.s3.put_bucket_versioning(Bucket="mine", VersioningConfiguration={"Status": "Enabled"})
    assert stack.up(mine)["bucket"] == "mine"
    assert theirs.keys("") == ["theirs.txt"]


def test_up_deploys_changes_and_down_keeps_images(local: Local) -> None:
    aws = LocalStack(stack.up(local))
    key = aws.run({"request_id": "keep-me", **SMALL})["report"]["pictures"][0]["key"]
    outputs = stack.up(replace(local, settings=CHANGED))
    assert outputs["bucket"] == aws.bucket

    changed = LocalStack(outputs).run(SMALL)["report"]["pictures"][0]["key"]
    assert changed.startswith("changed/")
    stack.down(local, keep=True)
    assert not local.outputs_file.exists()

    redeployed = LocalStack(stack.up(local))
    assert {key, changed} <= set(redeployed.keys(""))
    assert redeployed.run({"request_id": "keep-me", **SMALL})["report"]["pictures"][0]["key"] == key
    assert redeployed.charges()["images"] == 0

    stack.down(local, keep=False)
    assert not (local.folder / "emulator").exists()


def test_up_after_killed_emulator_starts_one_stand_in(local: Local) -> None:
    stack.up(local)
    before = json.loads(local.processes_file.read_text())
    os.killpg(before["emulator"], signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.is_running(before["emulator"]), seconds=60)

    after = stack.up(local)

    assert not processes.is_running(before["stand_in"])
    assert LocalStack(after).run(SMALL)["status"] == "SUCCEEDED"


def cap(aws: LocalStack) -> float:
    """Return the month's cap as the API shows it."""
    return float(machine(aws)("POST", "/estimate", {"topic": "Sport"}).json["budget"]["cap_usd"])


def test_first_reader_writes_a_changed_cap(local: Local) -> None:
    assert cap(LocalStack(stack.up(local))) == 25

    # Each role needs the permission to change the month's record, because any may be the first.
    aws = LocalStack(stack.up(replace(local, settings=CHANGED)))
    assert cap(aws) == 7

    aws = LocalStack(stack.up(local))
    upload(aws, {"topic": "Sport"}, key="batches/first.jsonl")
    assert run(aws, manifest="batches/first.jsonl", dry_run=True)["status"] == "SUCCEEDED"
    assert cap(aws) == 25


def test_missing_program_sign_in_is_named(local: Local, tmp_path: Path) -> None:
    aws = LocalStack(stack.up(replace(local, settings=("program_sign_in=false",))))

    token = easel(aws, tmp_path, "token")

    assert token.returncode == 1
    assert "deploy it with -c program_sign_in=true" in token.stderr


def test_oldest_region_works_without_location_constraint(local: Local) -> None:
    outputs = stack.up(replace(local, settings=("aws_region=us-east-1",)))
    assert outputs["region"] == "us-east-1"
    assert LocalStack(outputs).run({"aws_region": "us-east-1", **SMALL})["status"] == "SUCCEEDED"


def test_customer_key_works_and_can_be_added_later(local: Local) -> None:
    stack.up(local)
    outputs = stack.up(replace(local, settings=("customer_key=true",)))
    aws = LocalStack(outputs)
    (key,) = aws.client("kms").list_keys()["Keys"]
    assert aws.client("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    # The local AWS accepts a bucket's encryption but does not report it, so the tests of the
    # template check it.
    assert {
        group.get("kmsKeyId") for group in aws.client("logs").describe_log_groups()["logGroups"]
    } == {key["KeyArn"]}

    execution = aws.run(SMALL)
    assert execution["status"] == "SUCCEEDED"
    assert execution["report"]["pictures"][0]["key"] in aws.keys("")


def test_outputs_contain_what_tools_need(aws: LocalStack) -> None:
    assert set(aws.outputs) == {
        "endpoint",
        "region",
        "access_key_id",
        "secret_access_key",
        "bucket",
        "table",
        "state_machine_arn",
        "batch_state_machine_arn",
        "api_url",
        "openai_base_url",
        "user",
        "password",
    }


def test_taken_port_is_reported_and_leaves_nothing(aws: LocalStack, local: Local) -> None:
    port = aws.outputs["endpoint"].rpartition(":")[2]
    command = [sys.executable, "-m", "local", "up", "--port", port, "--folder", str(local.folder)]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert f"port {port} is in use" in result.stderr
    assert "PORT=" in result.stderr
    assert not local.processes_file.exists()


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_invalid_port_is_reported_in_one_line(tmp_path: Path, port: str) -> None:
    command = [sys.executable, "-m", "local", "up", f"--port={port}", "--folder", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert f"port {port}" in result.stderr


def test_key_in_environment_reaches_only_the_secret(local: Local) -> None:
    environment = {
        **local.environment,
        "OPENAI_API_KEY": "sk-mine-1234",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }
    mine = replace(local, environment=environment)
    aws = LocalStack(stack.up(mine))
    assert aws.outputs["openai_base_url"] == "http://127.0.0.1:9/v1"

    emulator = json.loads(mine.processes_file.read_text())["emulator"]
    assert b"sk-mine" not in Path(f"/proc/{emulator}/environ").read_bytes()
    (secret,) = aws.client("secretsmanager").list_secrets()["SecretList"]

    def kept() -> str:
        return str(
            aws.client("secretsmanager").get_secret_value(SecretId=secret["ARN"])["SecretString"]
        )

    assert kept() == "sk-mine-1234"

    # A shell without the key's variables still deploys to the stack that calls the paid server.
    stack.up(local)
    assert kept() == "sk-mine-1234"
    assert stack.paid_server(local) == "http://127.0.0.1:9/v1"


def test_missing_key_error_explains_how_to_set_it(
    local: Local, emulator: Callable[[], LocalStack]
) -> None:
    emulator()
    aws = LocalStack(stack.up(local))
    secrets: Any = aws.client("secretsmanager")
    (secret,) = secrets.list_secrets()["SecretList"]
    secrets.put_secret_value(SecretId=secret["ARN"], SecretString=" ")

    execution = aws.run({"folder_name": "keyless", **SMALL})

    assert execution["error"] == "ConfigError"
    assert "make secret" in execution["cause"]
    assert secret["Name"] in execution["cause"] or secret["ARN"] in execution["cause"]


def test_keyless_stack_makes_images_without_a_secret(local: Local, tmp_path: Path) -> None:
    quick = {**local.environment, "SFN_WAIT_SCALE": "0.02"}
    aws = LocalStack(
        stack.up(
            replace(local, settings=("openai_workload_identity=idp_1/sa_2",), environment=quick)
        )
    )
    assert not aws.client("secretsmanager").list_secrets()["SecretList"]
    assert aws.run({"folder_name": "keyless", **SMALL})["report"]["stored"] == 1

    upload(aws, {"description": "A lamp.", "folder_name": "keyless"}, key="batches/keyless.jsonl")
    assert run(aws, manifest="batches/keyless.jsonl", economy=True)["report"]["stored"] == 1
    result = easel(aws, tmp_path, "secret", text="sk-any\n")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "no OpenAI key" in result.stderr
