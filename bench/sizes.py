"""The zipped sizes of the functions' code and of the layers."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.section import MB, Figure, Options, Result, table
from infra.functions import layers
from local.deploy import zip_folder

NAME, TITLE = "sizes", "Sizes, zipped"
# The bounds of each function's code in bytes. tests/infra/test_functions.py enforces them.
MAX_CODE = 650_000
MAX_CODE_WITH_PAGE = {"api": 1_750_000, "site": 1_150_000}  # 500,000 of it are Swagger UI


def measure(options: Options) -> Result:
    """Return the bytes of each function's code and of each layer."""
    result: Result = {version: _code(root) for version, root in options.versions().items()}
    built = {name: len(zip_folder(layers.build(name))) for name in layers.NAMES}
    return result | {"layers": built, "with_bytecode": bool(layers.LAMBDA.compiler)}


def _code(root: Path) -> dict[str, int]:
    """Synthesize the stack of a checkout, and return the bytes of the code by function."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "app.py", "-c", "layers=false"],
            cwd=root,
            env=os.environ | {"CDK_OUTDIR": folder, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
        )
        template = json.loads((Path(folder) / "Easel.template.json").read_text())
        return {
            resource["Properties"]["Description"].removeprefix("Easel: "): len(
                zip_folder(Path(folder) / f"asset.{hash_}")
            )
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::Lambda::Function"
            and resource["Properties"].get("Description", "").startswith("Easel: ")
            for hash_ in [resource["Properties"]["Code"]["S3Key"].removesuffix(".zip")]
        }


def figures(result: Result) -> Iterator[Figure]:
    """Return the largest code, the API's, and the sum of the layers."""

    def largest(version: str) -> str:
        code = result.get(version, {}).items()
        sizes = [size for name, size in code if name != "api"]
        return f"{max(sizes) / 1000:.0f} KB" if sizes else ""

    def api(version: str) -> str:
        size = result.get(version, {}).get("api")
        return f"{size / 1000:.0f} KB" if size else ""

    name = "code of a function, zipped, the largest but the API"
    yield Figure(name, largest("now"), f"≤ {MAX_CODE // 1000} KB", largest("before"))
    limit = f"≤ {MAX_CODE_WITH_PAGE['api'] // 1000:,} KB"
    yield Figure("code of the API with its page, zipped", api("now"), limit, api("before"))
    compiled = "with bytecode" if result["with_bytecode"] else "without bytecode"
    total = sum(result["layers"].values())
    yield Figure(f"all layers, zipped, {compiled}", f"{total / MB:.1f} MB", "≤ 12 MB without")


def text(result: Result) -> str:
    """Return one row for each function and each layer."""
    rows = [
        *((name, f"{size / 1000:,.0f}") for name, size in result["now"].items()),
        *((f"layer {name}", f"{size / 1000:,.0f}") for name, size in result["layers"].items()),
    ]
    return table(("what", "KB"), rows)
