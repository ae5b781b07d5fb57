import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from functions import telemetry
from functions.errors import TransientError


@dataclass
class Context:
    function_name: str = "f"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    aws_request_id: str = "request-1"


def called(error: Exception | None) -> dict[str, Any]:
    """Call a framed handler that fails with the error, or does not."""

    @telemetry.step("image")
    def handler(_event: Any, _context: Any) -> dict[str, Any]:
        if error:
            raise error
        return {"key": "k"}

    return handler({"run_id": "run-1", "n": 2, "secret": "do not log"}, Context())  # type: ignore[arg-type]


Printed = Callable[[], tuple[list[dict[str, Any]], dict[str, Any]]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    """The log lines and the metrics that were printed."""
    # The logger keeps the stdout that it was made with, which was pytest's own.
    log = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)
    return lambda: ([json.loads(line) for line in log.getvalue().splitlines()], json.loads(capsys.readouterr().out))


def test_a_success_is_counted_as_no_failure(printed: Printed) -> None:
    assert called(None) == {"key": "k"}
    lines, metrics = printed()
    assert not lines
    assert (metrics["Failed"], metrics["step"]) == ([0.0], "image")


def test_a_failure_is_one_line_and_one_count(printed: Printed) -> None:
    with pytest.raises(TransientError):
        called(TransientError("no answer (request req_1)", possibly_paid=True))
    (line,), metrics = printed()
    assert (line["level"], line["error"], line["message"]) == ("ERROR", "TransientError", "no answer (request req_1)")
    assert (line["run_id"], line["n"], line["step"], line["possibly_paid"]) == ("run-1", 2, "image", True)
    assert line["function_request_id"] == "request-1"
    assert metrics["Failed"] == [1.0]


def test_a_bug_is_counted_too_and_its_words_are_not_repeated(printed: Printed) -> None:
    with pytest.raises(KeyError):
        called(KeyError("sk-secret"))
    (line,), metrics = printed()
    assert line["error"] == "KeyError"
    assert "sk-secret" not in json.dumps(line)
    assert metrics["Failed"] == [1.0]
