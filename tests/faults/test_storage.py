"""Rows 31 to 36 and 66 to 78 of docs/faults.md.

They cover the answers of Secrets Manager, S3 and DynamoDB, and what must never be bought again.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.faults.faulty_stack import FaultyStack
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL, Scenario, error_rule, play, rows

BYTES, NOTE = "/1/1.bytes", "/1/1.json"
# Functions keep the key in memory. A 401 makes them fetch it again.
FETCH = error_rule(401, "invalid_api_key")


def has_message(*words: str) -> Any:
    def check_message(_stack: FaultyStack, execution: dict[str, Any]) -> None:
        message = json.loads(execution["cause"])["errorMessage"]
        assert [word for word in words if word not in message] == []

    return check_message


def staged(**fault: Any) -> Rule:
    return Rule(operation="PutObject", contains=BYTES, **fault)


def copied(**fault: Any) -> Rule:
    return Rule(operation="CopyObject", **fault)


def fetched(**fault: Any) -> Rule:
    return Rule(operation="GetSecretValue", step="Image", **fault)


def written(**fault: Any) -> Rule:
    return Rule(operation="TransactWriteItems", **fault)


@rows(
    Scenario(
        name="31 no secret",
        stand_in=[FETCH],
        error="ConfigError",
        images=0,
        expected_calls=("GetSecretValue", 1),
        step="Image",
        also=has_message("make secret"),
        aws=[fetched(status=400, code="ResourceNotFoundException", times=9)],
    ),
    Scenario(
        name="33 a secret that is throttled once",
        stand_in=[FETCH],
        aws=[fetched(status=400, code="ThrottlingException")],
    ),
    Scenario(
        name="33 a secret that fails for one try",
        stand_in=[FETCH],
        aws=[fetched(status=500, code="InternalServiceError", times=3)],
    ),
    Scenario(
        name="34 a secret that is denied",
        stand_in=[FETCH],
        error="StorageDeniedError",
        images=0,
        expected_calls=("GetSecretValue", 1),
        step="Image",
        aws=[fetched(status=400, code="AccessDeniedException", times=9)],
    ),
    Scenario(
        name="69 SlowDown at the staging put", aws=[staged(status=503, code="SlowDown", times=6)]
    ),
    Scenario(
        name="69 InternalError at the copy", aws=[copied(status=500, code="InternalError", times=2)]
    ),
    Scenario(
        name="69 SlowDown at the thumbnail",
        aws=[Rule(operation="PutObject", contains="thumbnails/", status=503, code="SlowDown")],
    ),
    Scenario(
        name="69 SlowDown while staging is read",
        aws=[Rule(operation="GetObject", status=503, code="SlowDown")],
    ),
    Scenario(
        name="70 the staging put arrived, its answer did not",
        aws=[staged(lose_answer=True, times=2)],
    ),
    Scenario(
        name="70 the copy arrived, its answer did not", aws=[copied(lose_answer=True, times=4)]
    ),
    Scenario(
        name="70 the sidecar arrived, its answer did not",
        aws=[Rule(operation="PutObject", contains=".png.json", lose_answer=True)],
    ),
    Scenario(
        name="70 a claim arrived, its answer did not", aws=[written(step="Image", lose_answer=True)]
    ),
    Scenario(
        name="70 the record arrived, its answer did not",
        aws=[written(step="Upload", lose_answer=True)],
    ),
    Scenario(
        name="71 a conditional conflict",
        aws=[copied(status=409, code="ConditionalRequestConflict", times=2)],
    ),
    Scenario(
        name="71 a copy that fails inside a 200", aws=[copied(status=200, code="InternalError")]
    ),
    Scenario(
        name="73 denied before paying",
        error="StorageDeniedError",
        images=0,
        expected_calls=("PutObject", 2),
        aws=[Rule(operation="PutObject", contains=NOTE, status=403, code="AccessDenied", times=9)],
    ),
    Scenario(
        name="73 denied before the chat",
        error="StorageDeniedError",
        images=0,
        chat=0,
        expected_calls=("PutObject", 1),
        aws=[Rule(operation="PutObject", status=403, code="AccessDenied", times=9)],
    ),
    Scenario(
        name="73 a disabled KMS key at the copy",
        error="StorageDeniedError",
        expected_calls=("CopyObject", 1),
        aws=[copied(status=400, code="KMS.DisabledException", times=9)],
        also=has_message("bought but not stored yet: image 1", "pays only for what is missing"),
    ),
    Scenario(name="74 bytes that change on the way", aws=[staged(corrupt=True)]),
    Scenario(
        name="77 a bucket that is gone",
        error="ConfigError",
        images=0,
        chat=0,
        aws=[Rule(operation="PutObject", status=404, code="NoSuchBucket", times=9)],
    ),
    Scenario(
        name="77 a bucket in another region",
        error="ConfigError",
        images=0,
        chat=0,
        aws=[Rule(operation="PutObject", status=301, code="PermanentRedirect", times=9)],
    ),
    Scenario(
        name="33 a table that is throttled",
        aws=[Rule(operation="GetItem", status=400, code="ThrottlingException", times=4)],
    ),
    Scenario(
        name="33 a table that fails for one try",
        aws=[written(status=500, code="InternalServerError", times=3)],
    ),
    Scenario(
        name="33 a claim that meets other writers nine times",
        aws=[written(step="Image", cancelled=("TransactionConflict", "None"), times=9)],
    ),
    Scenario(
        name="34 a table that is denied",
        error="StorageDeniedError",
        images=0,
        chat=0,
        expected_calls=("GetItem", 1),
        aws=[Rule(operation="GetItem", status=400, code="AccessDeniedException", times=9)],
    ),
)
def test_aws_faults_have_the_listed_outcome(faulty_stack: FaultyStack, scenario: Scenario) -> None:
    execution = play(faulty_stack, scenario)
    if scenario.error is None:
        (picture,) = execution["report"]["pictures"]
        assert [
            version["deleted"]
            for version in faulty_stack.versions(picture["key"])
            if version["Key"] == picture["key"]
        ] == [False]
        assert faulty_stack.staged(execution["name"]) == []
        (image,) = [
            item for item in faulty_stack.records(execution["name"]) if item["sk"] == "image#1"
        ]
        head = faulty_stack.s3.head_object(
            Bucket=faulty_stack.bucket, Key=picture["key"], ChecksumMode="ENABLED"
        )
        assert (
            head["Metadata"]["sha256"]
            == base64.b64decode(head["ChecksumSHA256"]).hex()
            == image["sha256"]
        )
    elif scenario.images:
        assert any(key.endswith(".bytes") for key in faulty_stack.staged(execution["name"]))


@contextmanager
def secret(stack: FaultyStack, value: str) -> Iterator[None]:
    client = stack.client("secretsmanager")
    (name,) = [entry["Name"] for entry in client.list_secrets()["SecretList"]]
    before = client.get_secret_value(SecretId=name)["SecretString"]
    client.put_secret_value(SecretId=name, SecretString=value)
    try:
        yield
    finally:
        client.put_secret_value(SecretId=name, SecretString=before)


@pytest.mark.parametrize(
    "value",
    [" ", '{"key": "sk-1"}', '"sk-1"', "two words"],
    ids=["32 blank", "32 JSON", "32 quoted", "32 words"],
)
def test_invalid_secret_is_named_and_not_shown(faulty_stack: FaultyStack, value: str) -> None:
    with secret(faulty_stack, value):
        execution = play(
            faulty_stack,
            Scenario(
                name="32",
                stand_in=[FETCH],
                error="ConfigError",
                images=0,
                expected_calls=("image", 1),
            ),
        )
    assert "does not hold a plain API key" in execution["cause"]
    assert "sk-1" not in execution["cause"]
    play(faulty_stack, Scenario(name="32 fixed", images=1, chat=2))


def test_32_newline_after_the_key_is_harmless(faulty_stack: FaultyStack) -> None:
    with secret(faulty_stack, "local-stand-in\n"):
        play(faulty_stack, Scenario(name="32", stand_in=[FETCH]))


def test_36_81_key_and_prompt_never_leak(faulty_stack: FaultyStack) -> None:
    words = "a very secret lighthouse"
    ok = faulty_stack.run({"description": words, "folder_name": "catalogue", **SMALL})
    faulty_stack.script(error_rule(401, "invalid_api_key", times=9))
    failed = faulty_stack.run({"description": words, "folder_name": "catalogue", **SMALL})
    assert (ok["status"], failed["error"]) == ("SUCCEEDED", "AuthError")
    assert (
        faulty_stack.run({"promt": words})["error"]
        == faulty_stack.run({"prompt": f"{words}\u202e"})["error"]
        == "InputError"
    )

    functions = json.dumps(faulty_stack.client("lambda").list_functions()["Functions"], default=str)
    lines = faulty_stack.log_lines()
    assert any(ok["name"] in line for line in lines)
    assert not [line for line in lines if words in line]
    for text in (
        functions,
        json.dumps(
            [faulty_stack.history(execution["executionArn"]) for execution in (ok, failed)],
            default=str,
        ),
        *lines,
    ):
        assert "local-stand-in" not in text


def test_78_80_states_stay_small_with_largest_run(faulty_stack: FaultyStack) -> None:
    execution = faulty_stack.run(
        {"prompt": "語" * 32_000, "count": 10, "folder_name": "catalogue", **SMALL}
    )
    assert execution["report"]["stored"] == 10
    events = faulty_stack.history(execution["executionArn"])
    assert len(events) < 25_000 / 100

    # The request itself is in the input. The steps' own output is small.
    exited = [
        event["stateExitedEventDetails"] for event in events if "stateExitedEventDetails" in event
    ]
    assert max(len(state["output"]) for state in exited if state["name"] != "Which action?") < 8_000


def test_107_each_failure_is_one_structured_line(faulty_stack: FaultyStack) -> None:
    execution = play(faulty_stack, Scenario(name="107", stand_in=[error_rule(500, times=2)]))
    lines = faulty_stack.log_lines()
    log_lines = [
        json.loads(line)
        for line in lines
        if line.startswith("{") and f'"run_id":"{execution["name"]}"' in line
    ]
    calls = [
        (line["step"], line.get("attempt"), line.get("error"), line["level"]) for line in log_lines
    ]
    assert sorted(calls) == sorted(
        [
            ("prompt", 1, None, "INFO"),
            ("image", 1, "TransientError", "WARNING"),
            ("image", 2, "TransientError", "WARNING"),
            ("image", 3, None, "INFO"),
            ("upload", 1, None, "INFO"),
            ("cleanup", 1, None, "INFO"),
        ]
    )
    assert all(
        line["openai_request_id"].startswith("req_")
        for line in log_lines
        if line["step"] in ("prompt", "image")
    )
    assert all(
        line["usd"] > 0
        for line in log_lines
        if line["message"] in ("prompt written", "picture bought")
    )

    failed_counts = [
        json.loads(line)["Failed"] for line in lines if line.startswith("{") and '"Failed"' in line
    ]
    assert sum(sum(values) for values in failed_counts) >= 2


@pytest.mark.parametrize("operation", ["chat", "image"], ids=["107 chat", "107 image"])
def test_possibly_paid_calls_are_a_metric(faulty_stack: FaultyStack, operation: str) -> None:
    def count_possibly_paid() -> int:
        lines = faulty_stack.log_lines()
        metrics = [
            json.loads(line) for line in lines if line.startswith("{") and '"PossiblyPaid"' in line
        ]
        return int(sum(sum(metric["PossiblyPaid"]) for metric in metrics))

    before = count_possibly_paid()
    chat, images = (2, 1) if operation == "chat" else (1, 2)

    play(
        faulty_stack,
        Scenario(
            name="107",
            openai=[Rule(operation=operation, lose_answer=True)],
            possibly_paid=1,
            chat=chat,
            images=images,
        ),
    )

    assert count_possibly_paid() == before + 1
