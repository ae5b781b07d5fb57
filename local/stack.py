"""Bring the stack on this machine up and down: the emulator, the fake OpenAI, and the deploy."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from cli.sign_in import random_password
from easel.contract import settings
from local import deploy, processes
from local.fake_openai import process as fake_openai
from local.ministack import process as ministack
from local.ministack.process import AccessKey, EmulatorConfig

ACCOUNT = "000000000000"
USER = "you@easel.example"
REAL_OPENAI = "https://api.openai.com/v1"
STAND_IN_KEY = "local-stand-in"
ACCESS = ("access_key_id", "secret_access_key")  # outputs that are not printed


class StackError(RuntimeError):
    """The local stack cannot be brought up. The message gives the reason in one line."""


@dataclass(frozen=True, kw_only=True)
class Local:
    """The location of a local stack, and how it is set up.

    `environment` is the caller's environment. The emulator and its functions get only what
    `ministack.process` lists.
    `stand_in` has options of `python -m local.fake_openai`.
    """

    folder: Path
    port: int
    settings: Sequence[str]
    environment: Mapping[str, str]
    stand_in: Sequence[str] = ()

    @property
    def outputs_file(self) -> Path:
        """Return the file with the stack's outputs, which tools and tests read."""
        return self.folder / "outputs.json"

    @property
    def processes_file(self) -> Path:
        """Return the file with the PIDs of the processes that were started, and the access key."""
        return self.folder / "processes.json"

    @property
    def emulator_folder(self) -> Path:
        """Return the folder with everything that the emulator writes."""
        return self.folder / "emulator"

    @property
    def paid_file(self) -> Path:
        """Return the file that exists once the data may contain images from a real OpenAI.

        It is in the emulator's folder, so that it is deleted with the data and never without it.
        """
        return self.emulator_folder / "paid-openai"

    @property
    def assembly(self) -> Path:
        """Return the folder with the synthesized template and its assets."""
        return self.folder / "cdk.out"

    @property
    def real_openai(self) -> str | None:
        """Return the OpenAI server in the caller's environment, or None to use the fake one."""
        if self.environment.get("OPENAI_API_KEY") or self.environment.get("OPENAI_BASE_URL"):
            return self.environment.get("OPENAI_BASE_URL") or REAL_OPENAI
        return None

    @property
    def region(self) -> str:
        """Return the region of the settings, or the region of cdk.json."""
        context = json.loads((deploy.ROOT / "cdk.json").read_text())["context"]
        overrides = dict(pair.split("=", 1) for pair in self.settings if "=" in pair)
        return str(overrides.get("aws_region", context["aws_region"]))


@contextmanager
def private_files() -> Iterator[None]:
    """Create files that only this user can read, here and in the processes started meanwhile."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def started_processes(local: Local) -> dict[str, Any]:
    """Return the PIDs, the emulator's port and key, and the OpenAI server, or {} if it is down."""
    if not local.processes_file.is_file():
        return {}
    return dict(json.loads(local.processes_file.read_text()))


def is_up(local: Local) -> bool:
    """Return whether the emulator of this folder is running."""
    started = started_processes(local)
    return "emulator" in started and processes.is_running(started["emulator"])


def paid_server(local: Local) -> str | None:
    """Return the OpenAI server that the running stack pays, or None if it uses the fake one."""
    started = started_processes(local)
    return None if "stand_in" in started else started["openai_base_url"]


def has_paid_data(local: Local) -> bool:
    """Return whether the data may contain images that a real OpenAI server was paid for."""
    return local.paid_file.is_file()


def up(local: Local) -> dict[str, Any]:
    """Bring the stack up, or deploy the change to the running one, and return the outputs.

    If it fails, nothing keeps running. Only the caller can read the files of the stack, because
    they contain keys, passwords and images.
    """
    with private_files():
        return _up(local)


def _up(local: Local) -> dict[str, Any]:
    key = local.environment.get("OPENAI_API_KEY")
    if local.real_openai and not local.real_openai.startswith(("http://", "https://")):
        raise StackError(
            f"OPENAI_BASE_URL is {local.real_openai!r}; it must begin with http:// or https://"
        )
    if is_up(local):
        # The running stack keeps its key unless the caller gives another.
        with _synthesis(local) as finish:
            return _deploy(local, finish, key=key)
    local.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # If the emulator of a stack was killed, other processes of the stack are left.
    down(local, keep=True)
    try:
        with _synthesis(local) as finish:
            _start(local)
            return _deploy(local, finish, key=key or STAND_IN_KEY)
    except BaseException:  # Ctrl-C also ends every process that was started
        down(local, keep=True)
        raise


def down(local: Local, *, keep: bool, report: Callable[[str], object] = lambda _: None) -> bool:
    """Stop the processes and delete the data unless `keep`. Return False if nothing was running.

    `report` gets a line before each step that may take long.
    """
    started = started_processes(local)
    if "emulator" in started:
        report("Stopping the local AWS. Calls in progress may finish first, for up to 30 s …")
    for name in ("emulator", "stand_in"):
        if name in started:
            processes.stop(started[name], report=report)
    local.processes_file.unlink(missing_ok=True)
    local.outputs_file.unlink(missing_ok=True)
    if not keep and local.emulator_folder.exists():
        report(f"Deleting the data in {local.emulator_folder} …")
    if not keep:
        shutil.rmtree(local.emulator_folder, ignore_errors=True)
        shutil.rmtree(local.assembly, ignore_errors=True)
    return bool(started)


