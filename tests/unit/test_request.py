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
    request = parse({})
    assert (request.action, request.folder_name, request.count, request.output_format) == (
        "create",
        "my_s3_folder",
        1,
        "png",
    )


@pytest.mark.parametrize("raw", [None, [], "text", 7, True, [{"action": "delete_image"}]])
def test_non_object_input_is_refused(raw: object) -> None:
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
def test_wrong_field_and_value_are_named(field: str, value: object) -> None:
    with pytest.raises(InputError) as exc_info:
        parse({field: value})
    # tests/unit/test_private_words.py covers how values are shown.
    assert str(exc_info.value).startswith(f"{field} is ")
    assert "; allowed: " in str(exc_info.value)


@pytest.mark.parametrize(
    "raw",
    [
        {"topic": "the secret plan, " * 20},
        {"prompt": "the secret plan, " * 2_000},
        {"description": "the secret plan\u202e to be hidden"},
        {"promt": "the secret plan, misspelt"},
        {"prompt": "x", "description": "the secret plan, as well"},
        {
            "action": "delete_image",
            "image_key": "f/a.png",
            "topic": "the secret plan, with a delete",
        },
        {"image_key": "the secret plan, at length"},
        {"topics": ["the secret plan, " * 20]},
    ],
)
def test_long_values_are_described_not_repeated(raw: dict[str, Any]) -> None:
    with pytest.raises(InputError) as exc_info:
        parse(raw)
    assert "secret" not in str(exc_info.value)
    assert re.search(r"text of [\d,]+ characters", str(exc_info.value))


@pytest.mark.parametrize(
    "wrap", [lambda deep: deep, lambda deep: {"topic": deep}, lambda deep: {"unknown": deep}]
)
def test_deep_nesting_is_refused(
    wrap: Callable[[Any], Any], python_s_own_recursion_limit: None
) -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InputError, match="is a list of 1 value"):
        parse(wrap(deep))


@pytest.fixture
def python_s_own_recursion_limit() -> Iterator[None]:
    """Set the recursion limit as it is on Lambda: some test tool raises it for this process."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    "field", ["topic", "style", "description", "prompt", "folder_name", "file_name"]
)
def test_bidirectional_text_is_refused_and_named(field: str) -> None:
    with pytest.raises(InputError, match=rf"{field} is a text of 3 characters with U\+202E"):
        parse({field: "a\u202eb"})


@pytest.mark.parametrize("text", ["שלום\u200f!", "می\u200cخواهم", "👩\u200d🏫", "a\nb\tc"])
def test_language_and_emoji_marks_are_accepted(text: str) -> None:
    assert parse({"description": text}).description == text


@pytest.mark.parametrize(
    "size", ["auto", "1024x1024", "3840x2160", "2160x3840", "1536x512", "1008x1008"]
)
def test_every_model_size_is_accepted(size: str) -> None:
    assert parse({"size": size}).size == size


def test_transparent_jpeg_is_refused() -> None:
    with pytest.raises(InputError, match="background"):
        parse({"background": "transparent", "output_format": "jpeg"})


def test_key_too_long_for_any_topic_is_refused() -> None:
    room = {"folder_name": "f" * 880, "file_name": "{topic}-{n}"}
    assert parse({"topics": ["a" * 200], **room})
    with pytest.raises(InputError, match="1024 bytes"):
        parse({"topics": ["a" * 200, "語" * 60], **room})


def test_every_image_parameter_is_accepted() -> None:
    raw = {
        "output_format": "webp",
        "output_compression": 0,
        "background": "transparent",
        "moderation": "low",
        "quality": "high",
    }
    request = parse(raw)
    assert {name: getattr(request, name) for name in raw} == raw


def test_prompt_excludes_topic_style_and_description() -> None:
    with pytest.raises(InputError, match="style"):
        parse({"prompt": "a boat", "style": "woodcut"})


def test_a_retired_model_names_its_successor() -> None:
    with pytest.raises(ModelRetiredError, match=r"gpt-image-2\.6-flare"):
        parse({"model": "dall-e-3"})


def test_unpriced_model_is_refused_by_default() -> None:
    with pytest.raises(InputError, match=r"known price: .*unpriced_models"):
        parse({"model": "my-own-model"})
    with pytest.raises(ConfigError, match="the setting image_model"):
        parse({}, image_model="my-own-model")
    assert parse({"model": "my-own-model"}, unpriced_models_allowed=True).model == "my-own-model"


@pytest.mark.parametrize("action", ["delete_image", "delete_folder"])
def test_delete_needs_target_and_confirmation(action: str) -> None:
    target = {"image_key": "f/a.png"} if action == "delete_image" else {"folder_name": "f"}

    with pytest.raises(InputError, match="requires it"):
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
def test_folder_action_reaches_only_image_folders(
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
def test_image_action_reaches_only_folder_images(action: dict[str, Any], key: str | None) -> None:
    with pytest.raises(InputError, match="image_key"):
        parse(action | {"image_key": key, "confirm": True})


@pytest.mark.parametrize(
    ("action", "target"),
    [("restore_image", {"image_key": "f/a.png"}), ("restore_folder", {"folder_name": "f"})],
)
def test_restore_needs_target_without_confirmation(action: str, target: dict[str, str]) -> None:
    assert parse({"action": action} | target).target in target.values()
    with pytest.raises(InputError, match="requires it"):
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
def test_only_delete_can_purge(raw: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^purge is true"):
        parse(raw | {"purge": True})


def test_purge_needs_confirmation_or_dry_run() -> None:
    purge = {"action": "delete_folder", "folder_name": "f", "purge": True}

    with pytest.raises(InputError, match=r"^confirm"):
        parse(purge)
    assert parse(purge | {"confirm": True}).purge
    assert parse(purge | {"dry_run": True}).purge
    with pytest.raises(InputError, match=r"^purge"):
        parse(purge | {"purge": "yes", "confirm": True})


def test_null_field_counts_as_missing() -> None:
    assert parse({"topic": None, "count": None}) == parse({})


def test_digest_ignores_only_the_id() -> None:
    assert request.digest({"topic": "a", "request_id": "1"}) == request.digest(
        {"topic": "a", "request_id": "2"}
    )
    assert request.digest({"topic": "a"}) != request.digest({"topic": "b"})


def test_end_user_does_not_change_the_digest() -> None:
    assert request.digest({"topic": "a", "safety_identifier": "x"}) == request.digest(
        {"topic": "a", "safety_identifier": "y"}
    )


@pytest.mark.parametrize("value", ["", " ", "x" * 65, 7, "ada\x00example", ["x"]])
def test_invalid_safety_identifier_is_refused_not_shown(value: object) -> None:
    with pytest.raises(InputError, match=r"safety_identifier.*1 to 64") as exc_info:
        parse({"safety_identifier": value})
    assert "ada" not in str(exc_info.value)
    assert parse({"safety_identifier": "x" * 64}).safety_identifier == "x" * 64
