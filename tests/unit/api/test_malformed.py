"""A malformed request: the answer and the log name the field, and never repeat the words."""

import io
from typing import Any

import pytest

from easel.aws.observability import logger
from tests.support.api import Api

MALFORMED: list[tuple[str, Any, dict[str, str]]] = [
    ("/runs", {"prompt": ["Erna"]}, {}),
    ("/runs", {"topics": "Erna"}, {}),
    ("/runs", {"topics": ["Erna", 7]}, {}),
    ("/runs", {"topic": {"Erna": 1}}, {}),
    ("/runs", {"promt": "Erna"}, {}),
    ("/runs", {"for Erna": ""}, {}),
    ("/runs", {"quality": "a party for Erna"}, {}),
    ("/runs", {"safety_identifier": "Erna"}, {}),
    ("/runs", {"image_key": "a party for Erna"}, {}),
    ("/runs", ["Erna"], {}),
    ("/runs", '{"prompt": "Erna', {}),
    ("/estimate", {"description": 7, "style": "Erna"}, {}),
    ("/estimate", {"prompt": "Erna", "style": "Erna"}, {}),
    ("/folders/restore", {"for Erna": "Erna"}, {}),
    ("/batches", {"name": "a party for Erna"}, {}),
    ("/batches/spring/start", {"version_id": "v1", "dry_run": "a party for Erna"}, {}),
    ("/estimate", None, {"topic": "Erna\x07"}),
    ("/estimate", None, {"promt": "Erna"}),
    ("/estimate", None, {"for Erna": "x"}),
    ("/images", None, {"topic": "Erna" * 100}),
    ("/images", None, {"limit": "a party for Erna"}),
]


@pytest.mark.parametrize(("path", "body", "query"), MALFORMED)
def test_malformed_request_repeats_no_words(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, query: dict[str, str]
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    method = "GET" if body is None else "POST"

    answer = api(method, path, body, query=query, headers={"Idempotency-Key": "key-1"})

    assert (answer.status, answer.json["error"]) == (400, "InputError")
    assert "Erna" not in answer.text
    assert "Erna" not in log.getvalue()
