import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from easel.aws import observability
from easel.contract.errors import ConfigError, TransientError


@dataclass
class Context:
    function_name: str = "f"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    aws_request_id: str = "request-1"


def called(does: Callable[[], None]) -> dict[str, Any]:
    """Call a framed handler that runs this function."""

    @observability.step("image")
    def handler(_event: Any, _context: Any) -> dict[str, Any]:
        does()
        return {"key": "k"}

    context: Any = Context()
    return handler({"run_id": "run-1", "n": 2, "attempt": 3, "secret": "do not log"}, context)


def raising(error: Exception) -> Callable[[], None]:
    def fails() -> None:
        raise error

    return fails


LogOutput = Callable[[], tuple[list[dict[str, Any]], dict[str, Any]]]


@pytest.fixture
def log_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> LogOutput:
    """Return a function that reads the printed log lines and metrics."""
    # The logger keeps the stdout that it was created with, which was pytest's.
    log = io.StringIO()
    observability.metrics.clear_metrics()  # drops what earlier tests counted without a frame
    monkeypatch.setattr(observability.logger.registered_handler, "stream", log)

    def read() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        return [json.loads(line) for line in log.getvalue().splitlines()], json.loads(
            capsys.readouterr().out.splitlines()[-1]
        )

    return read


def test_success_is_one_line_without_failure(log_output: LogOutput) -> None:
    assert called(lambda: observability.log_result("picture bought", bytes=7)) == {"key": "k"}

    (line,), metrics = log_output()
    assert (line["level"], line["message"], line["bytes"]) == ("INFO", "picture bought", 7)
    assert (line["run_id"], line["n"], line["step"], line["attempt"]) == ("run-1", 2, "image", 3)
    assert line["ms"] >= 0
    assert metrics["Failed"] == [0.0]


def test_call_without_report_logs_nothing(log_output: LogOutput) -> None:
    called(lambda: None)
    lines, metrics = log_output()
    assert not lines
    assert metrics["Failed"] == [0.0]


def test_spending_is_logged_and_summed(log_output: LogOutput) -> None:
    def buys_twice() -> None:
        for micro_usd in (13_290, 52):
            observability.spend(micro_usd)
        observability.note(openai_request_id="req_1")
        observability.log_result("bought")

    called(buys_twice)
    (line,), metrics = log_output()

    assert (line["usd"], line["openai_request_id"]) == (0.013342, "req_1")
    assert sum(metrics["SpendUSD"]) == pytest.approx(0.013342)


def test_unknown_cost_is_not_zero(log_output: LogOutput) -> None:
    called(lambda: observability.spend(None))
    _, metrics = log_output()
    assert metrics["CostUnknown"] == [1.0]
    assert "SpendUSD" not in metrics


def test_failure_is_one_line_with_context(log_output: LogOutput) -> None:
    def fails() -> None:
        observability.note(openai_request_id="req_1")
        raise ConfigError("no such model (request req_1)")

    with pytest.raises(ConfigError):
        called(fails)

    (line,), metrics = log_output()
    assert (line["level"], line["error"], line["message"]) == (
        "ERROR",
        "ConfigError",
        "no such model (request req_1)",
    )
    assert (line["run_id"], line["n"], line["step"], line["attempt"]) == ("run-1", 2, "image", 3)
    assert (line["openai_request_id"], line["possibly_paid"]) == ("req_1", False)
    assert line["function_request_id"] == "request-1"
    assert metrics["Failed"] == [1.0]


def test_transient_error_is_a_warning(log_output: LogOutput) -> None:
    with pytest.raises(TransientError):
        called(raising(TransientError("no answer", possibly_paid=True)))
    (line,), metrics = log_output()
    assert (line["level"], line["error"], line["possibly_paid"]) == (
        "WARNING",
        "TransientError",
        True,
    )
    assert metrics["Failed"] == [1.0]


def test_calls_share_no_log_fields(log_output: LogOutput) -> None:
    with pytest.raises(TransientError):
        called(raising(TransientError("no answer")))

    called(lambda: observability.log_result("fine"))
    lines = log_output()[0]
    assert lines[-1]["message"] == "fine"
    assert "error" not in lines[-1]


def test_bug_is_counted_without_its_message(log_output: LogOutput) -> None:
    with pytest.raises(KeyError):
        called(raising(KeyError("sk-secret")))

    (line,), metrics = log_output()
    assert (line["level"], line["error"]) == ("ERROR", "KeyError")
    assert "sk-secret" not in json.dumps(line)
    assert metrics["Failed"] == [1.0]
