import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from easel.contract.errors import ConfigError, InputError, ModelRetiredError
from easel.request import request
from easel.request.request import Request
from tests.support.services import request_settings

TODAY = date(2026, 11, 24)


def parse(raw: object, **settings: Any) -> Request:
    return request.parse(raw, request_settings(**settings), today=TODAY)


def test_an_empty_object_is_a_complete_request() -> None:
    made = parse({})
    assert (made.action, made.folder_name, made.count, made.output_format) == (
        "create",
        "my_s3_folder",
        1,
        "png",
    )


@pytest.mark.parametrize("raw", [None, [], "text", 7, True, [{"action": "delete_image"}]])
def test_refuses_input_that_is_no_object(raw: object) -> None:
    with pytest.raises(InputError, match="the request"):
        parse(raw)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bucket", "other"),
        ("Count", 1),
        ("action", "destroy"),
        ("count", 0),
        ("count", 11),
        ("count", "3"),
        ("count", True),
        ("count", 1.5),
        ("output_compression", 50),
        ("output_compression", 101),
        ("output_compression", True),
        ("moderation", "off"),
        ("size", "1000x1000"),
        ("size", "16x16x16"),
        ("size", "4096x2160"),
        ("size", "1600x320"),
        ("size", "-16x16"),
        ("size", "१६x१६"),
        ("quality", "ultra"),
        ("quality", "max"),
        ("output_format", "gif"),
        ("background", "pink"),
        ("topic", ""),
        ("topic", "a\x07b"),
        ("image_key", "f/a.png.json"),
        ("topics", []),
        ("topics", [3]),
        ("topics", "a"),
        ("style", 5),
        ("aws_region", "eu-west-1"),
        ("folder_name", "../x"),
        ("folder_name", ""),
        ("folder_name", "/a"),
        ("folder_name", "a//b"),
        ("request_id", "a b"),
        ("request_id", "x" * 81),
        ("dry_run", "yes"),
        ("image_key", "a/b.png"),
        ("confirm", True),
        ("file_name", "{x}"),
    ],
)
def test_names_the_field_and_the_value_that_are_wrong(field: str, value: object) -> None:
    with pytest.raises(InputError) as caught:
        parse({field: value})
    assert field in str(caught.value)
    assert json.dumps(value, ensure_ascii=False).strip('[]"')[:20] in str(caught.value)
    assert "allowed: " in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"topic": "the secret plan, " * 20},
        {"prompt": "the secret plan, " * 2_000},
        {"description": "the secret plan\u202e to be hidden"},
        {"promt": "the secret plan, misspelt"},
        {"prompt": "x", "description": "the secret plan, beside"},
        {
            "action": "delete_image",
            "image_key": "f/a.png",
            "topic": "the secret plan, with a delete",
        },
        {"image_key": "the secret plan, at length"},
        {"topics": ["the secret plan, " * 20]},
    ],
)
def test_a_caller_s_longer_words_are_described_and_not_repeated_since_errors_end_up_in_logs(
    given: dict[str, Any],
) -> None:
    with pytest.raises(InputError) as caught:
        parse(given)
    assert "secret" not in str(caught.value)
    assert re.search(r"text of [\d,]+ characters", str(caught.value))


@pytest.mark.parametrize(
    "wrap", [lambda deep: deep, lambda deep: {"topic": deep}, lambda deep: {"unknown": deep}]
)
def test_refuses_what_is_nested_too_deep_by_its_name(
    wrap: Callable[[Any], Any], python_s_own_recursion_limit: None
) -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InputError, match="nested too deep"):
        parse(wrap(deep))


