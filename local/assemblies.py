"""Synthesized assemblies, kept for the next stack with the same code and settings.

Synthesis takes most of the time until a stack is up. If EASEL_LOCAL_ASSEMBLIES names a folder, each
assembly is kept there. The tests set it, because they bring up some fifty stacks.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "EASEL_LOCAL_ASSEMBLIES"
# Everything that the template and its assets are made of, apart from the CDK itself.
SOURCES = ("app.py", "cdk.json", "pyproject.toml", "infra", "easel", "functions", "web")


def folder_of(settings: Sequence[str]) -> Path | None:
    """Return where the assembly of these settings is kept, or None if assemblies are not kept."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    digest = hashlib.sha256(json.dumps([version("aws-cdk-lib"), list(settings)]).encode())
    for file in _sources():
        digest.update(f"{file.relative_to(ROOT)} {file.stat().st_size}".encode())
        digest.update(file.read_bytes())
    return Path(folder, digest.hexdigest()[:16])


def keep(assembly: Path, kept: Path) -> None:
    """Keep an assembly, unless another process has kept the same one meanwhile."""
    with tempfile.TemporaryDirectory(dir=kept.parent) as draft:
        shutil.copytree(assembly, Path(draft) / "assembly")
        try:
            (Path(draft) / "assembly").rename(kept)
        except OSError:
            if not kept.is_dir():
                raise


def _sources() -> Iterator[Path]:
    for name in SOURCES:
        place = ROOT / name
        files = [place] if place.is_file() else sorted(place.rglob("*"))
        yield from (file for file in files if file.is_file() and file.suffix != ".pyc")
