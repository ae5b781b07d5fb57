"""The prompt first: written and paid once, read, edited, and then painted."""

import pytest

from easel.contract.errors import ConflictError, InputError
from easel.ledger.budget import month_of
from easel.request.request import parse
from tests.support.records import image_record
from tests.support.services import NOW, FakeServices, request_settings
from tests.support.steps import PromptStep

FIRST = {"topic": "Sport", "count": 2, "request_id": "r", "only_prompt": True}
PAINT = {"topic": "Sport", "count": 2, "request_id": "r"}


@pytest.fixture
def step(services: FakeServices) -> PromptStep:
    return PromptStep(services)


def text(step: PromptStep) -> str:
    prompt = step.ledger.prompt("r")
    assert prompt
    return prompt.text


def test_prompt_is_written_and_nothing_is_painted(step: PromptStep) -> None:
    assert step.run(FIRST).variations == ()
    assert step.run(FIRST, name="again").variations == ()
    assert (len(step.chat.requests), step.money()) == (1, (130, 130))


def test_prompt_needs_no_money_for_its_images(step: PromptStep) -> None:
    step.ledger.budget.set_cap(month_of(NOW), 10_000)  # less than two images cost
    assert step.run(FIRST).variations == ()


def test_same_run_paints_without_paying_the_prompt_again(step: PromptStep) -> None:
    step.run(FIRST)
    assert step.run(PAINT, name="two").variations == (1, 2)
    assert len(step.chat.requests) == 1


def test_edited_prompt_is_painted_instead(step: PromptStep) -> None:
    step.run(FIRST)
    written = text(step)
    before = step.run(PAINT, name="two").estimate_micro_usd

    longer = "A blue kite " * 200
    after = step.run(PAINT | {"edited_prompt": longer}, name="three").estimate_micro_usd

    prompt = step.ledger.prompt("r")
    assert prompt
    assert (prompt.text, prompt.written_text) == (longer.strip(), written)
    assert before
    assert after
    assert after > before
    # The edit may be sent again, and edited again.
    step.run(PAINT | {"edited_prompt": longer}, name="four")
    step.run(PAINT | {"edited_prompt": "A kite"}, name="five")
    assert text(step) == "A kite"


def test_claimed_image_keeps_its_prompt(step: PromptStep) -> None:
    step.run(FIRST)
    step.ledger.claims.take(image_record(run_id="r", n=2), after=None)

    with pytest.raises(ConflictError, match="painted from another prompt already"):
        step.run(PAINT | {"edited_prompt": "A blue kite"}, name="two")
    assert text(step) != "A blue kite"
    assert step.run(PAINT, name="three").variations == (1, 2)


def test_another_request_does_not_paint(step: PromptStep) -> None:
    step.run(FIRST)
    with pytest.raises(ConflictError, match="belongs to another request"):
        step.run(PAINT | {"topic": "Science"}, name="two")


def test_prompt_only_paints_no_edit() -> None:
    raw = FIRST | {"edited_prompt": "secret words"}
    with pytest.raises(InputError, match="only_prompt paints nothing") as exc_info:
        parse(raw, request_settings(), today=NOW.date())
    assert "secret" not in str(exc_info.value)
