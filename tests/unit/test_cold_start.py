"""What an import makes: nothing here, on Lambda all that the first call needs."""

import subprocess
import sys

from infra import ROOT

STATE = """
import gc
from functions.adapters.table import table
print(table.cache_info().currsize, gc.isenabled(), gc.get_freeze_count())
"""
CALL = """
from types import SimpleNamespace
named = dict.fromkeys(("function_name", "memory_limit_in_mb", "invoked_function_arn", "aws_request_id"), "some")
try:
    functions.upload.handler.handler({}, SimpleNamespace(**named))
except Exception as error:
    print(error)
"""


def test_each_handler_makes_ready_at_its_end() -> None:
    handlers = list((ROOT / "functions").glob("*/handler.py"))
    assert len(handlers) == 10
    for handler in handlers:
        assert handler.read_text().splitlines()[-1].startswith("cold_start.ready("), handler


def test_on_lambda_the_collector_is_off_while_modules_load() -> None:
    look = "import functions, gc; print(functions.ON_LAMBDA, gc.isenabled())"
    for environment, said in (({"AWS_LAMBDA_FUNCTION_NAME": "upload"}, "True False"), ({}, "False True")):
        command = [sys.executable, "-c", look]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == said


def _fresh(code: str, **environment: str) -> str:
    command = [sys.executable, "-c", f"import functions.upload.handler{code}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_elsewhere_than_on_lambda_an_import_makes_nothing() -> None:
    assert _fresh(STATE).split() == ["0", "True", "0"]


def test_what_can_t_be_made_before_the_first_call_is_told_of_by_the_call() -> None:
    made, collects, frozen = _fresh(STATE, AWS_LAMBDA_FUNCTION_NAME="upload").split()
    assert (made, collects) == ("0", "True")
    assert int(frozen) > 10_000
    said = _fresh(CALL, AWS_LAMBDA_FUNCTION_NAME="upload", AWS_DEFAULT_REGION="eu-west-1", AWS_REGION="eu-west-1")
    assert "environment lacks EASEL_BUCKET" in said
