"""Rows 35 to 65 and 85 of docs/faults.md.

They cover OpenAI's answers, its silence, and the costs.
"""

import base64
import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from easel.contract import naming
from tests.faults.fault_menu import CHAT, IMAGES
from tests.faults.faulty_stack import Storm
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL, Scenario, answered, play, refused, rows, wrote

TRIES = 7  # of one step: the first, and six retries


def picture(kind: str = "PNG", *, width: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, 48), "teal").save(out, kind)
    return out.getvalue()


def image(data: bytes | str) -> dict[str, Any]:
    encoded = data if isinstance(data, str) else base64.b64encode(data).decode()
    return answered(
        {"data": [{"b64_json": encoded}], "usage": {"input_tokens": 10, "output_tokens": 100}}
    )


def functions_failed(storm: Storm, ended: dict[str, Any]) -> list[str]:
    events = storm.history(ended["executionArn"])
    return [
        event["taskFailedEventDetails"]["error"]
        for event in events
        if event["type"] == "TaskFailed"
    ]


def waited(seconds: float) -> Any:
    def gaps(storm: Storm, ended: dict[str, Any]) -> None:
        times = [call.at for call in storm.calls() if call.operation == "image"]
        assert all(later - earlier >= seconds for earlier, later in pairwise(times))
        # The function itself waited: the state machine's retries were not used.
        assert functions_failed(storm, ended) == []

    return gaps


def tried(times: int, error: str) -> Any:
    def failures(storm: Storm, ended: dict[str, Any]) -> None:
        assert functions_failed(storm, ended) == [error] * times

    return failures


def row(name: str, rule: dict[str, Any], **expected: Any) -> Scenario:
    return Scenario(name=name, stand_in=[rule], **expected)


