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
from tests.faults.faulty_stack import FaultyStack
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL, Scenario, answer_rule, chat_rule, error_rule, play, rows

TRIES, RATE_TRIES = 9, 21  # of one step: the first, and the retries of a transient error


def picture(kind: str = "PNG", *, width: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, 48), "teal").save(out, kind)
    return out.getvalue()


def image(data: bytes | str) -> dict[str, Any]:
    encoded = data if isinstance(data, str) else base64.b64encode(data).decode()
    return answer_rule(
        {"data": [{"b64_json": encoded}], "usage": {"input_tokens": 10, "output_tokens": 100}}
    )


def functions_failed(stack: FaultyStack, execution: dict[str, Any]) -> list[str]:
    events = stack.history(execution["executionArn"])
    return [
        event["taskFailedEventDetails"]["error"]
        for event in events
        if event["type"] == "TaskFailed"
    ]


def check_wait(seconds: float) -> Any:
    def gaps(stack: FaultyStack, execution: dict[str, Any]) -> None:
        times = [call.at for call in stack.calls() if call.operation == "image"]
        assert all(later - earlier >= seconds for earlier, later in pairwise(times))
        # The function itself waited: the state machine's retries were not used.
        assert functions_failed(stack, execution) == []

    return gaps


def check_tries(times: int, error: str) -> Any:
    def failures(stack: FaultyStack, execution: dict[str, Any]) -> None:
        assert functions_failed(stack, execution) == [error] * times

    return failures


def row(name: str, rule: dict[str, Any], **expected: Any) -> Scenario:
    return Scenario(name=name, stand_in=[rule], **expected)


