"""The stack on this machine: the emulator, the stand-in for OpenAI, the deploy, and the file that says where all of it is."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from easel.contract import settings
from local import deploy, interruption, users
from local.ministack import process

ACCOUNT = "000000000000"
REAL_OPENAI = "https://api.openai.com/v1"
STAND_IN_KEY = "local-stand-in"
STAND_IN_SECONDS = 30


class StackError(RuntimeError):
    """The local stack can't be brought up; one line that says why."""


@dataclass(frozen=True, kw_only=True)
class Local:
    """Where a local stack lives.

    `environment` is that of the caller, and reaches the functions but for secrets; `stand_in` are options of local.openai_server.
    """

    folder: Path
    port: int
    settings: Sequence[str]
    environment: Mapping[str, str]
    stand_in: Sequence[str] = ()

    @property
    def outputs_file(self) -> Path:
        """What tools and tests read."""
        return self.folder / "outputs.json"

    @property
    def processes_file(self) -> Path:
        """The process ids of what was started."""
        return self.folder / "processes.json"

    @property
    def real_openai(self) -> str | None:
        """The OpenAI server that the caller's environment names, None for the stand-in."""
        if self.environment.get("OPENAI_API_KEY") or self.environment.get("OPENAI_BASE_URL"):
            return self.environment.get("OPENAI_BASE_URL") or REAL_OPENAI
        return None


def is_up(local: Local) -> bool:
    """Whether the emulator of this folder is running."""
    started = _started(local)
    return "emulator" in started and process.is_running(started["emulator"])


def paid_server(local: Local) -> str | None:
    """The OpenAI server that the running stack calls for money, None where the stand-in paints."""
    started = _started(local)
    return None if "stand_in" in started else started["openai_base_url"]


def up(local: Local) -> dict[str, Any]:
    """Bring the stack up, or deploy the change to the one that runs; gives the outputs. Leaves nothing running if it fails."""
    given = local.environment.get("OPENAI_API_KEY")
    if local.real_openai and not local.real_openai.startswith(("http://", "https://")):
        raise StackError(f"OPENAI_BASE_URL is {local.real_openai!r}: it has to begin with http:// or https://")
    if is_up(local):
        # The running stack's key stays as it is unless the caller brings another.
        with _synthesis(local) as finish:
            return _deploy(local, finish, key=given)
    local.folder.mkdir(parents=True, exist_ok=True)
    down(local, keep=True)  # what is left of a stack whose emulator was killed
    try:
        with _synthesis(local) as finish:
            _start(local)
            return _deploy(local, finish, key=given or STAND_IN_KEY)
    except BaseException:  # also Ctrl-C: what was started ends
        down(local, keep=True)
        raise


def down(local: Local, *, keep: bool) -> bool:
    """Stop all that was started; drop the data unless `keep`. False where nothing was running."""
    started = _started(local)
    for name in ("emulator", "stand_in"):
        if name in started:
            process.stop(started[name])
    local.processes_file.unlink(missing_ok=True)
    local.outputs_file.unlink(missing_ok=True)
    if not keep:
        shutil.rmtree(local.folder / "emulator", ignore_errors=True)
        shutil.rmtree(_assembly(local), ignore_errors=True)
    return bool(started)


def _started(local: Local) -> dict[str, Any]:
    """What was started and not stopped yet: process ids, the emulator's port, the OpenAI server; empty where nothing was."""
    return dict(json.loads(local.processes_file.read_text())) if local.processes_file.is_file() else {}


def _start(local: Local) -> None:
    environment = dict(local.environment)
    started: dict[str, Any] = {"port": local.port}
    if local.real_openai:
        environment["OPENAI_BASE_URL"] = started["openai_base_url"] = local.real_openai
    else:
        with interruption.held():
            stand_in = _start_stand_in(local)
            started["stand_in"] = stand_in.pid
            _remember(local, started)
        url = _when_ready(stand_in, local.folder / "openai.url")
        started["openai_base_url"] = environment["OPENAI_BASE_URL"] = url
        environment[settings.LOCAL_TOKEN_URL] = f"{url.removesuffix('/v1')}/oauth/token"
    # On AWS the sign-in has a domain of its own.
    environment[settings.LOCAL_SIGN_IN_URL] = _endpoint(local.port)
    folder = local.folder / "emulator"
    folder.mkdir(exist_ok=True)
    emulator = process.start(port=local.port, folder=folder, region=_region(local), base=environment)
    started["emulator"] = emulator.pid
    _remember(local, started)


