"""A stack of its own for the fault tests, one for the session: its functions reach AWS and OpenAI through proxies."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from local import deploy, stack
from local.stack import Local
from tests.faults.proxy import Proxy
from tests.faults.faulty_stack import Storm
from tests.support.local_stack import free_port, own_environment

READY_SECONDS = 30
SETTINGS = ("monthly_budget_usd=100000",)
# boto3's own variables; the deploy and the tests name the emulator itself.
SERVICES = ("S3", "DYNAMODB", "SECRETS_MANAGER")


@pytest.fixture(scope="session")
def running_storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    if sys.platform != "linux":
        pytest.skip("which function calls is read from Linux's /proc")
    folder, port = tmp_path_factory.mktemp("storm"), free_port()
    with ExitStack() as ending:
        stand_in = ending.enter_context(_stand_in(folder))
        openai_faults = ending.enter_context(closing(Proxy(stand_in)))
        aws_faults = ending.enter_context(closing(Proxy(f"http://127.0.0.1:{port}")))
        environment = own_environment() | {f"AWS_ENDPOINT_URL_{service}": aws_faults.url for service in SERVICES}
        # Hardly any waiting between retries.
        environment |= {"OPENAI_BASE_URL": f"{openai_faults.url}/v1", "SFN_WAIT_SCALE": "0.02"}
        local = Local(folder=folder, port=port, settings=SETTINGS, environment=environment)
        ending.callback(stack.down, local, keep=False)
        outputs = stack.up(local) | {"openai_base_url": stand_in}
        yield Storm(outputs, aws_faults=aws_faults, openai_faults=openai_faults)


@pytest.fixture
def stormy(running_storm: Storm) -> Storm:
    """The stack in fair weather: nothing scripted, nothing remembered of the tests before."""
    running_storm.forget()
    return running_storm


@contextmanager
def _stand_in(folder: Path) -> Iterator[str]:
    """The stand-in's base URL while it runs."""
    ready = folder / "stand-in.url"
    command = [sys.executable, "-m", "local.openai_server", "--port", "0", "--ready-file", str(ready), "--paint-once"]
    # A session of its own: Ctrl-C ends it by the way of the fixture.
    with (folder / "stand-in.log").open("wb") as log:
        running = subprocess.Popen(
            command, cwd=deploy.ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not ready.is_file():
            assert running.poll() is None, (folder / "stand-in.log").read_text()
            assert time.monotonic() < deadline, "the stand-in does not get ready"
            time.sleep(0.02)
        yield ready.read_text().strip()
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
