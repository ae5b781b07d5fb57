"""The CPU time of a cold start until the first call can be served.

It covers imports and clients. Each measurement has its own process.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copytree, ignore_patterns

from easel.contract import settings
from infra import ROOT
from infra.functions import layers
from local.deploy import zip_folder

STEPS = ("image", "prompt", "upload", "cleanup", "batch", "economy", "api")
SET = "set"  # the value of a setting if only its presence matters
ENVIRONMENT = {
    **{name: SET for group in settings.Settings.__subclasses__() for name in group.variables()},
    settings.SECRET: SET,
    settings.MONTHLY_BUDGET: "25",
    settings.RECOVERABLE_DAYS: "30",
    settings.IMAGES_PER_MINUTE: settings.NO_LIMIT,
    settings.MAX_PARALLEL_IMAGES: "5",
    settings.TOLERATED_FAILURES: "0",
    settings.MAX_BATCH_LINES: "1000",
    settings.REGION: "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "OPENAI_API_KEY": "any",
}
ON_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "bench", "POWERTOOLS_TRACE_DISABLED": "true"}
PRINT_USAGE = (
    "; import json, time; from pathlib import Path; print(json.dumps([time.process_time(), "
    "Path('/proc/self/statm').read_text()]))"
)
PEERS = {
    "bare script": "from bench import painters; painters.bare()",
    "naive handler": "from bench import painters; painters.naive()",
    "the SDKs alone": (
        "import boto3, openai; openai.OpenAI(); [boto3.client(s) for s in ('s3', 'dynamodb', "
        "'secretsmanager')]"
    ),
}
PAGE = os.sysconf("SC_PAGE_SIZE")


def module_of(step: str) -> str:
    """Return the module of a step's handler. If the step is a folder, that is its handler.py."""
    folder = (ROOT / "functions" / step).is_dir()
    return f"functions.{step}.handler" if folder else f"functions.{step}"


def once(peer: str) -> tuple[float, int]:
    """Return CPU seconds since the process started, and resident bytes, of a step or a peer.

    The process runs in this environment, with its bytecode.
    """
    environment = ENVIRONMENT | (ON_LAMBDA if peer in STEPS else {})
    return _measure(
        [sys.executable, "-c", PEERS.get(peer, f"import {module_of(peer)}") + PRINT_USAGE],
        environment,
    )


def _measure(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, int]:
    result = subprocess.run(
        command, cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=True
    )
    seconds, memory = json.loads(result.stdout)
    return float(seconds), int(memory.split()[1]) * PAGE


class UnpackedLayers:
    """The image function's layers, built for this Python and extracted from their zips.

    There are two copies: one with the bytecode that the layers ship, and one without.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("base", "openai", "pydantic"):
            built = layers.build(name, layers.HERE)
            archive = folder / f"{name}.zip"
            archive.write_bytes(zip_folder(built))
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(folder / "shipped")
        copytree(folder / "shipped", folder / "bare", ignore=ignore_patterns("*.pyc"))

    def once(self, where: str) -> float:
        """Return the CPU seconds of importing the image step.

        `where` is `shipped`, `bare`, or `installed`, which means this environment's packages.
        """
        libraries = Path(sys.prefix, "lib", f"python{layers.HERE.python}", "site-packages")
        if where != "installed":
            libraries = self._folder / where / "python"
        path = f"import sys; sys.path[:0] = {[str(ROOT), str(libraries)]}; import functions.image"
        # -S leaves out this environment's packages, and -B discards what is compiled.
        return _measure(
            [sys.executable, "-I", "-S", "-B", "-c", path + PRINT_USAGE], ENVIRONMENT | ON_LAMBDA
        )[0]


def unpack_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for `Unpacked`. The caller removes it."""
    return tempfile.TemporaryDirectory()
