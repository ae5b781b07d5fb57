"""The start and the end of the emulator."""

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local import processes
from local.ministack import process
from local.ministack.process import EmulatorConfig
from tests.support.emulator import REGION, Launcher, until
from tests.support.local_stack import free_port

STEP = """
import json, os, pathlib, time

def handler(event, context):
    if "mark" in event:
        pathlib.Path(event["mark"]).touch()
    time.sleep(event.get("seconds", 0))
    return sorted(os.environ)
"""


def folders_of_workers(folder: Path) -> list[Path]:
    return list(folder.glob("tmp/ministack-lambda-*"))


def test_environment_has_no_secret_and_stays_in_folder(tmp_path: Path) -> None:
    names = ("OPENAI_API_KEY", "PYTHONPATH", "AWS_PROFILE", "AWS_SESSION_TOKEN", "GITHUB_TOKEN")
    secrets = dict.fromkeys(names, "x")
    base = {**secrets, "AWS_SECRET_ACCESS_KEY": "real", "HOME": "/home"}
    config = EmulatorConfig(port=4567, folder=tmp_path, region=REGION, base=base)
    temporary = EmulatorConfig(port=1, folder=tmp_path, region=REGION, keep=False, base=base)

    env = config.environment()

    assert not secrets.keys() & set(env)
    assert env["NO_PROXY"] == "127.0.0.1,localhost"
    assert (env["HOME"], env["AWS_SECRET_ACCESS_KEY"]) == ("/home", config.key.secret)
    assert temporary.key.secret != config.key.secret
    assert config.key.secret not in repr(config)
    assert (env["BIND_HOST"], env["GATEWAY_PORT"]) == ("127.0.0.1", "4567")
    assert env["MINISTACK_REGION"] == REGION
    for name in ("TMPDIR", "STATE_DIR", "S3_DATA_DIR"):
        assert Path(env[name]).is_dir()
        assert Path(env[name]).parent == tmp_path.resolve()
    assert (env["PERSIST_STATE"], env["S3_PERSIST"]) == ("1", "1")
    assert temporary.environment()["PERSIST_STATE"] == "0"


def test_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(process.PortInUseError, match=f"port {port} .*PORT="):
            process.start(EmulatorConfig(port=port, folder=tmp_path, region=REGION))


def test_early_exit_shows_end_of_log(tmp_path: Path) -> None:
    config = EmulatorConfig(port=free_port(), folder=tmp_path, region=REGION)
    missing = r"No module named local\.ministack\.nowhere"
    with pytest.raises(process.EmulatorError, match=missing):
        process.start(config, module="local.ministack.nowhere")


def test_kept_stack_restores_all_its_data(tmp_path: Path, launch: Launcher) -> None:
    first = launch(tmp_path)
    function = first.create_function(STEP)
    names = set(first.invoke(function, {}))
    assert not {"OPENAI_API_KEY", "GITHUB_TOKEN", "PYTHONPATH"} & names
    assert "AWS_ENDPOINT_URL_SQS" in names
    first.create_bucket("kept")
    first.s3.put_object(Bucket="kept", Key="folder/picture", Body=b"\x00\xff")
    dynamodb = first.client("dynamodb")
    dynamodb.create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    dynamodb.put_item(TableName="kept", Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    machine = first.create_machine("Stop", {"Stop": {"Type": "Fail", "Error": "Red"}})
    execution = first.begin(machine)
    first.wait_for_end(execution)
    assert folders_of_workers(tmp_path)

    processes.stop(first.pid)

    assert not folders_of_workers(tmp_path)
    assert not processes.is_running(first.pid)

    second = launch(tmp_path)

    picture = second.s3.get_object(Bucket="kept", Key="folder/picture")
    assert picture["Body"].read() == b"\x00\xff"
    item = second.client("dynamodb").get_item(TableName="kept", Key={"pk": {"S": "a"}})["Item"]
    assert item["n"] == {"N": "1"}
    assert "HOME" in second.invoke(function, {})
    assert second.status(execution) == "FAILED"
    assert second.wait_for_end(second.begin(machine))["error"] == "Red"
    second.states.redrive_execution(executionArn=execution)
    assert second.wait_for_end(execution)["redriveCount"] == 1


def test_plain_ministack_leaves_worker_folders(tmp_path: Path, launch: Launcher) -> None:
    plain_emulator = launch(tmp_path, module="ministack")
    plain_emulator.invoke(plain_emulator.create_function(STEP), {})

    processes.stop(plain_emulator.pid)

    assert folders_of_workers(tmp_path), "plain MiniStack removes them: delete workers.end_all"


def test_emulator_saves_and_ends_during_a_call(tmp_path: Path, launch: Launcher) -> None:
    emulator = launch(tmp_path)
    emulator.create_bucket("kept")
    function = emulator.create_function(STEP, timeout=300)
    event = {"mark": str(tmp_path / "called"), "seconds": 300}

    def call() -> None:
        with pytest.raises((BotoCoreError, ClientError, AssertionError)):
            assert "errorType" not in emulator.invoke(function, event)

    caller = threading.Thread(target=call)
    caller.start()
    until((tmp_path / "called").exists)
    assert len(processes.living_processes(emulator.pid)) == 2

    processes.stop(emulator.pid, patience_s=4)

    caller.join()
    assert not processes.living_processes(emulator.pid)
    assert not folders_of_workers(tmp_path)
    assert "kept" in json.dumps(json.loads((tmp_path / "state" / "s3.json").read_text()))


def test_functions_of_killed_emulator_are_ended(tmp_path: Path, launch: Launcher) -> None:
    emulator = launch(tmp_path)
    function = emulator.create_function(STEP, timeout=300)
    event = {"mark": str(tmp_path / "called"), "seconds": 300}
    emulator.functions.invoke(
        FunctionName=function, InvocationType="Event", Payload=json.dumps(event)
    )
    until((tmp_path / "called").exists)
    os.kill(emulator.pid, signal.SIGKILL)
    until(lambda: not processes.is_running(emulator.pid))
    assert processes.living_processes(emulator.pid)

    processes.stop(emulator.pid)

    assert not processes.living_processes(emulator.pid)


def test_invalid_number_of_workers_is_refused(tmp_path: Path) -> None:
    base = {**os.environ, "EASEL_LOCAL_WORKERS": "0"}
    config = EmulatorConfig(port=free_port(), folder=tmp_path, region=REGION, base=base)
    with pytest.raises(process.EmulatorError, match="EASEL_LOCAL_WORKERS is '0'"):
        process.start(config)
