"""Presets: fixed when a run begins, and part of what identifies it."""

from typing import Any

import pytest

from easel.aws.table import Table
from easel.contract.errors import ConflictError, InputError, NotFoundError
from easel.ledger.presets import MOST, Presets
from easel.request.presets import Preset, apply_preset, check_preset_fields
from easel.request.request import TABLE, digest
from infra.presets import read_presets
from infra.setting_values import SettingError, SettingRefusedError
from tests.support.services import FakeServices, request_settings
from tests.support.steps import BatchStep, PromptStep

BRAND = {"style": "flat, two colours", "size": "1536x1024", "avoid": ["text"], "tags": ["brand"]}
RAW = {"preset": "brand", "topic": "Sport", "request_id": "r"}


@pytest.fixture
def presets(table: Table) -> Presets:
    return Presets(table, {"house": {"quality": "high"}})


@pytest.fixture
def step(services: FakeServices) -> PromptStep:
    step = PromptStep(services)
    services.presets.put(Preset(name="brand", fields=BRAND))
    return step


def test_request_has_the_fields_of_its_preset(step: PromptStep) -> None:
    step.run(RAW)

    prompt = step.ledger.prompt("r")
    assert prompt
    assert (prompt.choices["size"], prompt.choices["tags"]) == ("1536x1024", ["brand"])
    assert prompt.preset == BRAND
    assert prompt.request == {"preset": "brand", "topic": "Sport"}
    (question,) = step.chat.requests
    assert '"style": "flat, two colours", "avoid": ["text"]' in question["user"]


def test_fields_that_need_each_other_may_be_apart(step: PromptStep) -> None:
    step.services.presets.put(Preset(name="posts", fields={"output_sizes": ["64x48"]}))
    raw = {"preset": "posts", "crop": "center", "topic": "Sport", "request_id": "apart"}
    step.run(raw)
    step.services.presets.delete("posts")
    step.run(raw, name="again")

    prompt = step.ledger.prompt("apart")
    assert prompt
    assert prompt.choices["crop"] == "center"


def test_own_fields_win() -> None:
    fields = apply_preset({"style": "oil", "size": None, "topic": "x"}, BRAND)
    assert fields == BRAND | {"style": "oil", "topic": "x"}


def test_finished_prompt_takes_no_style_from_its_preset() -> None:
    assert apply_preset({"prompt": "x"}, BRAND) == {
        "prompt": "x",
        "size": "1536x1024",
        "tags": ["brand"],
    }


def test_changed_preset_changes_no_run_that_has_begun(step: PromptStep) -> None:
    step.run(RAW)
    step.services.presets.put(Preset(name="brand", fields={"style": "oil"}))

    step.run(RAW, name="two")
    step.services.presets.delete("brand")
    step.run(RAW, name="three")

    assert len(step.chat.requests) == 1
    with pytest.raises(InputError, match='preset is "brand"'):
        step.run(RAW | {"request_id": "another"})


def test_digest_covers_the_content() -> None:
    digests = {digest(RAW, preset=fields) for fields in (None, BRAND, {"style": "oil"})}
    assert len(digests) == 3


def test_batch_line_uses_its_preset(services: FakeServices, s3: Any) -> None:
    batch = BatchStep(services, s3)
    services.presets.put(Preset(name="brand", fields={"quality": "high"}))
    batch.put({"topic": "Sport", "preset": "brand"}, {"topic": "Sport", "preset": "no"})

    plan = batch.check(tolerated_failure_percentage=50)
    dear = plan.estimate_usd
    batch.put({"topic": "Sport"})

    assert [(problem.line, problem.field) for problem in plan.problems] == [(2, "preset")]
    assert dear
    assert dear > (batch.check(execution="two").estimate_usd or 0) * 2


def test_declared_presets_are_changed_by_a_deployment_only(presets: Presets) -> None:
    assert [preset.name for preset in presets.all() if preset.declared] == ["house"]
    with pytest.raises(ConflictError, match=r"change `presets` in cdk\.json"):
        presets.put(Preset(name="house", fields=BRAND))
    with pytest.raises(ConflictError, match=r"change `presets` in cdk\.json"):
        presets.delete("house")


def test_unknown_preset_is_not_deleted(presets: Presets) -> None:
    with pytest.raises(NotFoundError, match="there is no preset 'no'"):
        presets.delete("no")


def test_number_of_presets_is_limited(presets: Presets) -> None:
    for number in range(MOST - 1):
        presets.put(Preset(name=f"p{number}", fields=BRAND))
    presets.put(Preset(name="p0", fields=BRAND))
    with pytest.raises(ConflictError, match="100 presets already"):
        presets.put(Preset(name="more", fields=BRAND))


@pytest.mark.parametrize(
    "fields", [{"preset": "brand"}, {"prompt": "x"}, {"count": 2}, {"colour": "red"}, {}]
)
def test_preset_contains_only_what_several_requests_share(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"allowed: .*folder_name, style, avoid") as exc_info:
        check_preset_fields(fields, TABLE)
    assert exc_info.value.field == ("fields" if not fields else f"fields.{next(iter(fields))}")


@pytest.mark.parametrize("value", ["", None, "{}", {}])
def test_no_preset_is_declared_by_default(value: Any) -> None:
    assert read_presets(lambda _: value, request_settings()) == {}


def test_presets_of_the_settings_are_checked() -> None:
    listed = {"brand": {"style": "flat", "quality": "high", "size": None}}
    found = read_presets(lambda _: listed, request_settings())
    assert found == {"brand": {"style": "flat", "quality": "high"}}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no JSON", "presets"),
        ([{"style": "x"}], "presets"),
        ({"brand": "flat"}, "presets, brand"),
        ({"The Brand": {"style": "x"}}, "a-z 0-9"),
        ({"brand": {"preset": "brand"}}, "a preset does not contain it"),
        ({"brand": {"size": "1x1"}}, "size"),
        ({f"p{n}": {"style": "x" * 200} for n in range(6)}, "at most 1,000 bytes"),
    ],
)
def test_wrong_presets_of_the_settings_are_refused(value: Any, words: str) -> None:
    with pytest.raises((SettingError, SettingRefusedError), match=words):
        read_presets(lambda _: value, request_settings())
