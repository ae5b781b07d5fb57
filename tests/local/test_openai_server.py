"""The stand-in for OpenAI's API as the real client meets it: the limit of a minute, files, and batches."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from local import deploy
from local.fake_openai.answers import written
from local.fake_openai.limits import SlidingWindow
from tests.local.conftest import until
from tests.support.local_stack import LocalStack

SMALL = {"model": "gpt-image-2.5", "size": "64x48", "quality": "low"}
PROMPTS = [f"a lighthouse, number {number}" for number in range(6)]
REFUSED = {"error": {"message": "Your request was rejected.", "type": "image_generation_user_error", "code": "moderation_blocked"}}


class Account(LocalStack):
    """The stand-in alone, behind the real client."""

    def __init__(self, url: str, api: openai.OpenAI) -> None:
        self.outputs, self.api = {"openai_base_url": url}, api

    def picture(self, prompt: str = "a lighthouse") -> Any:
        return self.api.images.generate(prompt=prompt, **SMALL)  # type: ignore[call-overload]

    def upload(self, *lines: Any) -> str:
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        return str(self.api.files.create(file=("wishes.jsonl", text.encode()), purpose="batch").id)

    def batch(self, *lines: Any, **metadata: str) -> Any:
        return self.api.batches.create(
            input_file_id=self.upload(*lines), endpoint="/v1/images/generations", completion_window="24h", metadata=metadata
        )

    def after(self, batch: Any) -> Any:
        return self.api.batches.retrieve(batch.id)

    def lines(self, file_id: str) -> list[dict[str, Any]]:
        with self.api.files.with_streaming_response.content(file_id) as answer:
            return [json.loads(line) for line in answer.iter_lines()]

    def bytes(self, file_id: str) -> bytes:
        return bytes(self.api.files.content(file_id).read())


def wish(prompt: str, **more: Any) -> dict[str, Any]:
    return {"custom_id": prompt, "method": "POST", "url": "/v1/images/generations", "body": SMALL | {"prompt": prompt} | more}


def ids(lines: list[dict[str, Any]]) -> list[str]:
    return [line["custom_id"] for line in lines]


def pictures(lines: list[dict[str, Any]]) -> list[bytes]:
    return [base64.b64decode(one["b64_json"]) for line in lines for one in line["response"]["body"]["data"]]


@contextmanager
def stand_in(folder: Path, *options: str) -> Iterator[Account]:
    ready = folder / "url"
    command = [sys.executable, "-m", "local.openai_server", "--port", "0", "--ready-file", str(ready), *options]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, cwd=deploy.ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: ready.is_file() or running.poll() is not None)
        assert running.poll() is None, (folder / "log").read_text()
        url = ready.read_text().strip()
        with openai.OpenAI(api_key="any", base_url=url, max_retries=0, timeout=10) as api:
            yield Account(url, api)
    finally:
        running.kill()
        running.wait()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Account]]:
    with ExitStack() as ending:
        yield lambda *options: ending.enter_context(stand_in(tmp_path_factory.mktemp("stand-in"), *options))


@pytest.fixture(scope="module")
def quick(start: Callable[..., Account]) -> Account:
    return start()


@pytest.fixture
def account(quick: Account) -> Account:
    """A stand-in whose batches end at the next look, and which remembers nothing."""
    quick.forget()
    return quick


def test_a_window_lets_in_what_waited_as_long_as_it_was_told() -> None:
    now = 0.0
    window = SlidingWindow(2, 60, clock=lambda: now)
    assert window.admit() == 0
    now = 50.1
    assert [window.admit(), window.admit()] == pytest.approx([0, 9.9])
    now += window.admit()
    # It slides: at 60 the first has left it, and the second has not.
    assert [window.admit(), window.admit()] == pytest.approx([0, 50.1])


def test_more_pictures_than_a_minute_takes_are_refused_and_not_charged(start: Callable[..., Account]) -> None:
    account = start("--images-per-minute", "2", "--minute", "2.5")
    account.picture()
    account.picture()
    with pytest.raises(openai.RateLimitError) as refused:
        account.picture()
    assert (refused.value.type, refused.value.code) == ("requests", "rate_limit_exceeded")
    assert refused.value.response.headers["Retry-After"] in {"1", "2", "3"}
    assert [account.charged()[key] for key in ("images", "limited")] == [2, 1]

    def admitted() -> bool:
        try:
            return bool(account.picture())
        except openai.RateLimitError:
            return False

    until(admitted)
    assert account.charged()["images"] == 3


def test_a_batch_gives_every_picture_once_in_another_order(account: Account) -> None:
    batch = account.batch(*(wish(prompt) for prompt in PROMPTS), run="r1")
    assert (batch.status, batch.output_file_id, batch.metadata) == ("in_progress", None, {"run": "r1"})
    assert account.charged()["images"] == 0
    batch = account.after(batch)
    assert (batch.status, batch.error_file_id) == ("completed", None)
    assert batch.request_counts.model_dump() == {"total": 6, "completed": 6, "failed": 0}
    lines = account.lines(batch.output_file_id)
    assert sorted(ids(lines)) == PROMPTS != ids(lines)
    assert len(set(pictures(lines))) == 6
    assert all(picture.startswith(b"\x89PNG") for picture in pictures(lines))
    output = sum(line["response"]["body"]["usage"]["output_tokens"] for line in lines)
    assert output == batch.usage.output_tokens > 0


def test_a_result_is_the_same_whenever_it_is_read_and_charged_when_it_was_made(account: Account) -> None:
    batch = account.after(account.batch(*(wish(prompt, n=2) for prompt in PROMPTS[:2])))
    charged = account.charged()
    assert {key: charged[key] for key in ("images", "batch_images", "batches")} == {"images": 4, "batch_images": 4, "batches": 1}
    first = account.bytes(batch.output_file_id)
    assert len(set(pictures(account.lines(batch.output_file_id)))) == 4
    account.picture(PROMPTS[0])
    assert account.bytes(batch.output_file_id) == first
    account.after(batch)
    assert account.charged() == charged | {"images": 5, "images_by_prompt": account.charged()["images_by_prompt"]}
    assert sorted(account.charged()["images_by_prompt"].values()) == [2, 3]


def test_what_is_refused_stands_in_the_error_file_and_costs_nothing(account: Account) -> None:
    account.script({"path": "/v1/images/generations", "contains": "number 3", "status": 400, "body": REFUSED})
    batch = account.after(account.batch(*(wish(prompt) for prompt in PROMPTS), wish("a tree", size="17x17")))
    assert batch.status == "completed"
    assert batch.request_counts.model_dump() == {"total": 7, "completed": 5, "failed": 2}
    errors = {line["custom_id"]: line["response"] for line in account.lines(batch.error_file_id)}
    assert errors.keys() == {PROMPTS[3], "a tree"}
    assert (errors[PROMPTS[3]]["status_code"], errors[PROMPTS[3]]["body"]) == (400, REFUSED)
    assert errors["a tree"]["body"]["error"]["param"] == "size"
    assert sorted(ids(account.lines(batch.output_file_id))) == [prompt for prompt in PROMPTS if prompt != PROMPTS[3]]
    assert account.charged()["images"] == 5


def test_an_expired_batch_keeps_and_charges_what_was_finished(account: Account) -> None:
    account.script({"path": "/v1/batches/expire", "answer": 4})
    batch = account.after(account.batch(*(wish(prompt) for prompt in PROMPTS)))
    assert (batch.status, account.charged()["images"]) == ("expired", 4)
    finished, expired = account.lines(batch.output_file_id), account.lines(batch.error_file_id)
    assert sorted(ids(finished) + ids(expired)) == PROMPTS
    assert [(line["response"], line["error"]["code"]) for line in expired] == [(None, "batch_expired")] * 2
    # The rule is used up.
    assert account.after(account.batch(wish("a tree"))).status == "completed"


def test_a_batch_whose_answer_was_lost_is_found_by_its_metadata(account: Account) -> None:
    account.script({"path": "/v1/batches", "contains": '"run": "lost"', "cut": True})
    account.batch(wish("before"), run="earlier")
    with pytest.raises(openai.APIConnectionError):
        account.batch(wish("a tree"), run="lost")
    account.batch(wish("after"), run="later")
    # Pages of one, over the newest first.
    runs = [(batch.metadata or {})["run"] for batch in account.api.batches.list(limit=1)]
    assert runs == ["later", "lost", "earlier"]
    assert account.charged()["batches"] == 3


def test_a_refused_creation_creates_nothing(account: Account) -> None:
    account.script({"path": "/v1/batches", "status": 500, "body": REFUSED}, {"path": "/v1/files", "status": 503, "body": REFUSED})
    with pytest.raises(openai.InternalServerError):
        account.upload("{}")
    with pytest.raises(openai.InternalServerError):
        account.batch(wish("a tree"))
    assert list(account.api.batches.list()) == []
    assert len(list(account.api.files.list(purpose="batch"))) == 1


@pytest.mark.parametrize(
    ("lines", "code", "line"),
    [
        ([wish("a", n=10) | {"custom_id": str(number)} for number in range(20)] + [wish("one too many")], "too_many_tasks", None),
        ([wish("a"), wish("a")], "duplicate_custom_id", 2),
        ([wish("a"), "{"], "invalid_json_line", 2),
        ([wish("a") | {"url": "/v1/chat/completions"}], "invalid_url", 1),
        ([wish("a") | {"method": "GET"}], "invalid_method", 1),
    ],
)
def test_a_wrong_input_fails_the_batch_as_a_whole(account: Account, lines: list[Any], code: str, line: int | None) -> None:
    batch = account.batch(*lines)
    assert batch.status == "validating"
    batch = account.after(batch)
    assert batch.status == "failed"
    assert [(error.code, error.line) for error in batch.errors.data] == [(code, line)]
    assert account.charged()["images"] == 0


def test_two_hundred_pictures_make_a_batch(account: Account) -> None:
    lines = [wish("a", n=10) | {"custom_id": str(number)} for number in range(20)]
    assert account.after(account.batch(*lines)).status == "completed"
    assert account.charged()["batch_images"] == 200


def test_a_download_that_breaks_off_ends_in_the_middle_of_a_line(account: Account) -> None:
    batch = account.after(account.batch(*(wish(prompt) for prompt in PROMPTS)))
    account.script({"path": "/v1/files/content", "cut": True})
    got: list[bytes] = []
    with account.api.files.with_streaming_response.content(batch.output_file_id) as answer, pytest.raises(httpx2.RemoteProtocolError):
        got.extend(answer.iter_bytes())
    cut = b"".join(got)
    whole = account.bytes(batch.output_file_id)
    assert whole.startswith(cut)
    assert len(whole) / 3 < len(cut) < len(whole)
    assert not cut.endswith(b"\n")


def test_a_deleted_file_is_gone(account: Account) -> None:
    kept, gone = account.upload(wish("a")), account.upload(wish("b"))
    assert json.loads(account.bytes(kept)) == wish("a")
    assert account.api.files.delete(gone).deleted
    with pytest.raises(openai.NotFoundError):
        account.api.files.retrieve(gone)
    assert [file.id for file in account.api.files.list(limit=1)] == [kept]


def test_a_slow_batch_passes_its_statuses_and_a_cancelled_one_keeps_its_part(start: Callable[..., Account]) -> None:
    account = start("--batch-seconds", "3")
    first, second = (account.batch(*(wish(prompt) for prompt in PROMPTS)) for _ in range(2))
    assert first.status == "validating"
    until(lambda: (account.after(second).request_counts or first).completed >= 2)
    assert account.api.batches.cancel(second.id).status == "cancelling"
    assert account.charged()["images"] == account.after(second).request_counts.completed
    second = account.after(second)
    assert second.status == "cancelled"
    done, undone = account.lines(second.output_file_id), account.lines(second.error_file_id)
    assert sorted(ids(done) + ids(undone)) == PROMPTS
    assert {line["error"]["code"] for line in undone} == {"batch_cancelled"}
    # The other ends though nobody looks at it.
    until(lambda: account.charged()["images"] == len(done) + len(PROMPTS))
    with pytest.raises(openai.ConflictError):
        account.api.batches.cancel(first.id)
    assert account.after(first).status == "completed"


# openai_answers


def test_pictures_are_written_into_an_answer_as_they_are() -> None:
    answer = {"data": [{"b64_json": b"Zmlyc3Q="}, {"b64_json": b"c2Vjb25k"}], "said": 'a "quoted" word', "usage": None}
    said = {"data": [{"b64_json": "Zmlyc3Q="}, {"b64_json": "c2Vjb25k"}], "said": 'a "quoted" word', "usage": None}
    assert json.loads(written(answer)) == said
    assert json.loads(written(said)) == said


@pytest.mark.parametrize("user", ["", "x" * 65])
def test_a_user_who_is_none_is_refused_as_at_the_real_api(account: Account, user: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        account.api.images.generate(model="gpt-image-2.6-flare", prompt="A kite", extra_body={"safety_identifier": user})
    assert refused.value.param == "safety_identifier"
    with pytest.raises(openai.BadRequestError):
        account.api.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "x"}], safety_identifier=user)
    assert account.charged()["images"] == account.charged()["chat"] == 0
