"""Rows 31 to 36 and 66 to 78 of docs/faults.md.

They cover the answers of Secrets Manager, S3 and DynamoDB, and what must never be bought again.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.faults.faulty_stack import Storm
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL, Scenario, play, refused, rows

BYTES, NOTE = "/1/1.bytes", "/1/1.json"
# Functions keep the key in memory. A 401 makes them fetch it again.
FETCH = refused(401, "invalid_api_key")


def says(*words: str) -> Any:
    def said(_storm: Storm, ended: dict[str, Any]) -> None:
        message = json.loads(ended["cause"])["errorMessage"]
        assert [word for word in words if word not in message] == []

    return said


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
        asked=("GetSecretValue", 1),
        step="Image",
        also=says("make secret"),
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
        asked=("GetSecretValue", 1),
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
        asked=("PutObject", 2),
        aws=[Rule(operation="PutObject", contains=NOTE, status=403, code="AccessDenied", times=9)],
    ),
    Scenario(
        name="73 denied before the chat",
        error="StorageDeniedError",
        images=0,
        chat=0,
        asked=("PutObject", 1),
        aws=[Rule(operation="PutObject", status=403, code="AccessDenied", times=9)],
    ),
    Scenario(
        name="73 a disabled KMS key at the copy",
        error="StorageDeniedError",
        asked=("CopyObject", 1),
        aws=[copied(status=400, code="KMS.DisabledException", times=9)],
        also=says("bought but not stored yet: image 1", "pays only for what is missing"),
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
        asked=("GetItem", 1),
        aws=[Rule(operation="GetItem", status=400, code="AccessDeniedException", times=9)],
    ),
)
def test_aws_faults_have_the_listed_outcome(stormy: Storm, scenario: Scenario) -> None:
    ended = play(stormy, scenario)
    if scenario.error is None:
        (made,) = ended["report"]["pictures"]
        assert [
            version["deleted"]
            for version in stormy.versions(made["key"])
            if version["Key"] == made["key"]
        ] == [False]
        assert stormy.staged(ended["name"]) == []
        (image,) = [item for item in stormy.records(ended["name"]) if item["sk"] == "image#1"]
        head = stormy.s3.head_object(Bucket=stormy.bucket, Key=made["key"], ChecksumMode="ENABLED")
        assert (
            head["Metadata"]["sha256"]
            == base64.b64decode(head["ChecksumSHA256"]).hex()
            == image["sha256"]
        )
    elif scenario.images:
        assert any(key.endswith(".bytes") for key in stormy.staged(ended["name"]))


@contextmanager
def secret(storm: Storm, value: str) -> Iterator[None]:
    client = storm.client("secretsmanager")
    (name,) = [one["Name"] for one in client.list_secrets()["SecretList"]]
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
def test_invalid_secret_is_named_and_not_shown(stormy: Storm, value: str) -> None:
    with secret(stormy, value):
        ended = play(
            stormy,
            Scenario(
                name="32", stand_in=[FETCH], error="ConfigError", images=0, asked=("image", 1)
            ),
        )
    assert "does not hold a plain API key" in ended["cause"]
    assert "sk-1" not in ended["cause"]
    play(stormy, Scenario(name="32 fixed", images=1, chat=2))


def test_32_newline_after_the_key_is_harmless(stormy: Storm) -> None:
    with secret(stormy, "local-stand-in\n"):
        play(stormy, Scenario(name="32", stand_in=[FETCH]))


def test_36_81_key_and_prompt_never_leak(stormy: Storm) -> None:
    words = "a very secret lighthouse"
    ok = stormy.run({"description": words, "folder_name": "catalogue", **SMALL})
    stormy.script(refused(401, "invalid_api_key", times=9))
    failed = stormy.run({"description": words, "folder_name": "catalogue", **SMALL})
    assert (ok["status"], failed["error"]) == ("SUCCEEDED", "AuthError")
    assert (
        stormy.run({"promt": words})["error"]
        == stormy.run({"prompt": f"{words}\u202e"})["error"]
        == "InputError"
    )

    functions = json.dumps(stormy.client("lambda").list_functions()["Functions"], default=str)
    lines = stormy.log_lines()
    assert any(ok["name"] in line for line in lines)
    assert not [line for line in lines if words in line]
    for said in (
        functions,
        json.dumps([stormy.history(one["executionArn"]) for one in (ok, failed)], default=str),
        *lines,
    ):
        assert "local-stand-in" not in said


def test_78_80_states_stay_small_with_largest_run(stormy: Storm) -> None:
    ended = stormy.run({"prompt": "語" * 32_000, "count": 10, "folder_name": "catalogue", **SMALL})
    assert ended["report"]["stored"] == 10
    events = stormy.history(ended["executionArn"])
    assert len(events) < 25_000 / 100

    # The request itself is in the input. The steps' own output is small.
    exited = [
        event["stateExitedEventDetails"] for event in events if "stateExitedEventDetails" in event
    ]
    assert max(len(said["output"]) for said in exited if said["name"] != "Which action?") < 8_000


def test_107_each_failure_is_one_structured_line(stormy: Storm) -> None:
    ended = play(stormy, Scenario(name="107", stand_in=[refused(500, times=2)]))
    lines = stormy.log_lines()
    told = [
        json.loads(line)
        for line in lines
        if line.startswith("{") and f'"run_id":"{ended["name"]}"' in line
    ]
    calls = [(line["step"], line.get("attempt"), line.get("error"), line["level"]) for line in told]
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
        for line in told
        if line["step"] in ("prompt", "image")
    )
    assert all(
        line["usd"] > 0 for line in told if line["message"] in ("prompt written", "picture bought")
    )

    counted = [
        json.loads(line)["Failed"] for line in lines if line.startswith("{") and '"Failed"' in line
    ]
    assert sum(sum(values) for values in counted) >= 2


@pytest.mark.parametrize("operation", ["chat", "image"], ids=["107 chat", "107 image"])
def test_possibly_paid_calls_are_a_metric(stormy: Storm, operation: str) -> None:
    def counted() -> int:
        lines = stormy.log_lines()
        metrics = [
            json.loads(line) for line in lines if line.startswith("{") and '"PossiblyPaid"' in line
        ]
        return int(sum(sum(metric["PossiblyPaid"]) for metric in metrics))

    before = counted()
    chat, images = (2, 1) if operation == "chat" else (1, 2)

    play(
        stormy,
        Scenario(
            name="107",
            openai=[Rule(operation=operation, lose_answer=True)],
            possibly_paid=1,
            chat=chat,
            images=images,
        ),
    )

    assert counted() == before + 1
