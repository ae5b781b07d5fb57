"""One run's functions, each in a fresh process: `python -m bench.run_cost` prints JSON.

The code that ships runs against a local stack. Each function gets the events of RUNS runs: the
first is its cold start, and the others are warm.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from bench import stacks
from bench.cold import module_of
from bench.invocations import BARE
from cli.target import Target, local_target
from infra import ROOT
from local import stack
from local.processes import end_on_signals

RUNS, COLD_STARTS = 9, 3
STEPS = ("prompt", "image", "upload", "cleanup")
SIZE = "1536x1024"
KEPT = ("PATH", "HOME", "LANG")


class Function(NamedTuple):
    """A deployed function: its asset, its memory and its environment."""

    asset: Path
    memory_mb: int
    environment: Mapping[str, str]


@dataclass
class Peer:
    """A process that handles events, with its answers and measurements."""

    answers: list[Any] = field(default_factory=list)
    init: float = 0
    cpu: list[float] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)

    def seconds(self) -> dict[str, Any]:
        """Return the CPU seconds of the start, of the first call, and of a warm call."""
        warm = sorted(self.cpu[1:])
        middle = warm[len(warm) // 2] if warm else None
        return {"init": self.init, "first": self.cpu[0], "warm": middle, "calls": self.calls}


def main() -> None:
    """Measure all steps, the bare script, and the steps without bytecode."""
    with end_on_signals(), stacks.running(stand_in=("--paint-once",)) as local:
        target = local_target(local.outputs_file)
        base = _environment(local.outputs_file.read_text(), stack.started_processes(local))
        functions = _functions(target, local.assembly)
        _compile_libraries(functions, base)
        steps = {
            step: peer.seconds() | {"memory_mb": functions[step].memory_mb}
            for step, peer in _run(functions, base, RUNS).items()
        }
        for _ in range(COLD_STARTS - 1):
            for step, peer in _run(functions, base, 1).items():
                # The least counts, since a disturbance can only add to it.
                steps[step]["init"] = min(steps[step]["init"], peer.init)
                steps[step]["first"] = min(steps[step]["first"], peer.cpu[0])
        with tempfile.TemporaryDirectory() as empty:
            # Bytecode is looked up in an empty folder, and not written.
            options = ("-B", "-X", f"pycache_prefix={empty}")
            compiled = _run(functions, base, 1, options)
        event = {"size": SIZE, "bucket": target.bucket}
        bare = call(Function(ROOT, 0, {}), BARE, [event] * RUNS, base)
    result = {
        "steps": steps,
        "without_bytecode": {step: peer.seconds() for step, peer in compiled.items()},
        "bare": bare.seconds(),
    }
    print(json.dumps(result))


def _compile_libraries(functions: Mapping[str, Function], base: Mapping[str, str]) -> None:
    """Run once, so that the libraries have bytecode even on a new machine.

    It uses copies of the assets. The measured assets keep only the bytecode that they ship.
    """
    with tempfile.TemporaryDirectory() as folder:
        copies = {step: functions[step]._replace(asset=Path(folder) / step) for step in STEPS}
        for step, copy in copies.items():
            shutil.copytree(functions[step].asset, copy.asset)
        _run(copies, base, 1, options=())


def _run(
    functions: Mapping[str, Function],
    base: Mapping[str, str],
    runs: int,
    options: Sequence[str] = ("-B",),  # it writes no bytecode into an asset, like Lambda
) -> dict[str, Peer]:
    """Call each step for each of some runs, as the state machine does."""
    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    request = {"folder_name": "bench", "size": SIZE}
    events: list[Any] = [
        {"request": request, "execution_name": f"run-{uuid4().hex}", "started": started}
        for _ in range(runs)
    ]
    peers: dict[str, Peer] = {}
    for step in STEPS:
        if step == "image":
            events = [{"run_id": each["run_id"], "n": 1} for each in peers["prompt"].answers]
        elif step != "prompt":
            events = peers["image" if step == "upload" else "prompt"].answers
        attempts = [event | {"attempt": 1} for event in events]
        peers[step] = call(functions[step], module_of(step), attempts, base, options)
    return peers


def call(
    function: Function,
    module: str,
    events: Sequence[Any],
    base: Mapping[str, str],
    options: Sequence[str] = ("-B",),
) -> Peer:
    """Call a module's handler in a new process from its asset, once for each event."""
    paths = (str(function.asset), os.environ.get("PYTHONPATH", ""), str(ROOT))
    environment = {**base, **function.environment, "PYTHONPATH": ":".join(filter(None, paths))}
    peer = Peer()
    with _process(function.asset, module, environment, options) as process:
        assert process.stdin
        assert process.stdout
        peer.init = json.loads(process.stdout.readline())["init"]
        for event in events:
            process.stdin.write(f"{json.dumps(event)}\n")
            process.stdin.flush()
            line = json.loads(process.stdout.readline())
            peer.answers.append(line["answer"])
            peer.cpu.append(line["cpu"])
            peer.calls = line["calls"] or peer.calls
    return peer


@contextmanager
def _process(
    asset: Path, module: str, environment: Mapping[str, str], options: Sequence[str]
) -> Iterator["subprocess.Popen[str]"]:
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *options, "-m", "bench.invocations", module],
            cwd=asset,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield process
        except (ValueError, OSError) as error:
            log.seek(0)
            raise SystemExit(f"{module} failed: {log.read()[-2000:]}") from error
        finally:
            assert process.stdin
            process.stdin.close()
            process.kill()
            process.wait()


def _functions(target: Target, assembly: Path) -> dict[str, Function]:
    """Return the deployed functions by their names here."""
    template = json.loads((assembly / "Easel.template.json").read_text())
    assets = {
        resource["Properties"]["Description"]: resource["Properties"]["Code"]["S3Key"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function" and "Description" in resource["Properties"]
    }
    return {
        function["Description"].removeprefix("Easel: "): Function(
            assembly / f"asset.{assets[function['Description']].removesuffix('.zip')}",
            function["MemorySize"],
            function["Environment"]["Variables"],
        )
        for function in target.client("lambda").list_functions()["Functions"]
        if "Variables" in function.get("Environment", {})
    }


def _environment(outputs: str, started: Mapping[str, Any]) -> dict[str, str]:
    stack_outputs = json.loads(outputs)
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "AWS_ENDPOINT_URL": stack_outputs["endpoint"],
        "AWS_ACCESS_KEY_ID": stack_outputs["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack_outputs["secret_access_key"],
        "AWS_DEFAULT_REGION": stack_outputs["region"],
        "AWS_REGION": stack_outputs["region"],
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "OPENAI_BASE_URL": started["openai_base_url"],
    }


if __name__ == "__main__":
    main()
