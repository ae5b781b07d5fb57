"""One row of the fault catalogue, as a test runs it.

It has the request, the faults, and the expected outcome.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.fault_menu import CHAT, IMAGES
from tests.faults.faulty_stack import Storm
from tests.faults.rule import Rule

SMALL = {"size": "256x256", "quality": "low"}
Also = Callable[[Storm, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A run and its faults.

    `error` is the failed run's error, or None if the run succeeds. `images` and `chat` are what
    OpenAI charged.

    `asked` is how often an operation was called, by a function with `step` in its name. `also`
    checks what only this row promises.
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
    asked: tuple[str, int] | None = None
    step: str = ""
    also: Also | None = None


def rows(*scenarios: Scenario) -> Any:
    """Return the table as pytest's parameters.

    Each id begins with its row's number in docs/faults.md.
    """
    return pytest.mark.parametrize(
        "scenario", scenarios, ids=[scenario.name for scenario in scenarios]
    )


def play(storm: Storm, scenario: Scenario) -> dict[str, Any]:
    """Run a scenario and check it against its row."""
    storm.aws_faults.script(*scenario.aws)
    storm.openai_faults.script(*scenario.openai)
    storm.script(*scenario.stand_in)
    request = scenario.request
    if isinstance(request, dict) and request.get("action", "create") == "create":
        request = {"folder_name": "catalogue", **SMALL, **request}
    ended = storm.run(request)
    cause = ended.get("cause", "")
    assert ended.get("error") == scenario.error, cause
    charged = storm.charged()
    assert (charged["chat"], charged["images"]) == (scenario.chat, scenario.images)
    if scenario.error is None and "possibly_paid" in ended["report"]:
        assert ended["report"]["possibly_paid"] == scenario.possibly_paid
    else:
        assert (
            sum(item.get("possibly_paid", 0) for item in storm.records(ended["name"]))
            == scenario.possibly_paid
        )
    if scenario.asked:
        operation, times = scenario.asked
        assert sum(call.operation == operation for call in storm.calls(scenario.step)) == times
    if scenario.also:
        scenario.also(storm, ended)
    return ended


def refused(
    status: int, code: str | None = None, *, path: str = IMAGES, **more: Any
) -> dict[str, Any]:
    """Return a rule for the stand-in: OpenAI answers with this error."""
    return {
        "path": path,
        "status": status,
        "body": {"error": {"message": "no", "type": "x", "code": code, "param": None}},
    } | more


def answered(answer: Any, *, path: str = IMAGES, **more: Any) -> dict[str, Any]:
    """Return a rule for the stand-in: OpenAI answers this with 200, and charges for it."""
    return {"path": path, "answer": answer, "charged": True} | more


def wrote(text: str, **choice: Any) -> dict[str, Any]:
    """Return a rule for the stand-in: the chat model writes this."""
    message = {"role": "assistant", "content": text, "refusal": None}
    usage = {"prompt_tokens": 10, "completion_tokens": 10}
    return answered(
        {"choices": [{"finish_reason": "stop", "message": message} | choice], "usage": usage},
        path=CHAT,
    )
