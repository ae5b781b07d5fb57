"""The libraries that the functions import, built by uv for Lambda's own platform, without Docker: `python -m infra.layers`.

Each layer is pinned with hashes in layer_pins/ and built once into .layers/; synth reads what is there and needs no network.
"""

import argparse
import compileall
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from uv import find_uv_bin

from infra import ROOT
from infra.functions.function import ARCHITECTURE, RUNTIME

PINS = Path(__file__).parent / "layer_pins"
BUILT = ROOT / ".layers"
# The openai layer leaves to pydantic's what both need; who uses the one has the other, too. A function may have five.
NAMES = ("boto3", "openai", "powertools", "pillow", "pydantic", "pybase64")
MIRROR_NAMES = (*NAMES, "obstore")  # where a mirror is set
# The services that the functions call; botocore comes with the descriptions of 400 others.
SERVICES = ("dynamodb", "events", "s3", "secretsmanager", "stepfunctions", "sts")
# What is never run there, in any layer or in one: stubs, tests, commands, lists of files; formats and fonts that no picture of ours has.
UNUSED = ("**/*.pyi", "**/py.typed", "**/tests", "bin", "*.dist-info/RECORD", ".lock")
UNUSED_IN = {
    "boto3": ("boto3/data", "boto3/examples", "dateutil/zoneinfo/*.tar.gz"),
    "obstore": (
        "obstore/fsspec.py",
        "obstore/auth/azure.py",
        "obstore/auth/earthdata.py",
        "obstore/auth/google.py",
        "obstore/auth/planetary_computer.py",
    ),
    "openai": ("openai/cli",),
    "pillow": (
        *(f"PIL/_{module}.*.so" for module in ("avif", "imagingcms", "imagingft", "imagingmorph", "imagingtk")),
        *(f"pillow.libs/lib{name}-*" for name in ("avif", "brotlicommon", "brotlidec", "freetype", "harfbuzz", "lcms2", "png16")),
    ),
}


class LayerError(RuntimeError):
    """A layer can't be built; the message holds uv's last lines."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The Python (`3.14`) that a layer is for, and its platform in uv's words, None for this machine's."""

    python: str
    platform: str | None

    @property
    def compiles(self) -> bool:
        """Whether this Python's bytecode is that one's."""
        return self.python == HERE.python


LAMBDA = Target(python="3.14", platform="aarch64-manylinux_2_28")  # Amazon Linux 2023, which the runtime stands on
HERE = Target(python=f"{sys.version_info.major}.{sys.version_info.minor}", platform=None)


class Layers(Construct):
    """One layer version a library."""

    def __init__(self, scope: Construct, construct_id: str, *, names: Sequence[str] = NAMES) -> None:
        super().__init__(scope, construct_id)
        self.by_name = {
            name: lambda_.LayerVersion(
                self,
                name.capitalize(),
                code=lambda_.Code.from_asset(str(build(name))),
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[ARCHITECTURE],
                description=f"Easel: {name}",
            )
            for name in names
        }


def build(name: str, target: Target = LAMBDA) -> Path:
    """The folder of a layer, built now unless the same was built before. Raises LayerError."""
    pins = PINS / f"{name}.txt"
    # With this file in it: what is built otherwise is built anew.
    recipe = f"{target} {target.compiles}".encode() + Path(__file__).read_bytes()
    built = BUILT / f"{name}-{hashlib.sha256(pins.read_bytes() + recipe).hexdigest()[:12]}"
    if built.is_dir():
        return built
    BUILT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as folder:
        made = Path(folder) / "layer"
        # Without dependencies: what is pinned is all that is wanted.
        command = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--no-compile-bytecode", "--target", str(made / "python")]
        platform = ["--python-version", target.python, *(["--python-platform", target.platform] if target.platform else [])]
        done = subprocess.run(  # noqa: S603 - our own tool on our own pins
            [*command, *platform, "--only-binary", ":all:", "--require-hashes", "-r", str(pins)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = "\n".join(done.stderr.strip().splitlines()[-3:])
            raise LayerError(f"the layer {name} can't be built (does this machine reach a package index?):\n{last}")
        for unused in list(_unused(name, made / "python")):
            shutil.rmtree(unused) if unused.is_dir() else unused.unlink(missing_ok=True)
        if target.compiles:
            # Never checked against its source: an asset's zip gives all files one date, which would make any other bytecode stale.
            compileall.compile_dir(made, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
        # Two builders at once end with the same folder.
        if not built.is_dir():
            made.rename(built)
    return built


def _unused(name: str, folder: Path) -> Iterator[Path]:
    for pattern in (*UNUSED, *UNUSED_IN.get(name, ())):
        yield from folder.glob(pattern)
    for service in folder.glob("botocore/data/*/"):
        if service.name not in SERVICES:
            yield service


def main() -> None:
    """Build every layer and say where it is and how large."""
    parser = argparse.ArgumentParser(prog="python -m infra.layers", description="Build the layers")
    parser.add_argument("--here", action="store_true", help="for this machine's own Python: tests and benchmark import from them")
    target = HERE if parser.parse_args().here else LAMBDA
    for name in NAMES:
        folder = build(name, target)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"layer {name}: {size / 1e6:.1f} MB in {folder.relative_to(ROOT)}")
    if not target.compiles:
        print(f"LAYERS WITHOUT BYTECODE: Lambda's Python is {target.python}, this is {HERE.python}: a cold start compiles what it imports")
        print(f"For a deploy with it, make .venv with that one first: rm -r .venv && make layers PYTHON=python{target.python}")


if __name__ == "__main__":
    try:
        main()
    except LayerError as error:
        raise SystemExit(str(error)) from None
