"""Files and batches of the fake OpenAI, used through the real client."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

from tests.support.emulator import until
from tests.support.fake_openai import IMAGES_URL, Account, ids, pictures, wish

PROMPTS = [f"a lighthouse, number {number}" for number in range(6)]
REFUSED = {
    "error": {
        "message": "Your request was rejected.",
        "type": "image_generation_user_error",
        "code": "moderation_blocked",
    }
}


def wishes(count: int) -> list[dict[str, Any]]:
    """Return lines that request ten images each."""
    return [wish("a", n=10) | {"custom_id": str(number)} for number in range(count)]


def test_batch_returns_every_image_once_in_another_order(account: Account) -> None:
    batch = account.batch(*(wish(prompt) for prompt in PROMPTS), run="r1")
    assert (batch.status, batch.output_file_id) == ("in_progress", None)
    assert batch.metadata == {"run": "r1"}
    assert account.charges()["images"] == 0

    batch = account.after(batch)

    assert (batch.status, batch.error_file_id) == ("completed", None)
    assert batch.request_counts.model_dump() == {"total": 6, "completed": 6, "failed": 0}
    lines = account.lines(batch.output_file_id)
    assert sorted(ids(lines)) == PROMPTS != ids(lines)
    assert len(set(pictures(lines))) == 6
    assert all(picture.startswith(b"\x89PNG") for picture in pictures(lines))
    output = sum(line["response"]["body"]["usage"]["output_tokens"] for line in lines)
    assert output == batch.usage.output_tokens > 0


def test_result_is_repeatable_and_charged_once(account: Account) -> None:
    batch = account.after(account.batch(*(wish(prompt, n=2) for prompt in PROMPTS[:2])))
    charges = account.charges()
    counts = {key: charges[key] for key in ("images", "batch_images", "batches")}
    assert counts == {"images": 4, "batch_images": 4, "batches": 1}
    first = account.bytes(batch.output_file_id)
    assert len(set(pictures(account.lines(batch.output_file_id)))) == 4

    account.picture(PROMPTS[0])

    assert account.bytes(batch.output_file_id) == first
    account.after(batch)
    by_prompt = account.charges()["images_by_prompt"]
    assert account.charges() == charges | {"images": 5, "images_by_prompt": by_prompt}
    assert sorted(by_prompt.values()) == [2, 3]


def test_refused_requests_are_listed_and_free(account: Account) -> None:
    account.script({"path": IMAGES_URL, "contains": "number 3", "status": 400, "body": REFUSED})
    lines = [*(wish(prompt) for prompt in PROMPTS), wish("a tree", size="17x17")]

    batch = account.after(account.batch(*lines))

    assert batch.status == "completed"
    assert batch.request_counts.model_dump() == {"total": 7, "completed": 5, "failed": 2}
    errors = {line["custom_id"]: line["response"] for line in account.lines(batch.error_file_id)}
    assert errors.keys() == {PROMPTS[3], "a tree"}
    assert (errors[PROMPTS[3]]["status_code"], errors[PROMPTS[3]]["body"]) == (400, REFUSED)
    assert errors["a tree"]["body"]["error"]["param"] == "size"
    succeeded = sorted(ids(account.lines(batch.output_file_id)))
    assert succeeded == [prompt for prompt in PROMPTS if prompt != PROMPTS[3]]
    assert account.charges()["images"] == 5


def test_expired_batch_charges_finished_images(account: Account) -> None:
    account.script({"path": "/v1/batches/expire", "answer": 4})

    batch = account.after(account.batch(*(wish(prompt) for prompt in PROMPTS)))

    assert (batch.status, account.charges()["images"]) == ("expired", 4)
    finished, expired = account.lines(batch.output_file_id), account.lines(batch.error_file_id)
    assert sorted(ids(finished) + ids(expired)) == PROMPTS
    errors = [(line["response"], line["error"]["code"]) for line in expired]
    assert errors == [(None, "batch_expired")] * 2
    # The rule is used up.
    assert account.after(account.batch(wish("a tree"))).status == "completed"


def test_batch_with_lost_response_is_found_by_metadata(account: Account) -> None:
    account.script({"path": "/v1/batches", "contains": '"run": "lost"', "cut": True})
    account.batch(wish("before"), run="earlier")
    with pytest.raises(openai.APIConnectionError):
        account.batch(wish("a tree"), run="lost")
    account.batch(wish("after"), run="later")

    # The client reads pages of one batch, newest first.
    runs = [(batch.metadata or {})["run"] for batch in account.api.batches.list(limit=1)]

    assert runs == ["later", "lost", "earlier"]
    assert account.charges()["batches"] == 3


def test_refused_creation_creates_nothing(account: Account) -> None:
    account.script(
        {"path": "/v1/batches", "status": 500, "body": REFUSED},
        {"path": "/v1/files", "status": 503, "body": REFUSED},
    )

    with pytest.raises(openai.InternalServerError):
        account.upload("{}")
    with pytest.raises(openai.InternalServerError):
        account.batch(wish("a tree"))

    assert list(account.api.batches.list()) == []
    assert len(list(account.api.files.list(purpose="batch"))) == 1


@pytest.mark.parametrize(
    ("lines", "code", "line"),
    [
        ([*wishes(20), wish("one too many")], "too_many_tasks", None),
        ([wish("a"), wish("a")], "duplicate_custom_id", 2),
        ([wish("a"), "{"], "invalid_json_line", 2),
        ([wish("a") | {"url": "/v1/chat/completions"}], "invalid_url", 1),
        ([wish("a") | {"method": "GET"}], "invalid_method", 1),
    ],
)
def test_wrong_input_fails_the_whole_batch(
    account: Account, lines: list[Any], code: str, line: int | None
) -> None:
    batch = account.batch(*lines)
    assert batch.status == "validating"

    batch = account.after(batch)

    assert batch.status == "failed"
    assert [(error.code, error.line) for error in batch.errors.data] == [(code, line)]
    assert account.charges()["images"] == 0


def test_two_hundred_images_make_a_batch(account: Account) -> None:
    batch = account.batch(*wishes(20))

    assert account.after(batch).status == "completed"
    assert account.charges()["batch_images"] == 200


def test_interrupted_download_ends_in_mid_line(account: Account) -> None:
    batch = account.after(account.batch(*(wish(prompt) for prompt in PROMPTS)))
    account.script({"path": "/v1/files/content", "cut": True})
    received: list[bytes] = []
    download = account.api.files.with_streaming_response.content(batch.output_file_id)

    with download as answer, pytest.raises(httpx2.RemoteProtocolError):
        received.extend(answer.iter_bytes())

    cut, whole = b"".join(received), account.bytes(batch.output_file_id)
    assert whole.startswith(cut)
    assert len(whole) / 3 < len(cut) < len(whole)
    assert not cut.endswith(b"\n")


def test_deleted_file_is_gone(account: Account) -> None:
    kept, gone = account.upload(wish("a")), account.upload(wish("b"))
    assert json.loads(account.bytes(kept)) == wish("a")

    assert account.api.files.delete(gone).deleted

    with pytest.raises(openai.NotFoundError):
        account.api.files.retrieve(gone)
    assert [file.id for file in account.api.files.list(limit=1)] == [kept]


def test_slow_batch_passes_statuses_and_can_be_cancelled(start: Callable[..., Account]) -> None:
    account = start("--batch-seconds", "3")
    first, second = (account.batch(*(wish(prompt) for prompt in PROMPTS)) for _ in range(2))
    assert first.status == "validating"
    until(lambda: (account.after(second).request_counts or first).completed >= 2)

    assert account.api.batches.cancel(second.id).status == "cancelling"

    assert account.charges()["images"] == account.after(second).request_counts.completed
    second = account.after(second)
    assert second.status == "cancelled"
    result, undone = account.lines(second.output_file_id), account.lines(second.error_file_id)
    assert sorted(ids(result) + ids(undone)) == PROMPTS
    assert {line["error"]["code"] for line in undone} == {"batch_cancelled"}
    # The other batch ends although nobody reads it.
    until(lambda: account.charges()["images"] == len(result) + len(PROMPTS))
    with pytest.raises(openai.ConflictError):
        account.api.batches.cancel(first.id)
    assert account.after(first).status == "completed"
