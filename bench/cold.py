"""The CPU time of a cold start until the first call can be served.

It covers imports and clients. Each measurement has its own process, and each variant has its own
folder of bytecode. So no variant finds what another one has compiled.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copytree, ignore_patterns

from bench.process_memory import PAGE
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


def module_of(step: str) -> str:
    """Return the module of a step's handler. If the step is a folder, that is its handler.py."""
    folder = (ROOT / "functions" / step).is_dir()
    return f"functions.{step}.handler" if folder else f"functions.{step}"


def once(peer: str, *, bytecode: Path, root: Path = ROOT) -> tuple[float, int]:
    """Return CPU seconds since the process started, and resident bytes, of a step or a peer.

    The process runs the code of the checkout `root` in this environment. It reads and writes all
    bytecode in the folder `bytecode`, so the first call for a folder compiles what it imports.
    """
    environment = ENVIRONMENT | (ON_LAMBDA if peer in STEPS else {})
    code = PEERS.get(peer, f"import {module_of(peer)}")
    return _measure(code, environment, options=[*_bytecode_in(bytecode)], root=root)


def _bytecode_in(folder: Path) -> tuple[str, str]:
    """Return the options of a Python that neither reads nor writes bytecode elsewhere."""
    return "-X", f"pycache_prefix={folder}"


def _measure(
    code: str, environment: Mapping[str, str], *, options: Sequence[str], root: Path = ROOT
) -> tuple[float, int]:
    command = [sys.executable, *options, "-c", code + PRINT_USAGE]
    result = subprocess.run(
        command, cwd=root, env=dict(environment), capture_output=True, text=True, check=True
    )
    seconds, memory = json.loads(result.stdout)
    return float(seconds), int(memory.split()[1]) * PAGE


class UnpackedLayers:
    """The image function's code and layers, built for this Python and extracted from their zips.

    There are two copies: one with the bytecode that they ship, and one without. The caller removes
    the folder.
    """

    def __init__(self, folder: Path) -> None:
        # An earlier version, for which bench/run_cost.py imports this module, has no such module.
        from infra.functions.code import source

        self._folder = folder
        for name in ("base", "openai", "pydantic"):
            built = layers.build(name, layers.HERE)
            archive = folder / f"{name}.zip"
            archive.write_bytes(zip_folder(built))
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(folder / "shipped")
        copytree(source(layers.HERE), folder / "shipped" / "code")
        copytree(folder / "shipped", folder / "bare", ignore=ignore_patterns("*.pyc"))

    def once(self, where: str) -> float:
        """Return the CPU seconds of importing the image step.

        `where` is `shipped`, `bare`, or `installed`, which means this checkout and this
        environment's packages. The first call for `installed` compiles its imports into a separate
        folder. The other two write no bytecode.
        """
        if where == "installed":
            libraries = Path(sys.prefix, "lib", f"python{layers.HERE.python}", "site-packages")
            paths, options = [ROOT, libraries], [*_bytecode_in(self._folder / "installed")]
        else:
            place = self._folder / where
            paths, options = [place / "code", place / "python"], ["-B"]
        code = f"import sys; sys.path[:0] = {[*map(str, paths)]}; import functions.image"
        # -S leaves out this environment's packages.
        options = ["-I", "-S", *options]
        return _measure(code, ENVIRONMENT | ON_LAMBDA, options=options)[0]
