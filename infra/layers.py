"""The libraries that the functions import, built by uv for Lambda's own platform, without Docker: `python -m infra.layers`.

Each layer is pinned with hashes in layer_pins/ and built once into .layers/; synth reads what is there and needs no network.
"""

import hashlib
import subprocess
import tempfile
from pathlib import Path

from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from uv import find_uv_bin

from infra import ROOT
from infra.function import ARCHITECTURE, RUNTIME

PINS = Path(__file__).parent / "layer_pins"
BUILT = ROOT / ".layers"
NAMES = ("boto3", "openai", "powertools", "pillow", "pydantic")
PYTHON = "3.14"
PLATFORM = "aarch64-manylinux_2_28"  # Amazon Linux 2023, which the runtime stands on


class LayerError(RuntimeError):
    """A layer can't be built; the message holds uv's last lines."""


class Layers(Construct):
    """One layer version a library."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
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
            for name in NAMES
        }


def build(name: str) -> Path:
    """The folder of a layer, built now unless its pins were built before. Raises LayerError."""
    pins = PINS / f"{name}.txt"
    target = BUILT / f"{name}-{hashlib.sha256(pins.read_bytes() + (PYTHON + PLATFORM).encode()).hexdigest()[:12]}"
    if target.is_dir():
        return target
    BUILT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as folder:
        made = Path(folder) / "layer"
        command = [find_uv_bin(), "pip", "install", "--quiet", "--no-compile-bytecode", "--target", str(made / "python")]
        platform = ["--python-version", PYTHON, "--python-platform", PLATFORM, "--only-binary", ":all:"]
        done = subprocess.run(  # noqa: S603 - our own tool on our own pins
            [*command, *platform, "--require-hashes", "-r", str(pins)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = "\n".join(done.stderr.strip().splitlines()[-3:])
            raise LayerError(f"the layer {name} can't be built (does this machine reach a package index?):\n{last}")
        # uv's own leavings; two builders at once end with the same folder.
        (made / "python" / ".lock").unlink(missing_ok=True)
        if not target.is_dir():
            made.rename(target)
    return target


def main() -> None:
    """Build every layer and say where it is and how large."""
    for name in NAMES:
        folder = build(name)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"layer {name}: {size / 1e6:.1f} MB in {folder.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except LayerError as error:
        raise SystemExit(str(error)) from None
