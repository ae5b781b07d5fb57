"""Batches in economy on the local stack.

OpenAI's Batch API makes the images, each order is placed once, and its results are stored.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from easel.aws.table import Table
from functions.economy.place import VISIBLE_SECONDS
from tests.e2e.test_batches import pictures, read, run, start, upload
from tests.support.local_stack import LocalStack

USER, OTHER = "5e1f" * 16, "0a0a" * 16


def ledger(aws: LocalStack) -> tuple[int, int]:
    """Return how many images were charged and how many batches were created."""
    charges = aws.charges()
    return charges["batch_images"], charges["batches"]


def make(aws: LocalStack, name: str, *, lines: int, **more: Any) -> dict[str, Any]:
    upload(
        aws,
        *({"description": f"A lamp numbered {n}.", "folder_name": name} for n in range(lines)),
        key=f"batches/{name}.jsonl",
    )
    return run(aws, manifest=f"batches/{name}.jsonl", economy=True, **more)


def test_economy_batch_costs_half(aws: LocalStack) -> None:
    execution = make(aws, "economy-a", lines=5)
    assert execution["status"] == "SUCCEEDED", execution["cause"]
    report = execution["report"]
    assert (report["stored"], report["failed"], pictures(aws, "economy-a")) == (5, 0, 5)

    charges = aws.charges()
    assert (charges["chat"], charges["batch_images"], charges["images"], charges["batches"]) == (
        5,
        5,
        5,
        1,
    )
    single = aws.run(
        {
            "description": "A lamp numbered 0.",
            "folder_name": "economy-a",
            "size": "1024x640",
            "quality": "low",
        }
    )["report"]
    assert report["cost_usd"] / 5 < 0.6 * single["cost_usd"]

    second = run(aws, manifest="batches/economy-a.jsonl", economy=True)["report"]
    assert (second["stored"], second["cost_usd"]) == (5, report["cost_usd"])
    assert ledger(aws) == (5, 1)


def test_expired_and_refused_images_are_listed(aws: LocalStack) -> None:
    refused = {"error": {"code": "moderation_blocked", "message": "no"}}
    aws.script(
        {
            "path": "/v1/images/generations",
            "contains": "numbered 3.",
            "status": 400,
            "body": refused,
        },
        {"path": "/v1/batches/expire", "answer": 4},
    )
    report = make(aws, "economy-b", lines=8, tolerated_failure_percentage=100)["report"]
    stored, images = report["stored"], aws.charges()["batch_images"]
    assert stored == pictures(aws, "economy-b") == images
    assert stored + report["refused"] + report["reasons"].get("NotMade", 0) == 8
    assert report["reasons"]["NotMade"] >= 3

    left = read(aws, report["failed_key"]).splitlines()
    assert len(left) == report["reasons"]["NotMade"]
    aws.forget()
    retry = run(aws, manifest=report["failed_key"], economy=True)["report"]
    assert retry["stored"] == len(left) == aws.charges()["batch_images"]


def expire_unlocked_order(aws: LocalStack) -> bool:
    """Expire the lock of an order that could not be placed. Return whether there was one."""
    table, now = Table(aws.dynamodb, name=aws.outputs["table"]), int(time.time())
    found = aws.dynamodb.scan(
        TableName=aws.outputs["table"],
        FilterExpression="begins_with(pk, :orders) AND held_until BETWEEN :now AND :soon",
        ExpressionAttributeValues={
            ":orders": {"S": "order#"},
            ":now": {"N": str(now)},
            ":soon": {"N": str(now + VISIBLE_SECONDS + 5)},
        },
        ConsistentRead=True,
    )["Items"]
    for item in found:
        key = (item["pk"]["S"], item["sk"]["S"])
        table.write(table.update(key, "SET #held_until = :past", values={":past": 1}))
    return bool(found)


def test_order_with_lost_response_is_not_repeated(aws: LocalStack) -> None:
    aws.script({"path": "/v1/batches", "cut": True})
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(make, aws, "economy-c", lines=3)
        # On AWS, the state machine polls for longer than the lock lasts.
        aws.until(lambda: expire_unlocked_order(aws))
        report = made.result()["report"]

    assert report["stored"] == 3
    assert ledger(aws) == (3, 1)


def test_order_is_placed_again_once_the_queue_has_room(aws: LocalStack) -> None:
    aws.script({"path": "/v1/batches/fail", "answer": "token_limit_exceeded"})
    report = make(aws, "economy-q", lines=3)["report"]
    assert (report["stored"], report["failed"], report["possibly_paid"]) == (3, 0, 0)
    assert ledger(aws) == (3, 2)


def test_interrupted_result_download_stages_nothing_twice(aws: LocalStack) -> None:
    aws.script({"path": "/v1/files/content", "cut": True})
    report = make(aws, "economy-d", lines=6)["report"]
    assert (report["stored"], report["possibly_paid"]) == (6, 0)

    versions = aws.s3.list_object_versions(Bucket=aws.bucket, Prefix="staging/economy-d-")[
        "Versions"
    ]
    assert len([version for version in versions if version["Key"].endswith(".bytes")]) == 6


def test_stopped_batch_resumes_the_same_order(aws: LocalStack) -> None:
    upload(
        aws,
        *({"prompt": f"A door numbered {n}.", "folder_name": "economy-e"} for n in range(4)),
        key="batches/economy-e.jsonl",
    )
    arn = start(aws, manifest="batches/economy-e.jsonl", economy=True)
    aws.until(lambda: aws.charges()["batches"] == 1)
    aws.states.stop_execution(executionArn=arn)

    report = run(aws, manifest="batches/economy-e.jsonl", economy=True)["report"]

    assert (report["stored"], report["failed"]) == (4, 0)
    assert ledger(aws) == (4, 1)


def test_each_call_names_its_end_user(aws: LocalStack) -> None:
    aws.run(
        {
            "topic": "Sport",
            "folder_name": "told",
            "size": "1024x640",
            "quality": "low",
            "moderation": "low",
            "safety_identifier": USER,
        }
    )
    assert aws.charges()["users"] == {USER: 2}  # the chat call and the image

    report = make(aws, "economy-told", lines=2, safety_identifier=OTHER)["report"]
    assert report["stored"] == 2
    assert aws.charges()["users"] == {USER: 2, OTHER: 4}
    assert not [line for line in aws.log_lines() if USER in line or OTHER in line]