def _synthesis(local: Local) -> AbstractContextManager[Callable[[], None]]:
    return deploy.synthesis(local.settings, _assembly(local))


def _assembly(local: Local) -> Path:
    return local.folder / "cdk.out"


def _deploy(local: Local, synthesized: Callable[[], None], *, key: str | None) -> dict[str, Any]:
    started = _started(local)
    if local.real_openai and local.real_openai != paid_server(local):
        raise StackError(f"the running stack calls {started['openai_base_url']}, not {local.real_openai}: `make down` first")
    endpoint, region = _endpoint(started["port"]), _region(local)
    clients = _clients(endpoint, region)
    synthesized()
    template = deploy.publish(_assembly(local), endpoint=endpoint, s3=clients["s3"], account=ACCOUNT)
    made = deploy.create_or_update(template, endpoint=endpoint, cloudformation=clients["cloudformation"], ssm=clients["ssm"])
    if key and "OpenAIKeySecret" in made:  # not with openai_workload_identity
        clients["secretsmanager"].put_secret_value(SecretId=made["OpenAIKeySecret"], SecretString=key)
    user = None
    if "PageClientId" in made:  # without the page there is nowhere to sign in
        user = users.ready(clients["cognito-idp"], made["UserPoolId"], kept=local.folder / "emulator" / "password")
    outputs = {
        "endpoint": endpoint,
        "region": region,
        "bucket": made["Bucket"],
        "table": made["Table"],
        "state_machine_arn": made["StateMachineArn"],
        "batch_state_machine_arn": made["BatchStateMachineArn"],
        "api_url": made["ApiUrl"],
        "openai_base_url": started["openai_base_url"],
        "user": user and user.email,
        "password": user and user.password,
    }
    _write(local.outputs_file, outputs, private=True)
    return outputs


def _start_stand_in(local: Local) -> "subprocess.Popen[bytes]":
    ready = local.folder / "openai.url"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "local.openai_server", "--port", "0", "--ready-file", str(ready), *local.stand_in]
    # Each thread that paints would keep memory of its own.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    with (local.folder / "openai.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own module
            command,
            cwd=deploy.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _when_ready(stand_in: "subprocess.Popen[bytes]", ready: Path) -> str:
    deadline = time.monotonic() + STAND_IN_SECONDS
    while not ready.is_file():
        if stand_in.poll() is not None or time.monotonic() > deadline:
            raise StackError(f"the stand-in for OpenAI did not start; see {ready.with_suffix('.log')}")
        time.sleep(0.02)
    return ready.read_text().strip()


def _endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _region(local: Local) -> str:
    context = json.loads((deploy.ROOT / "cdk.json").read_text())["context"]
    given = dict(pair.split("=", 1) for pair in local.settings if "=" in pair)
    return str(given.get("aws_region", context["aws_region"]))


def _clients(endpoint: str, region: str) -> dict[str, Any]:
    session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)  # noqa: S106 - any will do
    config = Config(retries={"mode": "standard"}, read_timeout=120)
    services = ("s3", "cloudformation", "ssm", "secretsmanager", "cognito-idp")
    return {name: session.client(name, endpoint_url=endpoint, config=config) for name in services}  # type: ignore[call-overload]


def _remember(local: Local, started: Mapping[str, Any]) -> None:
    _write(local.processes_file, started)


def _write(path: Path, content: Mapping[str, Any], *, private: bool = False) -> None:
    new = path.with_suffix(".new")
    new.touch(mode=0o600 if private else 0o666)
    new.write_text(json.dumps(content, indent=2) + "\n")
    new.replace(path)
