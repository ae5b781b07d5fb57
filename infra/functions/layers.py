"""The functions' libraries, built by uv for Lambda's own platform, without Docker.

Each layer is pinned with hashes in layer_pins/ and built once into .layers/ by `python -m
infra.functions.layers`. Synth uses the built layers without network access.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_lambda import Architecture, Runtime
from constructs import Construct
from uv import find_uv_bin

from infra import ROOT

RUNTIME = Runtime.PYTHON_3_14
ARCHITECTURE = Architecture.ARM_64
PINS = Path(__file__).parent / "layer_pins"
BUILD_FOLDER = ROOT / ".layers"
# Every function with layers has `base`: boto3 and powertools. Packages that openai and pydantic
# share are only in pydantic's layer, and a function with the openai layer has both. Lambda allows
# five layers, and three leave room for a company's own.
NAMES = ("base", "cron", "jwt", "openai", "pillow", "pydantic")
MIRROR_NAMES = (*NAMES, "obstore")  # for a deployment with a mirror
# The functions call only these services. botocore ships the descriptions of 400 others.
SERVICES = ("dynamodb", "events", "s3", "scheduler", "secretsmanager", "stepfunctions", "sts")
# These files are never used on Lambda: stubs, tests, commands, file lists, and support for formats
# and fonts that no image of ours has.
UNUSED = ("**/*.pyi", "**/py.typed", "**/tests", "bin", "*.dist-info/RECORD", ".lock")
UNUSED_IN = {
    "base": ("boto3/data", "boto3/examples", "dateutil/zoneinfo/*.tar.gz"),
    "obstore": (
        "obstore/fsspec.py",
        *(
            f"obstore/auth/{module}.py"
            for module in ("azure", "earthdata", "google", "planetary_computer")
        ),
    ),
    "openai": ("openai/cli",),
    "pillow": (
        *(
            f"PIL/_{module}.*.so"
            for module in ("avif", "imagingcms", "imagingft", "imagingmorph", "imagingtk")
        ),
        *(
            f"pillow.libs/lib{name}-*"
            for name in ("avif", "brotlicommon", "brotlidec", "freetype", "harfbuzz", "lcms2")
        ),
        "pillow.libs/libpng16-*",
    ),
}


class LayerError(RuntimeError):
    """A layer cannot be built. The message has the last lines of uv's output."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The Python (`3.14`) of a layer, and its platform as uv names it (None: this machine's)."""

    python: str
    platform: str | None

    @property
    def compiler(self) -> str | None:
        """Return an interpreter whose bytecode fits the target, or None if there is none here."""
        return sys.executable if self.python == HERE.python else _interpreter(self.python)

    def fetch_compiler(self) -> None:
        """Download such an interpreter, if this machine can."""
        if _uv("python", "install", "--no-bin", self.python).returncode == 0:
            _interpreter.cache_clear()


# The runtime is built on Amazon Linux 2023.
LAMBDA = Target(python="3.14", platform="aarch64-manylinux_2_28")
HERE = Target(python=f"{sys.version_info.major}.{sys.version_info.minor}", platform=None)


class Layers(Construct):
    """One layer version for each library that a function of the stack needs."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self._versions: dict[str, lambda_.LayerVersion] = {}

    def __getitem__(self, name: str) -> lambda_.LayerVersion:
        if name not in self._versions:
            self._versions[name] = lambda_.LayerVersion(
                self,
                name.capitalize(),
                code=lambda_.Code.from_asset(str(build(name))),
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[ARCHITECTURE],
                description=f"Easel: {name}",
            )
        return self._versions[name]


def build(name: str, target: Target = LAMBDA) -> Path:
    """Return the folder of a layer. Build it if it does not exist. Raises LayerError."""
    pins = PINS / f"{name}.txt"
    layer = _folder(name, target)
    if layer.is_dir():
        return layer
    BUILD_FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD_FOLDER) as folder:
        draft = Path(folder) / "layer"
        # Dependencies are off, because the pins list everything.
        command = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--no-compile-bytecode"]
        command += ["--target", str(draft / "python"), "--python-version", target.python]
        command += ["--python-platform", target.platform] if target.platform else []
        command += ["--only-binary", ":all:", "--require-hashes", "-r", str(pins)]
        # The command is our own tool with our own pins.
        process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if process.returncode:
            last = "\n".join(process.stderr.strip().splitlines()[-3:])
            raise LayerError(
                f"the layer {name} cannot be built; check that this machine can reach a package "
                f"index:\n{last}"
            )
        for unused in list(_unused(name, draft / "python")):
            shutil.rmtree(unused) if unused.is_dir() else unused.unlink(missing_ok=True)
        add_bytecode(draft, target, runs_in="/opt")
        let_everybody_read(draft)
        put_into_place(draft, layer)
    return layer


def add_bytecode(folder: Path, target: Target, *, runs_in: str) -> None:
    """Compile a folder for a target, if that is possible here. `runs_in` is its path on Lambda."""
    if not target.compiler:
        return
    command = [target.compiler, "-m", "compileall", "-q", "-s", str(folder), "-p", runs_in]
    # All files in an asset's zip get the same date, so bytecode with a date would be stale.
    # Bytecode of this kind is never checked against its source.
    command += ["--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run(command, check=True)  # noqa: S603  uv's Python or our own


def let_everybody_read(folder: Path) -> None:
    """Make a folder readable for the user of Lambda. A builder's umask could deny that."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))


def put_into_place(draft: Path, folder: Path) -> None:
    """Rename a complete draft, unless another process has built the folder in the meantime."""
    try:
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _folder(name: str, target: Target) -> Path:
    """Return where a layer is built. This file is part of the name, so a change rebuilds it."""
    recipe = f"{target} {bool(target.compiler)}".encode() + Path(__file__).read_bytes()
    pins = (PINS / f"{name}.txt").read_bytes()
    return BUILD_FOLDER / f"{name}-{hashlib.sha256(pins + recipe).hexdigest()[:12]}"


@cache
def _interpreter(python: str) -> str | None:
    result = _uv("python", "find", "--no-python-downloads", python)
    return result.stdout.strip() if result.returncode == 0 else None


def _uv(*arguments: str) -> "subprocess.CompletedProcess[str]":
    # An interpreter for the layers is part of the environment, and goes with it.
    environment = os.environ | {"UV_PYTHON_INSTALL_DIR": f"{sys.prefix}/pythons"}
    return subprocess.run(  # noqa: S603  our own tool
        [find_uv_bin(), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _unused(name: str, folder: Path) -> Iterator[Path]:
    for pattern in (*UNUSED, *UNUSED_IN.get(name, ())):
        yield from folder.glob(pattern)
    for service in folder.glob("botocore/data/*/"):
        if service.name not in SERVICES:
            yield service


def main() -> None:
    """Build every layer, and print its folder and size."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.functions.layers", description="Build the layers"
    )
    parser.add_argument(
        "--here",
        action="store_true",
        help="for this machine's own Python, from which tests and benchmarks import",
    )
    target = HERE if parser.parse_args().here else LAMBDA
    if not target.compiler and not all(_folder(name, target).is_dir() for name in NAMES):
        target.fetch_compiler()
    for name in NAMES:
        folder = build(name, target)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"layer {name}: {size / 1e6:.1f} MB in {folder.relative_to(ROOT)}")
    if not target.compiler:
        print(
            f"The layers have no bytecode, because Python {target.python} is not here and cannot "
            "be downloaded: each cold start of a function compiles what it imports"
        )


if __name__ == "__main__":
    try:
        main()
    except LayerError as error:
        raise SystemExit(str(error)) from None