@pytest.fixture
def python_s_own_recursion_limit() -> Iterator[None]:
    """The limit that a function has on Lambda: some test tool raises it for this whole process."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    "field", ["topic", "style", "description", "prompt", "folder_name", "file_name"]
)
def test_refuses_what_turns_the_text_around_and_shows_it_escaped(field: str) -> None:
    with pytest.raises(InputError, match=rf'{field} is "a\\u202eb"'):
        parse({field: "a\u202eb"})


@pytest.mark.parametrize("text", ["שלום\u200f!", "می\u200cخواهم", "👩\u200d🏫", "a\nb\tc"])
def test_takes_the_marks_that_languages_and_pictures_need(text: str) -> None:
    assert parse({"description": text}).description == text


@pytest.mark.parametrize(
    "size", ["auto", "1024x1024", "3840x2160", "2160x3840", "1536x512", "1008x1008"]
)
def test_takes_every_size_that_the_models_make(size: str) -> None:
    assert parse({"size": size}).size == size


def test_refuses_a_transparent_jpeg() -> None:
    with pytest.raises(InputError, match="background"):
        parse({"background": "transparent", "output_format": "jpeg"})


def test_refuses_a_key_that_any_topic_would_make_too_long() -> None:
    room = {"folder_name": "f" * 880, "file_name": "{topic}-{n}"}
    assert parse({"topics": ["a" * 200], **room})
    with pytest.raises(InputError, match="1024 bytes"):
        parse({"topics": ["a" * 200, "語" * 60], **room})


def test_takes_every_parameter_of_a_picture() -> None:
    said = {
        "output_format": "webp",
        "output_compression": 0,
        "background": "transparent",
        "moderation": "low",
        "quality": "high",
    }
    made = parse(said)
    assert {name: getattr(made, name) for name in said} == said


def test_refuses_a_prompt_together_with_what_a_prompt_is_written_from() -> None:
    with pytest.raises(InputError, match="style"):
        parse({"prompt": "a boat", "style": "woodcut"})


def test_a_retired_model_names_its_successor() -> None:
    with pytest.raises(ModelRetiredError, match=r"gpt-image-2\.6-flare"):
        parse({"model": "dall-e-3"})


def test_a_model_with_no_known_price_is_refused_unless_the_deployment_allows_it() -> None:
    with pytest.raises(ConfigError, match="unpriced_models=allow"):
        parse({"model": "my-own-model"})
    assert parse({"model": "my-own-model"}, unpriced_models_allowed=True).model == "my-own-model"


@pytest.mark.parametrize("action", ["delete_image", "delete_folder"])
def test_a_delete_needs_its_target_and_a_confirmation(action: str) -> None:
    target = {"image_key": "f/a.png"} if action == "delete_image" else {"folder_name": "f"}
    with pytest.raises(InputError, match="requires one"):
        parse({"action": action, "confirm": True})
    with pytest.raises(InputError, match="confirm"):
        parse({"action": action} | target)
    with pytest.raises(InputError, match="confirm"):
        parse({"action": action, "confirm": "true"} | target)
    assert parse({"action": action, "confirm": True} | target).confirm


@pytest.mark.parametrize(
    "action",
    [
        {"action": "delete_folder"},
        {"action": "delete_folder", "purge": True},
        {"action": "restore_folder"},
    ],
)
@pytest.mark.parametrize(
    "folder",
    [
        "",
        "/",
        "*",
        "f/",
        "/f",
        "staging",
        "staging/run-1",
        "thumbnails",
        "batches",
        "..",
        "f/..",
        None,
    ],
)
def test_no_action_reaches_beyond_a_folder_of_pictures(
    action: dict[str, Any], folder: str | None
) -> None:
    with pytest.raises(InputError, match="folder_name"):
        parse(action | {"folder_name": folder, "confirm": True})


@pytest.mark.parametrize(
    "action",
    [
        {"action": "delete_image"},
        {"action": "delete_image", "purge": True},
        {"action": "restore_image"},
    ],
)
@pytest.mark.parametrize(
    "key",
    [
        "",
        "*",
        "a.png",
        "/a.png",
        "staging/a.png",
        "thumbnails/f/a.png.webp",
        "batches/a.png",
        "f/a.png.json",
        None,
    ],
)
def test_no_action_reaches_anything_but_a_picture_in_a_folder(
    action: dict[str, Any], key: str | None
) -> None:
    with pytest.raises(InputError, match="image_key"):
        parse(action | {"image_key": key, "confirm": True})


@pytest.mark.parametrize(
    ("action", "target"),
    [("restore_image", {"image_key": "f/a.png"}), ("restore_folder", {"folder_name": "f"})],
)
def test_a_restore_needs_its_target_and_no_confirmation(
    action: str, target: dict[str, str]
) -> None:
    assert parse({"action": action} | target).target in target.values()
    with pytest.raises(InputError, match="requires one"):
        parse({"action": action})


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"topic": "Sport"},
        {"action": "restore_image", "image_key": "f/a.png"},
        {"action": "restore_folder", "folder_name": "f"},
    ],
)
def test_only_a_delete_can_purge(raw: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^purge is true"):
        parse(raw | {"purge": True})


def test_a_purge_needs_a_confirmation_or_a_dry_run() -> None:
    purge = {"action": "delete_folder", "folder_name": "f", "purge": True}
    with pytest.raises(InputError, match=r"^confirm"):
        parse(purge)
    assert parse(purge | {"confirm": True}).purge
    assert parse(purge | {"dry_run": True}).purge
    with pytest.raises(InputError, match=r"^purge"):
        parse(purge | {"purge": "yes", "confirm": True})


def test_a_field_that_is_null_counts_as_not_given() -> None:
    assert parse({"topic": None, "count": None}) == parse({})


def test_the_digest_ignores_the_id_and_nothing_else_that_shapes_the_picture() -> None:
    assert request.digest({"topic": "a", "request_id": "1"}) == request.digest(
        {"topic": "a", "request_id": "2"}
    )
    assert request.digest({"topic": "a"}) != request.digest({"topic": "b"})


def test_for_whom_it_is_makes_no_other_request_of_it() -> None:
    assert request.digest({"topic": "a", "safety_identifier": "x"}) == request.digest(
        {"topic": "a", "safety_identifier": "y"}
    )


@pytest.mark.parametrize("value", ["", " ", "x" * 65, 7, "ada\x00example", ["x"]])
def test_a_safety_identifier_that_is_none_is_refused_and_not_shown(value: object) -> None:
    with pytest.raises(InputError, match=r"safety_identifier.*1 to 64") as caught:
        parse({"safety_identifier": value})
    assert "ada" not in str(caught.value)
    assert parse({"safety_identifier": "x" * 64}).safety_identifier == "x" * 64
