"""The stack of the fault tests, one for the session.

Its functions reach AWS and OpenAI through proxies.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from botocore.credentials import Credentials

from local import processes, stack
from local.fake_openai import process as fake_openai
from local.stack import Local
from tests.faults.faulty_stack import FaultyStack
from tests.faults.proxy import Proxy
from tests.support.local_stack import free_port, keys, own_environment

SETTINGS = ("monthly_budget_usd=100000",)
# These are boto3's own variables. The deploy and the tests name the emulator explicitly.
SERVICES = ("S3", "DYNAMODB", "SECRETS_MANAGER")


@pytest.fixture(scope="session")
def running_faulty_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    if sys.platform != "linux":
        pytest.skip("which function calls is read from Linux's /proc")
    folder, port = tmp_path_factory.mktemp("faults"), free_port()
    with ExitStack() as ending:
        openai = ending.enter_context(_fake_openai(folder))
        openai_faults = ending.enter_context(closing(Proxy(openai)))
        aws_faults = ending.enter_context(closing(Proxy(f"http://127.0.0.1:{port}")))
        environment = own_environment() | {
            f"AWS_ENDPOINT_URL_{service}": aws_faults.url for service in SERVICES
        }
        # Retries wait hardly at all. The clock of each function is two seconds ahead or behind.
        environment |= {"OPENAI_BASE_URL": f"{openai_faults.url}/v1", "SFN_WAIT_SCALE": "0.02"}
        environment |= {"EASEL_LOCAL_STRICT": "clock_skew=2"}
        local = Local(folder=folder, port=port, settings=SETTINGS, environment=environment)
        ending.callback(stack.down, local, keep=False)
        outputs = stack.up(local) | {"openai_base_url": openai}
        aws_faults.key = Credentials(*keys(outputs).values())
        yield FaultyStack(outputs, aws_faults=aws_faults, openai_faults=openai_faults)


@pytest.fixture
def faulty_stack(running_faulty_stack: FaultyStack) -> FaultyStack:
    """Return the stack with no faults scripted and nothing kept from earlier tests."""
    running_faulty_stack.forget()
    return running_faulty_stack


@contextmanager
def _fake_openai(folder: Path) -> Iterator[str]:
    """Run a fake OpenAI, and yield its base URL."""
    process = fake_openai.start(folder, ["--paint-once"])
    try:
        yield fake_openai.wait_until_ready(process, folder)
    finally:
        processes.stop(process.pid)
        process.wait()
