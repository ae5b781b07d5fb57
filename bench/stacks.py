"""Local stacks of benchmarks, which end with their block."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from local import processes, stack
from local.fake_openai import process as fake_openai
from local.stack import Local
from tests.support.local_stack import LocalStack, bench_environment, free_port


@contextmanager
def running(
    *,
    settings: Sequence[str] = (),
    stand_in: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Local]:
    """Bring a separate stack up, and take it down with all its processes and data.

    The stack is in a temporary folder. Use this within `end_on_signals`, or SIGTERM leaves the
    processes running.
    """
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as folder:
        local = Local(
            folder=Path(folder) / "local",
            port=free_port(),
            settings=settings,
            environment={**bench_environment(), **(environment or {})},
            stand_in=stand_in,
        )
        try:
            stack.up(local)
            yield local
        finally:
            stack.down(local, keep=False)


def client_of(local: Local) -> LocalStack:
    """Return a running stack with its outputs and clients."""
    return LocalStack(json.loads(local.outputs_file.read_text()))


@contextmanager
def with_lasting_openai(*settings: str) -> Iterator[tuple[Local, int]]:
    """Bring a stack up next to a fake OpenAI, and yield it with the process id of the fake.

    The fake OpenAI is not part of the stack, so its bill covers what several starts of a batch
    have bought. The state machines hardly wait before they retry.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        lasting_openai(Path(folder)) as (stand_in, base_url),
        running(
            settings=settings,
            environment={"SFN_WAIT_SCALE": "0.02", "OPENAI_BASE_URL": base_url},
        ) as local,
    ):
        yield local, stand_in


@contextmanager
def lasting_openai(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield the process id and base URL of a fake OpenAI that outlives the stack."""
    running: subprocess.Popen[bytes] | None = None
    try:
        with processes.defer_signals():
            running = fake_openai.start(folder, ["--paint-once"])
        yield running.pid, fake_openai.wait_until_ready(running, folder)
    finally:
        if running:
            processes.stop(running.pid)
            running.wait()
