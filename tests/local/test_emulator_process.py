"""Starting and ending the emulator."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.ministack import process, process_table
from tests.local.conftest import REGION, Emulator, until
from tests.support.local_stack import free_port

STEP = """
import json, os, pathlib, time

def handler(event, context):
    if "mark" in event:
        pathlib.Path(event["mark"]).touch()
    time.sleep(event.get("seconds", 0))
    return sorted(os.environ)
"""


@pytest.fixture
def started() -> Iterator[list[int]]:
    """Processes that a test has started, ended whatever happens."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        process.stop(pid)


def start(folder: Path, started: list[int], *, module: str = "local.emulator") -> Emulator:
    base = {**os.environ, "OPENAI_API_KEY": "a secret", "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1"}
    port = free_port()
    started.append(process.start(port=port, folder=folder, region=REGION, base=base, module=module).pid)
    return Emulator(port)


def folders_of_workers(folder: Path) -> list[Path]:
    return list(folder.glob("tmp/ministack-lambda-*"))


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_environment_holds_no_secret_and_all_state_in_the_folder(tmp_path: Path) -> None:
    base = {"OPENAI_API_KEY": "x", "PYTHONPATH": "x", "AWS_PROFILE": "x", "AWS_SECRET_ACCESS_KEY": "real", "HOME": "/home"}
    env = process.environment(base, port=4567, folder=tmp_path, region=REGION)
    assert not {"OPENAI_API_KEY", "PYTHONPATH", "AWS_PROFILE"} & set(env)
    assert env["NO_PROXY"] == "127.0.0.1,localhost"
    assert (env["HOME"], env["AWS_SECRET_ACCESS_KEY"]) == ("/home", "test")
    assert (env["BIND_HOST"], env["GATEWAY_PORT"], env["MINISTACK_REGION"]) == ("127.0.0.1", "4567", REGION)
    for name in ("TMPDIR", "STATE_DIR", "S3_DATA_DIR"):
        assert Path(env[name]).is_dir()
        assert Path(env[name]).parent == tmp_path.resolve()
    assert (env["PERSIST_STATE"], env["S3_PERSIST"]) == ("1", "1")
    assert process.environment(base, port=1, folder=tmp_path, region=REGION, keep=False)["PERSIST_STATE"] == "0"


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(process.PortInUseError, match=f"port {port} .*PORT="):
            process.start(port=port, folder=tmp_path, region=REGION)


def test_an_early_end_shows_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(process.EmulatorError, match=r"No module named local\.emulator\.nowhere"):
        process.start(port=free_port(), folder=tmp_path, region=REGION, module="local.emulator.nowhere")