def _start(local: Local) -> None:
    environment = dict(local.environment)
    started: dict[str, Any] = {"port": local.port}
    if local.real_openai:
        url = local.real_openai
    else:
        with processes.defer_signals():
            stand_in = fake_openai.start(local.folder, local.stand_in)
            started["stand_in"] = stand_in.pid
            _write(local.processes_file, started)
        url = fake_openai.wait_until_ready(stand_in, local.folder)
        environment[settings.LOCAL_TOKEN_URL] = f"{url.removesuffix('/v1')}/oauth/token"
    environment["OPENAI_BASE_URL"] = started["openai_base_url"] = url
    # On AWS, the sign-in has its own domain.
    environment[settings.LOCAL_SIGN_IN_URL] = _endpoint(local.port)
    local.emulator_folder.mkdir(exist_ok=True)
    local.emulator_folder.chmod(0o700)  # an earlier version left it open
    if local.real_openai:
        local.paid_file.write_text(f"{url}\n")
    config = EmulatorConfig(
        port=local.port, folder=local.emulator_folder, region=local.region, base=environment
    )
    started |= _access(config.key)
    started["emulator"] = ministack.start(config).pid
    _write(local.processes_file, started)


def _synthesis(local: Local) -> AbstractContextManager[Callable[[], None]]:
    return deploy.synthesis(local.settings, local.assembly)


def _deploy(
    local: Local, finish_synthesis: Callable[[], None], *, key: str | None
) -> dict[str, Any]:
    started = started_processes(local)
    if local.real_openai and local.real_openai != paid_server(local):
        current = started["openai_base_url"]
        raise StackError(
            f"the running stack calls {current}, not {local.real_openai}; run `make down` first"
        )
    if not set(ACCESS) <= set(started):
        raise StackError("an older version started the running stack; run `make down` first")
    endpoint = _endpoint(started["port"])
    access = {name: started[name] for name in ACCESS}
    clients = _clients(endpoint, local.region, access)
    finish_synthesis()
    template = deploy.publish(local.assembly, endpoint=endpoint, s3=clients["s3"], account=ACCOUNT)
    stack = deploy.create_or_update(
        template,
        endpoint=endpoint,
        cloudformation=clients["cloudformation"],
        ssm=clients["ssm"],
    )
    if key and "OpenAIKeySecret" in stack:  # openai_workload_identity needs no key
        secret = stack["OpenAIKeySecret"]
        clients["secretsmanager"].put_secret_value(SecretId=secret, SecretString=key)
    password = None
    if "PageClientId" in stack:  # nobody signs in without the page
        password_file = local.emulator_folder / "password"
        password = _add_user(clients["cognito-idp"], stack["UserPoolId"], password_file)
    outputs = {
        "endpoint": endpoint,
        "region": local.region,
        **access,
        "bucket": stack["Bucket"],
        "table": stack["Table"],
        "state_machine_arn": stack["StateMachineArn"],
        "batch_state_machine_arn": stack["BatchStateMachineArn"],
        "api_url": stack["ApiUrl"],
        "openai_base_url": started["openai_base_url"],
        "user": password and USER,
        "password": password,
    }
    _write(local.outputs_file, outputs)
    return outputs


def _add_user(cognito: Any, pool: str, password_file: Path) -> str:
    """Add the user of the local stack, so that the page can be used immediately.

    Return the password. The file with it is kept and deleted together with the emulator's data.
    """
    if not password_file.is_file():
        password_file.write_text(random_password())
    password = password_file.read_text()
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=USER,
            UserAttributes=[
                {"Name": "email", "Value": USER},
                {"Name": "email_verified", "Value": "true"},
            ],
            MessageAction="SUPPRESS",
        )
    cognito.admin_set_user_password(
        UserPoolId=pool, Username=USER, Password=password, Permanent=True
    )
    return password


def _endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _access(key: AccessKey) -> dict[str, str]:
    return {"access_key_id": key.id, "secret_access_key": key.secret}


def _clients(endpoint: str, region: str, access: Mapping[str, str]) -> dict[str, Any]:
    session = boto3.session.Session(
        aws_access_key_id=access["access_key_id"],
        aws_secret_access_key=access["secret_access_key"],
        region_name=region,
    )
    config = Config(retries={"mode": "standard"}, read_timeout=120)
    create: Callable[..., Any] = session.client
    services = ("s3", "cloudformation", "ssm", "secretsmanager", "cognito-idp")
    return {name: create(name, endpoint_url=endpoint, config=config) for name in services}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)  # a file keeps its mode when it is written again
    new.write_text(json.dumps(content, indent=2) + "\n")
    new.replace(path)