@rows(
    row(
        "37 a key that stays invalid",
        error_rule(401, "invalid_api_key", times=9),
        error="AuthError",
        images=0,
        expected_calls=("image", 2),
    ),
    row(
        "37 an invalid key for the chat",
        error_rule(401, path=CHAT, times=9),
        error="AuthError",
        images=0,
        chat=0,
        expected_calls=("chat", 2),
    ),
    row(
        "35 a key that was rotated", error_rule(401, "invalid_api_key"), expected_calls=("image", 2)
    ),
    row(
        "38 no access to the model",
        error_rule(403, times=9),
        error="ConfigError",
        images=0,
        expected_calls=("image", 1),
    ),
    row(
        "38 no such model",
        error_rule(404, path=CHAT, times=9),
        error="ConfigError",
        images=0,
        chat=0,
        expected_calls=("chat", 1),
    ),
    row(
        "39 a short wait",
        error_rule(429, headers={"Retry-After": "1"}),
        expected_calls=("image", 2),
        also=check_wait(1),
    ),
    row(
        "40 a wait of an hour",
        error_rule(429, path=CHAT, headers={"Retry-After": "3600"}, times=99),
        error="RateLimitedError",
        images=0,
        chat=0,
        expected_calls=("chat", RATE_TRIES),
    ),
    row(
        "41 a rate limit without a wait",
        error_rule(429, times=3),
        expected_calls=("image", 4),
        also=check_tries(3, "RateLimitedError"),
    ),
    row(
        "42 no credit, image",
        error_rule(429, "insufficient_quota", times=9),
        error="QuotaExhaustedError",
        images=0,
        expected_calls=("image", 1),
    ),
    row(
        "42 no credit, chat",
        error_rule(429, "insufficient_quota", path=CHAT, times=9),
        error="QuotaExhaustedError",
        images=0,
        chat=0,
        expected_calls=("chat", 1),
    ),
    row(
        "43 500 for ever",
        error_rule(500, times=99),
        error="TransientError",
        images=0,
        expected_calls=("image", TRIES),
    ),
    row("43 503 twice", error_rule(503, times=2), expected_calls=("image", 3)),
    row("43 529 twice, chat", error_rule(529, path=CHAT, times=2), expected_calls=("chat", 3)),
    Scenario(
        name="43 502, not charged",
        stand_in=[error_rule(502)],
        possibly_paid=1,
        expected_calls=("image", 2),
    ),
    row(
        "43 504, charged",
        error_rule(504, charged=True),
        images=2,
        possibly_paid=1,
        expected_calls=("image", 2),
    ),
    Scenario(
        name="44 408", stand_in=[error_rule(408)], possibly_paid=1, expected_calls=("image", 2)
    ),
    row(
        "44 409 for ever",
        error_rule(409, times=9),
        error="OutcomeUnknownError",
        images=0,
        possibly_paid=2,
        expected_calls=("image", 2),
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
    row("47 no choices", answer_rule({"choices": []}, path=CHAT), chat=2, possibly_paid=1),
    row("48 no content", chat_rule(None), chat=2),  # type: ignore[arg-type]
    row(
        "48 no content for ever",
        chat_rule(" ") | {"times": 9},
        error="BadPromptError",
        images=0,
        chat=2,
        expected_calls=("chat", 2),
    ),
    row(
        "47 a filter stopped it",
        chat_rule("", finish_reason="content_filter"),
        error="ContentRefusedError",
        images=0,
        possibly_paid=1,
        expected_calls=("chat", 1),
    ),
    row("48 cut short", chat_rule("A kite over", finish_reason="length"), chat=2),
    row("48 cut in JSON", chat_rule('{"prompt": "A kite over', finish_reason="length"), chat=2),
    row(
        "48 cut short for ever",
        chat_rule("A kite over", finish_reason="length") | {"times": 9},
        error="BadPromptError",
        images=0,
        chat=2,
    ),
    row("48 no prompt in it", chat_rule("<think>The user wants"), chat=2),
    row(
        "49 broken JSON from the chat",
        answer_rule('{"choices": [', path=CHAT),
        chat=2,
        possibly_paid=1,
    ),
    row("49 broken JSON from the image", answer_rule('{"data": ['), images=2, possibly_paid=1),
    row("49 HTML", answer_rule("<html>busy</html>"), images=2, possibly_paid=1),
    row(
        "52 a refused picture",
        error_rule(400, "moderation_blocked", times=9),
        images=0,
        expected_calls=("image", 1),
    ),
    row(
        "52 a refused topic",
        error_rule(400, "content_policy_violation", path=CHAT, times=9),
        error="ContentRefusedError",
        images=0,
        chat=0,
        expected_calls=("chat", 1),
    ),
    row("57 no data", answer_rule({"data": []}), images=2, possibly_paid=1),
    row(
        "57 data null for ever",
        answer_rule({"data": None}, times=9),
        error="OutcomeUnknownError",
        images=2,
        possibly_paid=2,
    ),
    row(
        "85 ten pictures, all rate limited once",
        error_rule(429, times=10),
        images=10,
        expected_calls=("image", 20),
        request={"count": 10},
    ),
)
def test_openai_faults_have_the_listed_outcome(
    faulty_stack: FaultyStack, scenario: Scenario
) -> None:
    play(faulty_stack, scenario)


def stays_in_staging(stack: FaultyStack, execution: dict[str, Any]) -> None:
    key = f"staging/{execution['name']}/1/1.bytes"
    assert key in json.loads(execution["cause"])["errorMessage"]
    assert key in stack.staged(execution["name"])
    assert [key for key in stack.keys("catalogue/") if naming.run8(execution["name"]) in key] == []
    assert (
        next(item for item in stack.records(execution["name"]) if item["sk"] == "image#1")[
            "cost_micro_usd"
        ]
        > 0
    )


def bad(name: str, data: bytes | str) -> Scenario:
    return Scenario(
        name=name,
        stand_in=[image(data)],
        error="BadImageError",
        expected_calls=("image", 1),
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
def test_invalid_image_is_paid_once_and_never_stored(
    faulty_stack: FaultyStack, scenario: Scenario
) -> None:
    play(faulty_stack, scenario)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"], ids=["64 JPEG", "64 WEBP"])
def test_extension_and_type_come_from_the_bytes(faulty_stack: FaultyStack, kind: str) -> None:
    def check_type(stack: FaultyStack, execution: dict[str, Any]) -> None:
        key = execution["report"]["pictures"][0]["key"]
        assert key.endswith({"JPEG": ".jpg", "WEBP": ".webp"}[kind])
        assert (
            stack.s3.head_object(Bucket=stack.bucket, Key=key)["ContentType"]
            == f"image/{kind.lower()}"
        )

    play(
        faulty_stack,
        Scenario(
            name="64",
            request={"output_format": "png"},
            stand_in=[image(picture(kind))],
            also=check_type,
        ),
    )


def test_57_url_instead_of_image_is_never_followed(faulty_stack: FaultyStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/x.png"
        asks = [
            answer_rule({"data": [{"b64_json": None, "url": url}]}),
            chat_rule(
                json.dumps({"prompt": f"fetch {url}", "title": url, "alt_text": url, "tags": [url]})
            ),
        ]
        scenario = Scenario(
            name="57", stand_in=asks, error="ConfigError", images=1, possibly_paid=1
        )
        play(faulty_stack, scenario)
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_50_long_fenced_answer_is_cleaned_and_cut(faulty_stack: FaultyStack) -> None:
    def check_cleaning(stack: FaultyStack, execution: dict[str, Any]) -> None:
        text = next(item for item in stack.records(execution["name"]) if item["sk"] == "prompt")[
            "text"
        ]
        assert text.startswith("A kite")
        assert len(text.encode()) <= 2_000
        assert "\x07" not in text + str(execution)
        assert "```" not in text

    play(
        faulty_stack,
        Scenario(
            name="50",
            stand_in=[chat_rule("```\nA \x07kite " + "over the bay " * 8_000 + "\n```")],
            also=check_cleaning,
        ),
    )


def test_61_image_of_25_mb_stays_out_of_states(faulty_stack: FaultyStack) -> None:
    noise = io.BytesIO()
    Image.frombytes("RGB", (2_900, 2_900), os.urandom(2_900 * 2_900 * 3)).save(
        noise, "PNG", compress_level=0
    )

    def check_stored(stack: FaultyStack, execution: dict[str, Any]) -> None:
        (picture,) = execution["report"]["pictures"]
        assert picture["bytes"] == len(noise.getvalue()) > 25_000_000
        states = [str(event) for event in stack.history(execution["executionArn"])]
        assert max(map(len, states)) < 4_000
        for step, megabytes in (("Image", 512), ("Upload", 1_024)):
            (pid,) = {call.pid for call in stack.calls(step)}
            assert peak_mb(pid) < megabytes

    play(faulty_stack, Scenario(name="61", stand_in=[image(noise.getvalue())], also=check_stored))


def peak_mb(pid: int | None) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return (
        int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        / 1024
    )


@contextmanager
def seconds(stack: FaultyStack, step: str, timeout: int) -> Iterator[None]:
    """Shorten a function's timeout within the block, so that a test does not wait for minutes."""
    client = stack.client("lambda")
    name = next(
        function["FunctionName"]
        for function in client.list_functions()["Functions"]
        if step in function["FunctionName"]
    )
    before = client.get_function_configuration(FunctionName=name)["Timeout"]
    client.update_function_configuration(FunctionName=name, Timeout=timeout)
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Timeout=before)


def test_46_53_55_hanging_call_ends_before_its_function(faulty_stack: FaultyStack) -> None:
    """Both paid calls are made in concurrent runs, since each takes its whole minimum time."""
    with seconds(faulty_stack, "Prompt", 35), seconds(faulty_stack, "Image", 65):
        faulty_stack.script(
            {"path": CHAT, "contains": "hanging chat", "delay": 60},
            {"path": IMAGES, "contains": "hanging picture", "delay": 60},
        )
        descriptions = {"chat": "A hanging chat", "image": "A hanging picture"}
        arns = {
            kind: faulty_stack.start(
                {"description": description, "folder_name": "catalogue", **SMALL}
            )
            for kind, description in descriptions.items()
        }
        executions = {kind: faulty_stack.wait_for_end(arn) for kind, arn in arns.items()}
    for kind, execution in executions.items():
        assert functions_failed(faulty_stack, execution) == ["TransientError"], kind
        assert execution["report"]["possibly_paid"] == 1, kind
    assert (
        sum(call.operation == "chat" for call in faulty_stack.calls())
        == sum(call.operation == "image" for call in faulty_stack.calls())
        == 3
    )


def test_65_fifty_concurrent_runs_never_pass_the_cap(faulty_stack: FaultyStack) -> None:
    warm = faulty_stack.run({"prompt": "A kite", "folder_name": "capped", **SMALL})
    estimate = round(warm["report"]["estimate_usd"] * 1_000_000)
    month = faulty_stack.budget()
    room = 7
    with faulty_stack.capped(month["committed"] + room * estimate):
        faulty_stack.forget()
        arns = [
            faulty_stack.start({"prompt": "A kite", "folder_name": "capped", **SMALL})
            for _ in range(50)
        ]
        executions = [faulty_stack.wait_for_end(arn) for arn in arns]
        after = faulty_stack.budget()
    stored = [execution for execution in executions if execution["status"] == "SUCCEEDED"]
    others = {execution["error"] for execution in executions if execution["status"] != "SUCCEEDED"}
    assert others == {"BudgetExceededError"}
    assert len(stored) == faulty_stack.charges()["images"] >= room
    assert month["committed"] <= after["committed"] == after["spent"] <= after["cap"]

    refusal = json.loads(
        next(execution["cause"] for execution in executions if execution["status"] != "SUCCEEDED")
    )["errorMessage"]
    for word in (
        after["month"],
        "spent",
        "reserved",
        "cap",
        "make budget USD=",
    ):
        assert word in refusal


def test_65_simultaneous_budget_reads_cannot_pass_the_cap(faulty_stack: FaultyStack) -> None:
    request = {"prompt": "A kite", "folder_name": "capped", **SMALL}
    estimate = round(faulty_stack.run(request)["report"]["estimate_usd"] * 1_000_000)
    go = threading.Event()

    with faulty_stack.capped(faulty_stack.budget()["committed"] + estimate * 3 // 2):
        faulty_stack.forget()
        faulty_stack.aws_faults.script(
            Rule(operation="TransactWriteItems", step="Image", hold=go, times=3)
        )
        arns = [faulty_stack.start(request) for _ in range(3)]
        faulty_stack.until(
            lambda: sum(call.fault == "hold" for call in faulty_stack.calls("Image")) == 3
        )
        go.set()
        executions = [faulty_stack.wait_for_end(arn) for arn in arns]
        after = faulty_stack.budget()

    assert sorted(execution.get("error", "stored") for execution in executions) == [
        "BudgetExceededError",
        "BudgetExceededError",
        "stored",
    ]
    assert faulty_stack.charges()["images"] == 1
    assert after["committed"] <= after["cap"]


def test_65_zero_cap_stops_the_chat_call(faulty_stack: FaultyStack) -> None:
    with faulty_stack.capped(0):
        play(faulty_stack, Scenario(name="65", error="BudgetExceededError", images=0, chat=0))


def test_14_doubled_event_is_one_purchase(faulty_stack: FaultyStack) -> None:
    request = {"request_id": "event-14", "folder_name": "doubled", "count": 3, **SMALL}
    executions = [
        faulty_stack.wait_for_end(arn) for arn in [faulty_stack.start(request) for _ in range(2)]
    ]

    assert [execution["status"] for execution in executions] == ["SUCCEEDED", "SUCCEEDED"]
    assert executions[0]["report"] == executions[1]["report"]
    assert (faulty_stack.charges()["chat"], faulty_stack.charges()["images"]) == (1, 3)
    assert len([key for key in faulty_stack.keys("doubled/") if key.endswith(".png")]) == 3
    assert faulty_stack.staged("event-14") == []
