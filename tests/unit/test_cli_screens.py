"""What the command line shows of texts that came from others: neither markup nor escape codes."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from cli import batch_screen, screen
from cli.batches import StartedBatch
from cli.target import Target
from easel.contract.states import ExecutionStatus
from easel.runs.executions import Execution

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202e[red]field[/red][link=http://evil.example]x[/link]"
ARN = "arn:aws:states:eu-west-1:123456789012:execution:batches:spring.20261128000000-abcd"
TARGET = Target(endpoint=None, region="r", bucket="b", table="t", state_machine_arn="m")
CHECKED: dict[str, Any] = {
    "batch": "spring",
    "lines": 1,
    "pictures": 1,
    "bad": 1,
    "postponed": 0,
    "fits": True,
    "estimate_usd": 0.1,
    "budget_left_usd": 1.0,
    "problems_key": f"batches/{HOSTILE}/problems.jsonl",
    "problems": [{"line": 1, "field": HOSTILE, "error": HOSTILE, "message": HOSTILE}],
    "refusal": HOSTILE,
}


def batch(*, output: dict[str, Any] | None, cause: str | None = None) -> StartedBatch:
    execution = Execution(
        arn=ARN,
        status=ExecutionStatus.FAILED if cause else ExecutionStatus.SUCCEEDED,
        started=datetime(2026, 11, 28, tzinfo=UTC),
        redriven=None,
        ended=datetime(2026, 11, 28, tzinfo=UTC),
        input={},
        output=output,
        error="InputError" if cause else None,
        cause=cause,
        redrivable=False,
    )
    return StartedBatch(name="spring", execution=execution)


@pytest.mark.parametrize(
    "ended",
    [batch(output=CHECKED), batch(output=CHECKED | {"bad": 2}), batch(output=None, cause=HOSTILE)],
)
def test_hostile_text_is_shown_and_not_obeyed(ended: StartedBatch) -> None:
    shown = io.StringIO()

    batch_screen.show_report(TARGET, ended, Console(file=shown, width=1_000))

    text = shown.getvalue()
    assert "[red]field[/red]" in text
    assert r"\x1b[2J" in text
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


def test_line_with_escaped_text_is_plain_on_terminals() -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=1_000, force_terminal=True, color_system="truecolor")

    screen.say(console, screen.escape(HOSTILE))

    assert shown.getvalue() == (
        r"\x1b]0;owned\x07\x1b[2J\x9b2J\u202e[red]field[/red][link=http://evil.example]x[/link]"
        "\n"
    )
