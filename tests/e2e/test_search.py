"""Images are found by their words as soon as they are stored, until they are deleted."""

import json
from pathlib import Path
from typing import Any

from tests.support.api_caller import machine
from tests.support.command_line import easel
from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low", "folder_name": "searched"}


def make(aws: LocalStack, **request: Any) -> str:
    request |= SMALL
    return str(aws.run(request)["report"]["pictures"][0]["key"])


def found(aws: LocalStack, folder: Path, *words: str) -> list[str]:
    """Return the keys that `easel find` lists, newest first."""
    result = easel(aws, folder, "find", "--json", "--folder", "searched", *words)
    assert result.stderr.startswith("no image matches") or not result.stderr, result.stderr
    return [json.loads(line)["key"] for line in result.stdout.splitlines()]


def test_image_is_found_until_it_is_deleted(aws: LocalStack, tmp_path: Path) -> None:
    boat = make(aws, prompt="A boat on the Zürichsee")
    aws.until(lambda: found(aws, tmp_path, "zurich") == [boat])
    kite = make(aws, description="Ein Drachen über dem Zürichsee")
    aws.until(lambda: found(aws, tmp_path, "ZURICHSEE") == [kite, boat])

    aws.run({"action": "delete_image", "image_key": kite, "confirm": True})
    aws.until(lambda: found(aws, tmp_path, "zurich") == [boat])
    aws.run({"action": "restore_image", "image_key": kite})
    aws.until(lambda: found(aws, tmp_path, "zurich") == [kite, boat])

    program = machine(aws, "read")
    page = program("GET", "/images", query={"q": "zuri", "folder": "searched", "limit": "1"}).json
    rest = {"q": "zuri", "folder": "searched", "cursor": page["cursor"]}
    assert [image["key"] for image in page["images"]] == [kite]
    assert [image["key"] for image in program("GET", "/images", query=rest).json["images"]] == [
        boat
    ]
    assert program("GET", "/images", query={"q": "?"}).status == 400

    assert found(aws, tmp_path, "zurich", "boat") == [boat]
    assert found(aws, tmp_path, "zurich", "submarine") == []


def test_rebuild_restores_a_lost_index(aws: LocalStack, tmp_path: Path) -> None:
    key = make(aws, prompt="A walrus")
    aws.until(lambda: found(aws, tmp_path, "walrus") == [key])
    table = aws.outputs["table"]
    leaves = [
        {"pk": {"S": f"search#{shard}"}, "sk": item["sk"]}
        for shard in range(8)
        for item in aws.dynamodb.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"search#{shard}"}},
        )["Items"]
    ]
    for leaf in leaves:
        aws.dynamodb.delete_item(TableName=table, Key=leaf)
    lost = found(aws, tmp_path, "walrus")

    assert easel(aws, tmp_path, "reindex").returncode == 0

    assert lost == []
    aws.until(lambda: found(aws, tmp_path, "walrus") == [key])
