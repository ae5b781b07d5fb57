"""Step Functions' limits, computed from the definition.

Histories and states stay far below the limits, with any number of lines.
"""

import json
from datetime import date
from typing import Any

import pytest

from easel.contract import naming
from easel.contract.messages import StartRun
from easel.contract.settings import RequestSettings
from easel.contract.states import State
from easel.openai_client.batches import MAX_IMAGES
from easel.request import request
from easel.request.fields import table_of
from easel.request.references import MAX_REFERENCES
from easel.request.request import MAX_COUNT, Request
from functions.batch.manifest import MAX_LINE
from functions.economy.plan import custom_id
from infra.workflows.economy import UNTIL_NEXT_LOOK
from tests.support.template import BATCHES, RUNS, Template

# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MAX_EVENTS, MAX_STATE = 25_000, 262_144
WIDEST = "\N{GRINNING FACE}"  # four bytes in UTF-8
PER_ATTEMPT = 3  # TaskScheduled, TaskStarted, and the event of its end
ENTER_AND_EXIT = 2
DAY = 24 * 60 * 60


def events(states: dict[str, Any], *, looks: int = 0) -> int:
    """Return the largest number of events of these states in one execution.

    It assumes that every retry is used up, and that each Catch leads through its state.
    """
    return sum(_events(state) for state in states.values()) + looks * _loop(states)


def _events(state: dict[str, Any]) -> int:
    if state["Type"] == "Task":
        attempts: int = 1 + sum(rule["MaxAttempts"] for rule in state["Retry"])
        return ENTER_AND_EXIT + attempts * PER_ATTEMPT
    if state["Type"] == "Map" and state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "INLINE":
        # Each iteration has a start and an end, and so does the Map.
        return ENTER_AND_EXIT + 2 + MAX_COUNT * (2 + events(state["ItemProcessor"]["States"]))
    # The parent's history has a Distributed Map's start and end. Its children have separate
    # histories.
    return ENTER_AND_EXIT + (4 if state["Type"] == "Map" else 0)


def _loop(states: dict[str, Any]) -> int:
    round_ = [
        states[name]
        for name in (State.WAIT_FOR_OPENAI, State.LOOK_AT_ORDER, State.IS_IT_DONE)
        if name in states
    ]
    return sum(ENTER_AND_EXIT + (PER_ATTEMPT if state["Type"] == "Task" else 0) for state in round_)


def children(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the states of a machine's Distributed Maps, by Map."""
    return {
        name: state["ItemProcessor"]["States"]
        for name, state in machine["States"].items()
        if state["Type"] == "Map"
        and state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    }


@pytest.mark.parametrize("construct", [RUNS, BATCHES])
def test_execution_history_is_bounded(template: Template, construct: str) -> None:
    machine = template.machine(construct)
    assert events(machine["States"]) < MAX_EVENTS * 3 / 4
    assert all(events(states) < MAX_EVENTS * 3 / 4 for states in children(machine).values())


def test_daylong_order_keeps_its_history_small(template: Template) -> None:
    order = children(template.machine(BATCHES))["For each order"]
    assert (
        order["Wait for OpenAI"]["Seconds"]
        == UNTIL_NEXT_LOOK
        == "{% $min([300, 30 + 30 * $states.input.looks]) %}"
    )
    assert events(order, looks=DAY // 300 + 10) < MAX_EVENTS / 4


def test_every_map_over_lines_is_distributed(template: Template) -> None:
    maps = children(template.machine(BATCHES))
    assert set(maps) == {"For each line", "Write each prompt", "For each order", "Store each line"}
    for state in (template.machine(BATCHES)["States"][name] for name in maps):
        assert state["ItemReader"]["Resource"].endswith("s3:getObject")
        assert state["ResultWriter"]["Resource"].endswith("s3:putObject")
        assert state["Output"] == "{% $states.input %}"  # the results stay in S3


def longest(field: str) -> Any:
    """Return the longest value that a text field, or a list of texts, accepts."""
    schema = table_of(Request)[field].schema()
    if schema["type"] == "array":
        return [WIDEST * schema["items"]["maxLength"]] * schema["maxItems"]
    return WIDEST * schema["maxLength"]


def test_longest_line_fits_into_a_state() -> None:
    settings = RequestSettings(
        folder_name="f",
        topics=("Sport",),
        chat_model="gpt-6-luna",
        image_model="gpt-image-2.6-flare",
        region="ap-southeast-1",
        chat_sees_references=True,
        unpriced_models_allowed=False,
        delivery_url=None,
        channels=(),
        presets={},
    )
    keys = [f"f/{'x' * (naming.MAX_KEY_BYTES - 9)}{n:02}.png" for n in range(MAX_REFERENCES)]
    requests = (
        {"prompt": longest("prompt")},
        {"prompt": longest("prompt"), "reference_images": keys},
        {name: longest(name) for name in ("description", "style", "topics")},
        {"prompt": longest("prompt").replace(WIDEST, '"')},
    )
    for line in requests:
        parsed = request.parse(line, settings, today=date(2026, 11, 25))
        start = StartRun(
            request=line, execution_name="x" * 80, started="2026-11-25T00:00:00.000Z"
        ).to_state()

        assert parsed.action == "create"
        assert len(json.dumps(start, ensure_ascii=False).encode()) < MAX_STATE
    # Nothing else in a line of JSON Lines is longer than this.
    assert MAX_LINE + 1_000 < MAX_STATE


def test_largest_order_fits_into_a_state() -> None:
    images = [{"run_id": "x" * 80, "n": 10}] * MAX_IMAGES

    order = {"order": "x" * 32, "pictures": images, "work": "w" * 200, "batch": "b" * 80}

    assert len(json.dumps(order)) < MAX_STATE / 8
    assert custom_id(images[0]) == "x" * 80 + "#10"
