"""The comparison with n8n, which runs the workflow that Easel replaces.

It uses the same stand-in and the same local S3: `make bench N8N=1`.

n8n is installed once (3 GB, about six minutes) and keeps its defaults: it saves executions and
images, uses SQLite, and runs one process and its task runner. The workflow differs from the
original in four ways:

- A webhook starts it and answers when the image is stored, so that many can run at the same time.
- Each execution has a separate key, because the original's name is the same all day.
- The bucket's name has a dot, since the AWS S3 node accepts a custom endpoint only with path-style
  names.
- The S3 node creates the bucket, since the AWS S3 node cannot create one at such an endpoint.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from openai import OpenAI
from PIL import Image

from bench.memory import Memory
from infra import NODE
from local import processes, stack
from local.deploy import ROOT
from local.processes import living_processes
from local.stack import Local
from tests.support.local_stack import LocalStack, bench_environment, free_port

VERSION = "2.41.1"
INSTALLED = ROOT / ".local" / "n8n"
LOG = INSTALLED / "log"
N8N, NPM = (
    INSTALLED / "node_modules" / "n8n" / "bin" / "n8n",
    NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
)
WORKFLOW, WORKFLOW_ID = Path(__file__).parent / "n8n" / "workflow.json", "easelpeer"
BUCKET = f"bucket.{WORKFLOW_ID}"
# The workflow uses the same size. Of the sizes that n8n offers, its PNG from the stand-in is the
# nearest to 1.5 MB (1,442,037 bytes).
SIZE: Final = "1536x1024"
OFF = (
    "DIAGNOSTICS",
    "VERSION_NOTIFICATIONS",
    "TEMPLATES",
    "PERSONALIZATION",
    "DYNAMIC_BANNERS",
    "LICENSE_AUTO_RENEW",
)
START_SECONDS, RUN_SECONDS, END_SECONDS = 120, 120, 15


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """n8n's best rate and peak resident memory with this many runs at the same time."""

    at_once: int
    pictures_a_second: float
    resident: int


def measure(at_once: Sequence[int], *, repetitions: int = 3, runs: int = 40) -> list[Measurement]:
    """Measure each number of concurrent runs on a fresh n8n process.

    Everything else is brought up once, and everything is stopped at the end.

    The rate is the best of some repetitions, after half a repetition to warm up. Raise HTTPError if
    a run fails (n8n's log has the cause), and SystemExit if an image in the bucket differs from the
    one that the stand-in painted.
    """
    install()
    LOG.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        local = Local(
            folder=folder / "stack",
            port=free_port(),
            settings=(),
            environment=bench_environment(),
            stand_in=("--paint-once",),
        )
        try:
            aws = LocalStack(stack.up(local))
            environment = n8n_environment(folder / "n8n")
            _import(environment, aws.outputs)
            return [_measure_lanes(environment, aws, lanes, repetitions, runs) for lanes in at_once]
        finally:
            stack.down(local, keep=False)


