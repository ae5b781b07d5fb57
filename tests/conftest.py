"""The local stack, which the whole session shares, and the check of IAM's decisions at the end.

The fixture `aws` clears the stand-in before each test.
"""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import assemblies, stack
from local.ministack.iam import DECISIONS
from local.stack import Local
from tests.support.api_caller import Caller, machine
from tests.support.local_stack import LocalStack, free_port, own_environment

# Nobody listens there. A test of notifications lets a webhook call its own receiver.
CHANNELS = (
    'webhooks=[{"name": "shop", "url": "http://127.0.0.1:9/shop"},'
    ' {"name": "chat", "url": "http://127.0.0.1:9/chat", "form": "slack"}]',
    "notify_email=team@easel.example",
)
_folder = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    # On SIGTERM, pytest ends what it has started, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell starts a background command with Ctrl-C ignored, and its processes would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # pytest-xdist's workers inherit the environment
        folder = tempfile.TemporaryDirectory(prefix="easel-tests-")
        config.add_cleanup(folder.cleanup)
        decisions, kept = (Path(folder.name, name) for name in ("decisions", "assemblies"))
        decisions.mkdir()
        kept.mkdir()
        os.environ |= {DECISIONS: str(decisions), assemblies.FOLDER: str(kept)}
        config.stash[_folder] = decisions


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a role lacked a permission, or if a whole run left one unused."""
    if session.exitstatus == pytest.ExitCode.OK and _check_decisions(session.config)[1]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    summary, faults = _check_decisions(config)
    for line in summary:
        terminalreporter.write_line(line)
    for line in faults:
        terminalreporter.write_line(f"FAILED IAM: {line}", red=True)


def _check_decisions(config: pytest.Config) -> tuple[list[str], list[str]]:
    """Return the figures of the run's decisions, and what is wrong with them."""
    if _folder not in config.stash or not any(config.stash[_folder].iterdir()):
        return [], []
    # This imports the CDK, which starts a Node process.
    from tests.support.decisions import Decisions

    decisions, option = Decisions(config.stash[_folder]), config.option
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not (
        option.keyword or option.markexpr or option.lf or option.maxfail
    )
    return [decisions.summary()], decisions.denials() + (decisions.unused() if is_whole else [])


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    # Retries wait hardly at all.
    environment = own_environment() | {"SFN_WAIT_SCALE": "0.02"}
    local = Local(
        folder=tmp_path_factory.mktemp("stack"),
        port=free_port(),
        settings=CHANNELS,
        environment=environment,
    )
    outputs = stack.up(local)
    try:
        yield LocalStack(outputs)
    finally:
        stack.down(local, keep=False)


@pytest.fixture
def aws(running_stack: LocalStack) -> LocalStack:
    """Return the running stack, with a stand-in that has forgotten all earlier tests."""
    running_stack.forget()
    return running_stack


@pytest.fixture
def caller(aws: LocalStack) -> Caller:
    """Return a program that may use the whole API."""
    return machine(aws)
