"""How the state machine handles failures of OpenAI."""

import json
from typing import Any

import pytest

from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low"}
IMAGES, CHAT = "/v1/images/generations", "/v1/chat/completions"


def openai_error(code: str | None, message: str = "no") -> dict[str, Any]:
    return {"error": {"message": message, "type": "x", "code": code, "param": None}}


def attempts(aws: LocalStack, arn: str) -> int:
    return sum(event["type"] == "TaskScheduled" for event in aws.history(arn))


@pytest.mark.parametrize("path", [CHAT, IMAGES])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_transient_error_is_retried_and_paid_once(aws: LocalStack, path: str, status: int) -> None:
    aws.script({"path": path, "status": status, "body": openai_error(None), "times": 2})
    arn = aws.start({"folder_name": "passing", **SMALL})
    execution = aws.wait_for_end(arn)

    assert execution["status"] == "SUCCEEDED"
    assert attempts(aws, arn) == 4 + 2
    assert execution["report"]["possibly_paid"] == 0
    assert (aws.charges()["chat"], aws.charges()["images"]) == (1, 1)


@pytest.mark.parametrize(
    ("path", "status", "code", "error"),
    [
        (IMAGES, 429, "insufficient_quota", "QuotaExhaustedError"),
        (IMAGES, 403, None, "ConfigError"),
        (CHAT, 404, "model_not_found", "ConfigError"),
        (IMAGES, 400, "invalid_value", "InputError"),
    ],
)
def test_final_error_fails_after_one_call(
    aws: LocalStack, path: str, status: int, code: str | None, error: str
) -> None:
    aws.script({"path": path, "status": status, "body": openai_error(code), "times": 9})
    execution = aws.run({"folder_name": "final", **SMALL})

    assert (execution["status"], execution["error"]) == ("FAILED", error)
    assert [rule["times"] for rule in aws._openai("GET", "/_faults")] == [8]
    assert aws.charges()["images"] == 0


def test_wrong_key_is_fetched_again_once(aws: LocalStack) -> None:
    aws.script({"path": IMAGES, "status": 401, "body": openai_error("invalid_api_key"), "times": 9})
    execution = aws.run({"folder_name": "final", **SMALL})

    assert execution["error"] == "AuthError"
    assert "make secret" in execution["cause"]
    assert [rule["times"] for rule in aws._openai("GET", "/_faults")] == [7]


def test_refused_variation_leaves_the_others_stored(aws: LocalStack) -> None:
    aws.script(
        {"path": IMAGES, "status": 400, "body": openai_error("moderation_blocked"), "times": 1}
    )
    execution = aws.run({"folder_name": "refusals", "count": 3, **SMALL})
    report = execution["report"]
    assert (execution["status"], report["stored"], report["refused"]) == ("SUCCEEDED", 2, 1)

    refused = next(picture for picture in report["pictures"] if picture["status"] == "refused")
    assert (refused["refusal"], refused["cost_usd"], refused["key"]) == (
        "moderation_blocked",
        0.0,
        None,
    )
    assert aws.charges()["images"] == 2
    assert aws.keys(f"staging/{execution['name']}/") == []


@pytest.mark.parametrize(
    "fault",
    [
        {"cut": True},
        {"answer": {"data": []}, "charged": True},
        {"answer": "<html>", "charged": True},
    ],
)
def test_possibly_charged_call_is_counted_and_repeated(
    aws: LocalStack, fault: dict[str, Any]
) -> None:
    aws.script({"path": IMAGES, "times": 1, **fault})
    execution = aws.run({"folder_name": "unknown", **SMALL})

    assert execution["status"] == "SUCCEEDED"
    assert execution["report"]["possibly_paid"] == 1
    assert aws.charges()["images"] == 2


def test_third_purchase_needs_a_person(aws: LocalStack) -> None:
    aws.script({"path": IMAGES, "times": 9, "cut": True})
    execution = aws.run({"folder_name": "unknown", **SMALL})
    assert execution["error"] == "OutcomeUnknownError"
    assert aws.charges()["images"] == 2


def test_invalid_image_stays_in_staging(aws: LocalStack) -> None:
    aws.script(
        {"path": IMAGES, "answer": {"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}, "charged": True}
    )
    execution = aws.run({"folder_name": "bad", **SMALL})
    assert execution["error"] == "BadImageError"

    staged = f"staging/{execution['name']}/1/1.bytes"
    assert staged in json.loads(execution["cause"])["errorMessage"]
    assert aws.s3.get_object(Bucket=aws.bucket, Key=staged)["Body"].read() == b"no picture"
    assert [key for key in aws.keys("bad/") if key != "bad/"] == []


@pytest.mark.parametrize(
    ("rule", "error", "expected"),
    [
        (
            {"answer": {"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}, "charged": True},
            "BadImageError",
            "not a complete PNG",
        ),
        (
            {"answer": {"data": [{"b64_json": "no base64!"}]}, "charged": True},
            "BadImageError",
            "not valid base64",
        ),
    ],
)
def test_failed_variation_leaves_the_others_stored(
    aws: LocalStack, rule: dict[str, Any], error: str, expected: str
) -> None:
    aws.script({"path": IMAGES, **rule})
    request = {"prompt": "A kite", "folder_name": "others", "count": 3, **SMALL}
    execution = aws.run(request)
    assert execution["error"] == error

    message = json.loads(execution["cause"])["errorMessage"]
    assert message.startswith("2 of 3 images are stored; ")
    assert expected in message
    assert f"staging/{execution['name']}/" in message

    second = aws.run({"request_id": execution["name"], **request})
    assert json.loads(second["cause"])["errorMessage"] == message
    assert aws.charges()["images"] == 3
    assert len({key.split("/")[2] for key in aws.keys(f"staging/{execution['name']}/")}) == 1


def test_redrive_resumes_at_the_failed_step(aws: LocalStack) -> None:
    aws.script(
        {"path": IMAGES, "status": 429, "body": openai_error("insufficient_quota"), "times": 1}
    )
    arn = aws.start({"folder_name": "redriven", **SMALL})
    assert aws.wait_for_end(arn)["error"] == "QuotaExhaustedError"

    aws.states.redrive_execution(executionArn=arn)
    execution = aws.wait_for_end(arn)
    assert execution["status"] == "SUCCEEDED"
    assert (aws.charges()["chat"], aws.charges()["images"]) == (1, 1)


def test_restart_buys_only_what_is_missing(aws: LocalStack) -> None:
    aws.script(
        {"path": IMAGES, "status": 429, "body": openai_error("insufficient_quota"), "times": 1}
    )
    request = {"request_id": "finish-me", "folder_name": "finished", "count": 2, **SMALL}
    assert aws.run(request)["error"] == "QuotaExhaustedError"

    execution = aws.run(request)
    assert (execution["status"], execution["report"]["stored"]) == ("SUCCEEDED", 2)
    assert (aws.charges()["chat"], aws.charges()["images"]) == (1, 2)


def test_secrets_never_appear_in_logs_or_states(aws: LocalStack) -> None:
    arn = aws.start({"folder_name": "secrets", **SMALL})
    aws.wait_for_end(arn)
    key = "local-stand-in"
    assert key not in json.dumps(aws.history(arn), default=str)

    functions = aws.client("lambda").list_functions()["Functions"]
    assert len(functions) == 11
    assert key not in json.dumps(functions, default=str)

    lines = aws.log_lines()
    assert any("picture stored" in line for line in lines)
    assert not [line for line in lines if key in line or "lighthouse" in line]
