"""The effect of an import: nothing is built here, and on Lambda all that the first call needs."""

import ast
import re
import subprocess
import sys

from infra import ROOT

STATE = """
import gc
from easel.services import SERVICES
print("ledger" in vars(SERVICES), gc.isenabled(), gc.get_freeze_count())
"""
CALL = """
from types import SimpleNamespace
names = ("function_name", "memory_limit_in_mb", "invoked_function_arn", "aws_request_id")
named = dict.fromkeys(names, "some")
try:
    functions.upload.handler.handler(
        {"run_id": "r", "n": 1, "key": "k", "sha256": "s"}, SimpleNamespace(**named)
    )
except Exception as error:
    print(error)
"""


def test_handler_module_prepares_at_its_end() -> None:
    folder = ROOT / "functions"
    modules = [*folder.glob("*/handler.py"), *folder.glob("*.py")]
    handlers = [
        module for module in modules if re.search(r"^@step\(", module.read_text(), re.MULTILINE)
    ]

    assert len(handlers) == 11
    for handler in handlers:
        last = ast.parse(handler.read_text()).body[-1]
        assert ast.unparse(last).startswith("prepare("), handler


def test_garbage_collector_is_off_during_lambda_import() -> None:
    look = "import functions, gc; print(gc.isenabled())"
    for environment, expected in (
        ({"AWS_LAMBDA_FUNCTION_NAME": "upload"}, "False"),
        ({}, "True"),
    ):
        command = [sys.executable, "-c", look]
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert result.stdout.strip() == expected


def _fresh(code: str, **environment: str) -> str:
    command = [sys.executable, "-c", f"import functions.upload.handler{code}"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_import_builds_nothing_outside_lambda() -> None:
    assert _fresh(STATE).split() == ["False", "True", "0"]


def test_failed_preparation_is_reported_by_the_call() -> None:
    has_clients, collects, frozen = _fresh(STATE, AWS_LAMBDA_FUNCTION_NAME="upload").split()
    assert (has_clients, collects) == ("False", "True")
    assert int(frozen) > 10_000

    output = _fresh(
        CALL,
        AWS_LAMBDA_FUNCTION_NAME="upload",
        AWS_DEFAULT_REGION="eu-west-1",
        AWS_REGION="eu-west-1",
    )
    assert "environment lacks EASEL_BUCKET" in output