@rows(
    row(
        "37 a key that stays invalid",
        refused(401, "invalid_api_key", times=9),
        error="AuthError",
        images=0,
        asked=("image", 2),
    ),
    row(
        "37 an invalid key for the chat",
        refused(401, path=CHAT, times=9),
        error="AuthError",
        images=0,
        chat=0,
        asked=("chat", 2),
    ),
    row("35 a key that was rotated", refused(401, "invalid_api_key"), asked=("image", 2)),
    row(
        "38 no access to the model",
        refused(403, times=9),
        error="ConfigError",
        images=0,
        asked=("image", 1),
    ),
    row(
        "38 no such model",
        refused(404, path=CHAT, times=9),
        error="ConfigError",
        images=0,
        chat=0,
        asked=("chat", 1),
    ),
    row(
        "39 a short wait",
        refused(429, headers={"Retry-After": "1"}),
        asked=("image", 2),
        also=waited(1),
    ),
    row(
        "40 a wait of an hour",
        refused(429, path=CHAT, headers={"Retry-After": "3600"}, times=99),
        error="RateLimitedError",
        images=0,
        chat=0,
        asked=("chat", TRIES),
    ),
    row(
        "41 a rate limit without a wait",
        refused(429, times=3),
        asked=("image", 4),
        also=tried(3, "RateLimitedError"),
    ),
    row(
        "42 no credit, image",
        refused(429, "insufficient_quota", times=9),
        error="QuotaExhaustedError",
        images=0,
        asked=("image", 1),
    ),
    row(
        "42 no credit, chat",
        refused(429, "insufficient_quota", path=CHAT, times=9),
        error="QuotaExhaustedError",
        images=0,
        chat=0,
        asked=("chat", 1),
    ),
    row(
        "43 500 for ever",
        refused(500, times=99),
        error="TransientError",
        images=0,
        asked=("image", TRIES),
    ),
    row("43 503 twice", refused(503, times=2), asked=("image", 3)),
    row("43 529 twice, chat", refused(529, path=CHAT, times=2), asked=("chat", 3)),
    Scenario(
        name="43 502, not charged", stand_in=[refused(502)], possibly_paid=1, asked=("image", 2)
    ),
    row(
        "43 504, charged", refused(504, charged=True), images=2, possibly_paid=1, asked=("image", 2)
    ),
    Scenario(name="44 408", stand_in=[refused(408)], possibly_paid=1, asked=("image", 2)),
    row(
        "44 409 for ever",
        refused(409, times=9),
        error="OutcomeUnknownError",
        images=0,
        possibly_paid=2,
        asked=("image", 2),
    ),
    Scenario(
        name="45 a connection that breaks",
        openai=[Rule(operation="image", refuse=True)],
        possibly_paid=1,
    ),
    row("54 cut in the body", {"path": IMAGES, "cut": True}, images=2, possibly_paid=1),
    Scenario(
        name="54 an answer that is lost",
        openai=[Rule(operation="image", lose_answer=True)],
        images=2,
        possibly_paid=1,
    ),
    Scenario(
        name="54 a chat answer that is lost",
        openai=[Rule(operation="chat", lose_answer=True)],
        chat=2,
        possibly_paid=1,
    ),
    row("47 no choices", answered({"choices": []}, path=CHAT), chat=2, possibly_paid=1),
    row("47 no content", wrote(None), chat=2, possibly_paid=1),  # type: ignore[arg-type]
    row(
        "47 no content for ever",
        wrote(" ") | {"times": 9},
        error="OutcomeUnknownError",
        images=0,
        chat=2,
        possibly_paid=2,
        asked=("chat", 2),
    ),
    row(
        "47 a filter stopped it",
        wrote("", finish_reason="content_filter"),
        error="ContentRefusedError",
        images=0,
        possibly_paid=1,
        asked=("chat", 1),
    ),
    row("47 cut short", wrote("A kite over", finish_reason="length")),
    row(
        "49 broken JSON from the chat",
        answered('{"choices": [', path=CHAT),
        chat=2,
        possibly_paid=1,
    ),
    row("49 broken JSON from the image", answered('{"data": ['), images=2, possibly_paid=1),
    row("49 HTML", answered("<html>busy</html>"), images=2, possibly_paid=1),
    row(
        "52 a refused picture",
        refused(400, "moderation_blocked", times=9),
        images=0,
        asked=("image", 1),
    ),
    row(
        "52 a refused topic",
        refused(400, "content_policy_violation", path=CHAT, times=9),
        error="ContentRefusedError",
        images=0,
        chat=0,
        asked=("chat", 1),
    ),
    row("57 no data", answered({"data": []}), images=2, possibly_paid=1),
    row(
        "57 data null for ever",
        answered({"data": None}, times=9),
        error="OutcomeUnknownError",
        images=2,
        possibly_paid=2,
    ),
    row(
        "85 ten pictures, all rate limited once",
        refused(429, times=10),
        images=10,
        asked=("image", 20),
        request={"count": 10},
    ),
)
def test_openai_faults_have_the_listed_outcome(stormy: Storm, scenario: Scenario) -> None:
    play(stormy, scenario)


def stays_in_staging(storm: Storm, ended: dict[str, Any]) -> None:
    key = f"staging/{ended['name']}/1/1.bytes"
    assert key in json.loads(ended["cause"])["errorMessage"]
    assert key in storm.staged(ended["name"])
    assert [key for key in storm.keys("catalogue/") if naming.run8(ended["name"]) in key] == []
    assert (
        next(item for item in storm.records(ended["name"]) if item["sk"] == "image#1")[
            "cost_micro_usd"
        ]
        > 0
    )


def bad(name: str, data: bytes | str) -> Scenario:
    return Scenario(
        name=name,
        stand_in=[image(data)],
        error="BadImageError",
        asked=("image", 1),
        also=stays_in_staging,
    )


