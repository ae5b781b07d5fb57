"""Copy the functions' own code and compile it for the Python that will run it.

If this machine has no such Python, the copy has no bytecode, and each cold start compiles what it
imports. All assets are parts of one copy, which is built again only if a source file has changed.
"""

import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path

from infra import ROOT
from infra.functions.layers import (
    BUILD_FOLDER,
    Target,
    add_bytecode,
    let_everybody_read,
    put_into_place,
)

SHIPPED = ("easel", "functions", "web")
ON_LAMBDA = "/var/task"  # where Lambda extracts a function's asset


@cache
def source(target: Target) -> Path:
    """Return the copy of the packages for a target. Build it if it does not exist."""
    files = sorted(
        file
        for name in SHIPPED
        for file in (ROOT / name).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    )
    digest = hashlib.sha256(f"{target} {bool(target.compiler)}".encode())
    for file in (*files, Path(__file__)):
        digest.update(f"{file.relative_to(ROOT)}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    # The CDK would read a dot in the name as the start of a file extension.
    name = f"code-{target.python.replace('.', '')}-"
    folder = BUILD_FOLDER / f"{name}{digest.hexdigest()[:12]}"
    if not folder.is_dir():
        _build(folder, target)
        for earlier in BUILD_FOLDER.glob(f"{name}*"):
            if earlier != folder:
                shutil.rmtree(earlier, ignore_errors=True)
    return folder


def _build(folder: Path, target: Target) -> None:
    BUILD_FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD_FOLDER) as temporary:
        draft = Path(temporary) / "code"
        for name in SHIPPED:
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, draft / name, ignore=ignore)
        add_bytecode(draft, target, runs_in=ON_LAMBDA)
        let_everybody_read(draft)
        put_into_place(draft, folder)