def test_a_kept_stack_comes_back_with_all_that_it_had(tmp_path: Path, started: list[int]) -> None:
    first = start(tmp_path, started)
    function = first.create_function(STEP)
    assert not {"OPENAI_API_KEY", "PYTHONPATH"} & set(names := first.invoke(function, {}))
    assert "AWS_ENDPOINT_URL_SQS" in names
    first.s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    first.s3.put_object(Bucket="kept", Key="folder/picture", Body=b"\x00\xff")
    table = {"TableName": "kept", "BillingMode": "PAY_PER_REQUEST"}
    key = {"AttributeName": "pk", "AttributeType": "S"}
    first.client("dynamodb").create_table(**table, AttributeDefinitions=[key], KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}])
    first.client("dynamodb").put_item(TableName="kept", Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    machine = first.create_machine("Stop", {"Stop": {"Type": "Fail", "Error": "Red"}})
    execution = first.begin(machine)
    first.ended(execution)
    assert folders_of_workers(tmp_path)

    process.stop(started[0])
    assert not folders_of_workers(tmp_path)
    assert not process.is_running(started[0])

    second = start(tmp_path, started)
    assert second.s3.get_object(Bucket="kept", Key="folder/picture")["Body"].read() == b"\x00\xff"
    assert second.client("dynamodb").get_item(TableName="kept", Key={"pk": {"S": "a"}})["Item"]["n"] == {"N": "1"}
    assert "HOME" in second.invoke(function, {})
    assert second.status(execution) == "FAILED"
    assert second.ended(second.begin(machine))["error"] == "Red"
    second.states.redrive_execution(executionArn=execution)
    assert second.ended(execution)["redriveCount"] == 1


# object_bodies


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux alone tells it so simply")
def test_the_bytes_of_versions_are_on_disk_alone(tmp_path: Path, started: list[int]) -> None:
    size, count = 2_000_000, 32

    def growth(module: str) -> float:
        """How much more memory the emulator has for each byte that was put."""
        s3 = start(tmp_path / module, started, module=module).s3
        s3.create_bucket(Bucket="versions", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="versions", Key="first", Body=bytes(size))
        before = resident(started[-1])
        for number in range(count):
            s3.put_object(Bucket="versions", Key=f"key-{number}", Body=bytes(size))
        return (resident(started[-1]) - before) / (size * count)

    assert growth("ministack") > 0.9, "plain MiniStack now drops them: delete the patch"
    assert growth("local.emulator") < 0.3


def test_each_version_can_be_read_also_after_a_restart(tmp_path: Path, started: list[int]) -> None:
    s3 = start(tmp_path, started).s3
    s3.create_bucket(Bucket="versions", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    versions = {s3.put_object(Bucket="versions", Key="key", Body=body)["VersionId"]: body for body in (b"first", b"second")}
    versions[s3.copy_object(Bucket="versions", Key="key", CopySource="versions/key")["VersionId"]] = b"second"
    marker = s3.delete_object(Bucket="versions", Key="key")["VersionId"]

    def read(**version: str) -> bytes:
        return bytes(s3.get_object(Bucket="versions", Key="key", **version)["Body"].read())

    assert {version: read(VersionId=version) for version in versions} == versions
    process.stop(started[0])
    s3 = start(tmp_path, started).s3
    assert {version: read(VersionId=version) for version in versions} == versions
    s3.delete_object(Bucket="versions", Key="key", VersionId=marker)
    assert read() == b"second"
    s3.delete_object(Bucket="versions", Key="key", VersionId=list(versions)[-1])
    s3.delete_object(Bucket="versions", Key="key", VersionId=list(versions)[-2])
    assert read() == b"first"


def test_plain_ministack_leaves_folders_of_workers_behind(tmp_path: Path, started: list[int]) -> None:
    plain = start(tmp_path, started, module="ministack")
    plain.invoke(plain.create_function(STEP), {})
    process.stop(started[0])
    assert folders_of_workers(tmp_path), "plain MiniStack now removes them: delete lambda_workers.end_all"


def test_ends_and_saves_although_a_call_is_under_way(tmp_path: Path, started: list[int]) -> None:
    emulator = start(tmp_path, started)
    emulator.s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    function = emulator.create_function(STEP, timeout=300)

    def call() -> None:
        with pytest.raises((BotoCoreError, ClientError, AssertionError)):
            assert "errorType" not in emulator.invoke(function, {"mark": str(tmp_path / "called"), "seconds": 300})

    caller = threading.Thread(target=call)
    caller.start()
    until((tmp_path / "called").exists)
    assert len(process_table.living(started[0])) == 2
    process.stop(started[0], patience_s=4)
    caller.join()
    assert not process_table.living(started[0])
    assert not folders_of_workers(tmp_path)
    assert "kept" in json.dumps(json.loads((tmp_path / "state" / "s3.json").read_text()))


def test_functions_of_a_killed_emulator_are_ended(tmp_path: Path, started: list[int]) -> None:
    emulator = start(tmp_path, started)
    function = emulator.create_function(STEP, timeout=300)
    emulator.functions.invoke(
        FunctionName=function, InvocationType="Event", Payload=json.dumps({"mark": str(tmp_path / "called"), "seconds": 300})
    )
    until((tmp_path / "called").exists)
    os.kill(started[0], signal.SIGKILL)
    until(lambda: not process.is_running(started[0]))
    assert process_table.living(started[0])
    process.stop(started[0])
    assert not process_table.living(started[0])


def test_refuses_a_number_of_workers_that_is_none(tmp_path: Path) -> None:
    base = {**os.environ, "EASEL_LOCAL_WORKERS": "0"}
    with pytest.raises(process.EmulatorError, match="EASEL_LOCAL_WORKERS is '0'"):
        process.start(port=free_port(), folder=tmp_path, region=REGION, base=base)


def test_both_ways_to_list_processes_agree() -> None:
    this = os.getpid()
    assert next(row[:2] for row in process_table._from_ps() if row[0] == this) == (this, os.getpgrp())
    if Path("/proc/self/stat").exists():
        assert next(row[:2] for row in process_table._from_proc() if row[0] == this) == (this, os.getpgrp())


def test_stop_leaves_other_processes_alone() -> None:
    # A file of process ids may name one that the machine has given to somebody else since.
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        process.stop(other.pid)
        assert other.poll() is None