def _measure_lanes(
    environment: Mapping[str, str], aws: LocalStack, lanes: int, repetitions: int, runs: int
) -> Measurement:
    url, rates = f"http://127.0.0.1:{environment['N8N_PORT']}/webhook/paint", []
    with _running([str(N8N), "start"], environment) as n8n, ThreadPoolExecutor(lanes) as pool:
        size = _check_picture(aws, _first_run(n8n, url))
        list(pool.map(_run, [url] * (runs // 2)))
        before = len(_stored_sizes(aws))
        with Memory(
            emulator=n8n.pid, stand_in=0
        ) as memory:  # sums up the process group, here n8n's
            for _ in range(repetitions):
                start = time.perf_counter()
                list(pool.map(_run, [url] * runs))
                rates.append(runs / (time.perf_counter() - start))
    stored = _stored_sizes(aws)
    if len(stored) - before != repetitions * runs or set(stored) != {size}:
        raise SystemExit(
            f"{repetitions * runs} runs ended well and stored {len(stored) - before} pictures; all "
            f"have {set(stored)} bytes"
        )
    return Measurement(
        at_once=lanes,
        pictures_a_second=max(rates),
        resident=max(sample.total for sample in memory.samples),
    )


def _run(url: str) -> str:
    """Run the workflow once, and return the image's key."""
    with urlopen(url, data=b"", timeout=RUN_SECONDS) as answer:  # noqa: S310 - loopback
        return str(json.loads(answer.read())["Key"])


def _first_run(n8n: "subprocess.Popen[bytes]", url: str) -> str:
    """Wait for n8n's first successful run, and return the image's key.

    Until it has started, n8n refuses the connection, answers with a text, or does not know the
    webhook.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return _run(url)
        except (URLError, ValueError) as error:
            failed = isinstance(error, HTTPError) and error.code != 404
            if failed or n8n.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"n8n makes no picture: {error}; see {LOG}") from error
            time.sleep(0.1)


def _check_picture(aws: LocalStack, key: str) -> int:
    """Return the size of a stored image. Raise SystemExit unless it is the stand-in's PNG."""
    client = OpenAI(api_key="any", base_url=aws.outputs["openai_base_url"])
    answer = client.images.generate(
        model="gpt-image-2.6-flare", prompt="any", size=SIZE, quality="medium"
    )
    stored = aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    if not answer.data or stored != b64decode(answer.data[0].b64_json or ""):
        raise SystemExit(f"n8n stored {len(stored):,} bytes in {key} that are not the picture")
    with Image.open(BytesIO(stored), formats=["PNG"]) as image:
        image.verify()
    return len(stored)


def _stored_sizes(aws: LocalStack) -> list[int]:
    """Return the sizes of the images in n8n's bucket."""
    pages = aws.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [
        item["Size"] for page in pages for item in page["Contents"] if item["Key"].endswith(".png")
    ]


def _import(environment: Mapping[str, str], outputs: Mapping[str, Any]) -> None:
    """Import the credentials and the workflow into n8n, and publish the workflow."""
    access = {
        "region": outputs["region"],
        "accessKeyId": outputs["access_key_id"],
        "secretAccessKey": outputs["secret_access_key"],
    }
    credentials = [
        {
            "id": "easelopenai",
            "name": "OpenAI",
            "type": "openAiApi",
            "data": {"apiKey": "any", "url": outputs["openai_base_url"]},
        },
        {
            "id": "easelaws",
            "name": "AWS",
            "type": "aws",
            "data": access | {"customEndpoints": True, "s3Endpoint": outputs["endpoint"]},
        },
        {
            "id": "easels3",
            "name": "S3",
            "type": "s3",
            "data": access | {"endpoint": outputs["endpoint"], "forcePathStyle": True},
        },
    ]
    credentials_file = Path(environment["HOME"]) / "credentials.json"
    credentials_file.write_text(json.dumps(credentials))
    run_to_end([str(N8N), "import:credentials", f"--input={credentials_file}"], environment)
    run_to_end([str(N8N), "import:workflow", f"--input={WORKFLOW}"], environment)
    run_to_end([str(N8N), "publish:workflow", f"--id={WORKFLOW_ID}"], environment)


def n8n_environment(home: Path) -> dict[str, str]:
    """Return the complete environment of n8n.

    With it, n8n writes only into `home`, listens on loopback, and calls no other server on its own.
    """
    home.mkdir()
    return {
        "PATH": f"{NODE.parent}{os.pathsep}{os.defpath}",
        **dict.fromkeys(("HOME", "TMPDIR", "N8N_USER_FOLDER"), str(home)),
        **{
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(free_port()),
            "N8N_RUNNERS_BROKER_PORT": str(free_port()),
        },
        **{f"N8N_{name}_ENABLED": "false" for name in OFF},
        # These modules request lists of available servers and packages.
        "N8N_DISABLED_MODULES": "mcp-registry,community-packages",
    }


def install() -> None:
    """Install n8n if it is not installed.

    Only SQLite's install script is run, because it compiles. The scripts of other packages fetch
    files that are not on npm and not used here.
    """
    version_file = INSTALLED / "version"
    if version_file.is_file() and version_file.read_text() == VERSION:
        return
    if not shutil.which("c++"):
        raise SystemExit(
            "n8n's SQLite is compiled and there is no C++ compiler; on Debian: apt-get install g++ "
            "make"
        )
    print(f"Installing n8n {VERSION}: minutes, once …", file=sys.stderr)
    INSTALLED.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(NODE.parent), os.environ.get("PATH", os.defpath)])
    environment = {
        **os.environ,
        "PATH": path,
        "npm_config_nodedir": str(NODE.parents[1]),
        "npm_config_build_from_source": "true",
    }
    quiet = ["--prefix", str(INSTALLED), "--no-audit", "--no-fund"]
    run_to_end([str(NPM), "install", *quiet, "--ignore-scripts", f"n8n@{VERSION}"], environment)
    run_to_end([str(NPM), "rebuild", *quiet, "sqlite3"], environment)
    version_file.write_text(VERSION)


def run_to_end(script: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a script with Node. Raise SystemExit if it fails."""
    with _running(script, environment) as process:
        if process.wait():
            raise SystemExit(
                f"{' '.join(script[:2])} ended with status {process.returncode}; see {LOG}"
            )


@contextmanager
def _running(
    script: Sequence[str], environment: Mapping[str, str]
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a script with Node, in a process group that ends with the block."""
    process: subprocess.Popen[bytes] | None = None
    try:
        with LOG.open("ab") as log, processes.defer_signals():
            process = subprocess.Popen(
                [NODE, *script],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        yield process
    finally:
        if process:
            with processes.defer_signals():
                _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + END_SECONDS
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_)
        while living_processes(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    process.wait()