@rows(
    bad("56 truncated base64", "iVBORw0KGgo"),
    bad("56 a data URL", "data:image/png;base64,iVBORw0KGgo="),
    bad("56 foreign characters", "iVBO*Rw0KGgo="),
    bad("58 HTML", b"<html>no</html>"),
    bad("58 SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    bad("58 GIF", picture("GIF")),
    bad("58 one byte", b"\x89"),
    bad("59 truncated PNG", picture()[:-20]),
    bad("59 a PNG with a wrong CRC", picture()[:-5] + b"\0" + picture()[-4:]),
)
def test_invalid_image_is_paid_once_and_never_stored(stormy: Storm, scenario: Scenario) -> None:
    play(stormy, scenario)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"], ids=["64 JPEG", "64 WEBP"])
def test_extension_and_type_come_from_the_bytes(stormy: Storm, kind: str) -> None:
    def agree(storm: Storm, ended: dict[str, Any]) -> None:
        key = ended["report"]["pictures"][0]["key"]
        assert key.endswith({"JPEG": ".jpg", "WEBP": ".webp"}[kind])
        assert (
            storm.s3.head_object(Bucket=storm.bucket, Key=key)["ContentType"]
            == f"image/{kind.lower()}"
        )

    play(
        stormy,
        Scenario(
            name="64", request={"output_format": "png"}, stand_in=[image(picture(kind))], also=agree
        ),
    )


def test_57_url_instead_of_image_is_never_followed(stormy: Storm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/x.png"
        asks = [
            answered({"data": [{"b64_json": None, "url": url}]}),
            wrote(
                json.dumps({"prompt": f"fetch {url}", "title": url, "alt_text": url, "tags": [url]})
            ),
        ]
        play(stormy, Scenario(name="57", stand_in=asks, images=2, possibly_paid=1))
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_50_long_fenced_answer_is_cleaned_and_cut(stormy: Storm) -> None:
    def clean(storm: Storm, ended: dict[str, Any]) -> None:
        text = next(item for item in storm.records(ended["name"]) if item["sk"] == "prompt")["text"]
        assert text.startswith("A kite")
        assert len(text.encode()) <= 2_000
        assert "\x07" not in text + str(ended)
        assert "```" not in text

    play(
        stormy,
        Scenario(
            name="50",
            stand_in=[wrote("```\nA \x07kite " + "over the bay " * 8_000 + "\n```")],
            also=clean,
        ),
    )


def test_61_image_of_25_mb_stays_out_of_states(stormy: Storm) -> None:
    noise = io.BytesIO()
    Image.frombytes("RGB", (2_900, 2_900), os.urandom(2_900 * 2_900 * 3)).save(
        noise, "PNG", compress_level=0
    )

    def stored(storm: Storm, ended: dict[str, Any]) -> None:
        (made,) = ended["report"]["pictures"]
        assert made["bytes"] == len(noise.getvalue()) > 25_000_000
        states = [str(event) for event in storm.history(ended["executionArn"])]
        assert max(map(len, states)) < 4_000
        for step, megabytes in (("Image", 512), ("Upload", 1_024)):
            (pid,) = {call.pid for call in storm.calls(step)}
            assert peak_mb(pid) < megabytes

    play(stormy, Scenario(name="61", stand_in=[image(noise.getvalue())], also=stored))


def peak_mb(pid: int | None) -> float:
    said = Path(f"/proc/{pid}/status").read_text()
    return (
        int(next(line for line in said.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    )


@contextmanager
def seconds(storm: Storm, step: str, timeout: int) -> Iterator[None]:
    """Shorten a function's timeout within the block, so that a test does not wait for minutes."""
    client = storm.client("lambda")
    name = next(
        one["FunctionName"]
        for one in client.list_functions()["Functions"]
        if step in one["FunctionName"]
    )
    before = client.get_function_configuration(FunctionName=name)["Timeout"]
    client.update_function_configuration(FunctionName=name, Timeout=timeout)
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Timeout=before)


def test_46_53_55_hanging_call_ends_before_its_function(stormy: Storm) -> None:
    """Both paid calls are made in concurrent runs, since each takes its whole minimum time."""
    with seconds(stormy, "Prompt", 35), seconds(stormy, "Image", 65):
        stormy.script(
            {"path": CHAT, "contains": "hanging chat", "delay": 60},
            {"path": IMAGES, "contains": "hanging picture", "delay": 60},
        )
        said = {"chat": "A hanging chat", "image": "A hanging picture"}
        arns = {
            what: stormy.start({"description": words, "folder_name": "catalogue", **SMALL})
            for what, words in said.items()
        }
        ended = {what: stormy.ended(arn) for what, arn in arns.items()}
    for what, one in ended.items():
        assert functions_failed(stormy, one) == ["TransientError"], what
        assert one["report"]["possibly_paid"] == 1, what
    assert (
        sum(call.operation == "chat" for call in stormy.calls())
        == sum(call.operation == "image" for call in stormy.calls())
        == 3
    )


def test_65_fifty_concurrent_runs_never_pass_the_cap(stormy: Storm) -> None:
    warm = stormy.run({"prompt": "A kite", "folder_name": "capped", **SMALL})
    estimate = round(warm["report"]["estimate_usd"] * 1_000_000)
    month = stormy.budget()
    room = 7
    with stormy.capped(month["committed"] + room * estimate):
        stormy.forget()
        arns = [
            stormy.start({"prompt": "A kite", "folder_name": "capped", **SMALL}) for _ in range(50)
        ]
        ended = [stormy.ended(arn) for arn in arns]
        after = stormy.budget()
    stored = [one for one in ended if one["status"] == "SUCCEEDED"]
    others = {one["error"] for one in ended if one["status"] != "SUCCEEDED"}
    assert others == {"BudgetExceededError"}
    assert len(stored) == stormy.charged()["images"] >= room
    assert month["committed"] <= after["committed"] == after["spent"] <= after["cap"]

    refusal = json.loads(next(one["cause"] for one in ended if one["status"] != "SUCCEEDED"))[
        "errorMessage"
    ]
    for word in (
        after["month"] if "month" in after else after["pk"].partition("#")[2],
        "spent",
        "reserved",
        "cap",
        "make budget USD=",
    ):
        assert word in refusal


def test_65_simultaneous_budget_reads_cannot_pass_the_cap(stormy: Storm) -> None:
    request = {"prompt": "A kite", "folder_name": "capped", **SMALL}
    estimate = round(stormy.run(request)["report"]["estimate_usd"] * 1_000_000)
    go = threading.Event()

    with stormy.capped(stormy.budget()["committed"] + estimate * 3 // 2):
        stormy.forget()
        stormy.aws_faults.script(
            Rule(operation="TransactWriteItems", step="Image", hold=go, times=3)
        )
        arns = [stormy.start(request) for _ in range(3)]
        stormy.until(lambda: sum(call.fault == "hold" for call in stormy.calls("Image")) == 3)
        go.set()
        ended = [stormy.ended(arn) for arn in arns]
        after = stormy.budget()

    assert sorted(one.get("error", "stored") for one in ended) == [
        "BudgetExceededError",
        "BudgetExceededError",
        "stored",
    ]
    assert stormy.charged()["images"] == 1
    assert after["committed"] <= after["cap"]


def test_65_zero_cap_stops_the_chat_call(stormy: Storm) -> None:
    with stormy.capped(0):
        play(stormy, Scenario(name="65", error="BudgetExceededError", images=0, chat=0))


def test_14_doubled_event_is_one_purchase(stormy: Storm) -> None:
    request = {"request_id": "event-14", "folder_name": "doubled", "count": 3, **SMALL}
    ended = [stormy.ended(arn) for arn in [stormy.start(request) for _ in range(2)]]

    assert [one["status"] for one in ended] == ["SUCCEEDED", "SUCCEEDED"]
    assert ended[0]["report"] == ended[1]["report"]
    assert (stormy.charged()["chat"], stormy.charged()["images"]) == (1, 3)
    assert len([key for key in stormy.keys("doubled/") if key.endswith(".png")]) == 3
    assert stormy.staged("event-14") == []
