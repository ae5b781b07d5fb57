"""One row of the fault catalogue, as a test runs it.

It has the request, the faults, and the expected outcome.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.fault_menu import CHAT, IMAGES
from tests.faults.faulty_stack import FaultyStack
from tests.faults.rule import Rule

SMALL = {"size": "1024x640", "quality": "low"}
Also = Callable[[FaultyStack, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A run and its faults.

    `error` is the failed run's error, or None if the run succeeds. `images` and `chat` are what
    OpenAI charged.

    `expected_calls` is how often an operation is called, by a function with `step` in its name.
    `also` checks what only this row promises.
    """

    name: str
    request: Any = field(default_factory=dict)
    aws: Sequence[Rule] = ()
    openai: Sequence[Rule] = ()
    stand_in: Sequence[dict[str, Any]] = ()
    error: str | None = None
    images: int = 1
    chat: int = 1
    possibly_paid: int = 0
    expected_calls: tuple[str, int] | None = None
    step: str = ""
    also: Also | None = None


def rows(*scenarios: Scenario) -> Any:
    """Return the table as pytest's parameters.

    Each id begins with its row's number in docs/faults.md.
    """
    return pytest.mark.parametrize(
        "scenario", scenarios, ids=[scenario.name for scenario in scenarios]
    )


def play(stack: FaultyStack, scenario: Scenario) -> dict[str, Any]:
    """Run a scenario and check it against its row."""
    stack.aws_faults.script(*scenario.aws)
    stack.openai_faults.script(*scenario.openai)
    stack.script(*scenario.stand_in)
    request = scenario.request
    if isinstance(request, dict) and request.get("action", "create") == "create":
        request = {"folder_name": "catalogue", **SMALL, **request}
    execution = stack.run(request)
    cause = execution.get("cause", "")
    assert execution.get("error") == scenario.error, cause
    charges = stack.charges()
    assert (charges["chat"], charges["images"]) == (scenario.chat, scenario.images)
    if scenario.error is None and "possibly_paid" in execution["report"]:
        assert execution["report"]["possibly_paid"] == scenario.possibly_paid
    else:
        assert (
            sum(item.get("possibly_paid", 0) for item in stack.records(execution["name"]))
            == scenario.possibly_paid
        )
    if scenario.expected_calls:
        operation, times = scenario.expected_calls
        assert sum(call.operation == operation for call in stack.calls(scenario.step)) == times
    if scenario.also:
        scenario.also(stack, execution)
    return execution


def error_rule(
    status: int, code: str | None = None, *, path: str = IMAGES, **more: Any
) -> dict[str, Any]:
    """Return a rule for the stand-in: OpenAI answers with this error."""
    return {
        "path": path,
        "status": status,
        "body": {"error": {"message": "no", "type": "x", "code": code, "param": None}},
    } | more


def answer_rule(answer: Any, *, path: str = IMAGES, **more: Any) -> dict[str, Any]:
    """Return a rule for the stand-in: OpenAI answers this with 200, and charges for it."""
    return {"path": path, "answer": answer, "charged": True} | more


def chat_rule(text: str, **choice: Any) -> dict[str, Any]:
    """Return a rule for the stand-in: the chat model writes this."""
    message = {"role": "assistant", "content": text, "refusal": None}
    usage = {"prompt_tokens": 10, "completion_tokens": 10}
    return answer_rule(
        {"choices": [{"finish_reason": "stop", "message": message} | choice], "usage": usage},
        path=CHAT,
    )
