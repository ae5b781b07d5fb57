"""S3 in the emulator: conditional copies, versions in events, and memory."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import processes
from tests.support.emulator import CLOSED, Emulator, Launcher


def test_event_contains_version_of_new_object(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def versions(emulator: Emulator) -> tuple[Any, str]:
        """Return the version in the event of a new object, and the object's version."""
        sqs, events, s3 = emulator.client("sqs"), emulator.client("events"), emulator.s3
        url = sqs.create_queue(QueueName="new-objects")["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        detail = {"bucket": {"name": ["told"]}, "object": {"key": [{"prefix": "in/"}]}}
        pattern = json.dumps({"source": ["aws.s3"], "detail": detail})
        events.put_rule(Name="new-objects", EventPattern=pattern)
        target = {"Id": "queue", "Arn": queue["Attributes"]["QueueArn"]}
        events.put_targets(Rule="new-objects", Targets=[target])
        emulator.create_bucket("told", versions=True)
        s3.put_bucket_notification_configuration(
            Bucket="told", NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        s3.put_object(Bucket="told", Key="out/a", Body=b"a")
        version = s3.put_object(Bucket="told", Key="in/a", Body=b"a")["VersionId"]
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
        event = json.loads(message["Body"])
        return event["detail"]["object"].get("version-id"), version

    assert versions(plain_emulator)[0] is None, CLOSED
    reported, version = versions(patched_emulator)
    assert reported == version


def test_conditional_copy_refuses_to_overwrite(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def copy(emulator: Emulator) -> str:
        s3 = emulator.s3
        emulator.create_bucket("copies")
        for key in ("from", "to"):
            s3.put_object(Bucket="copies", Key=key, Body=key.encode())
        try:
            s3.copy_object(Bucket="copies", Key="to", CopySource="copies/from", IfNoneMatch="*")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "copied"

    assert copy(plain_emulator) == "copied", CLOSED
    assert copy(patched_emulator) == "PreconditionFailed"
    assert patched_emulator.s3.get_object(Bucket="copies", Key="to")["Body"].read() == b"to"


def test_copy_succeeds_where_object_was_deleted(patched_emulator: Emulator) -> None:
    s3 = patched_emulator.s3
    patched_emulator.create_bucket("versions", versions=True)
    for key in ("from", "to"):
        s3.put_object(Bucket="versions", Key=key, Body=key.encode())
    s3.delete_object(Bucket="versions", Key="to")

    s3.copy_object(Bucket="versions", Key="to", CopySource="versions/from", IfNoneMatch="*")

    assert s3.get_object(Bucket="versions", Key="to")["Body"].read() == b"from"


def test_one_of_concurrent_copies_wins(patched_emulator: Emulator) -> None:
    s3 = patched_emulator.s3
    patched_emulator.create_bucket("race")
    s3.put_object(Bucket="race", Key="from", Body=b"x" * 100_000)

    def wins(_: int) -> bool:
        try:
            s3.copy_object(Bucket="race", Key="to", CopySource="race/from", IfNoneMatch="*")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(16) as callers:
        assert sum(callers.map(wins, range(32))) == 1


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_version_bytes_are_only_on_disk(tmp_path: Path, launch: Launcher) -> None:
    size, count = 2_000_000, 32

    def resident(pid: int) -> int:
        """Return the resident bytes of a process."""
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def growth(module: str) -> float:
        """Return how many bytes the emulator's memory grows for each byte that is uploaded."""
        emulator = launch(tmp_path / module, module=module)
        emulator.create_bucket("versions", versions=True)
        emulator.s3.put_object(Bucket="versions", Key="first", Body=bytes(size))
        before = resident(emulator.pid)
        for number in range(count):
            emulator.s3.put_object(Bucket="versions", Key=f"key-{number}", Body=bytes(size))
        return (resident(emulator.pid) - before) / (size * count)

    assert growth("ministack") > 0.9, "plain MiniStack now drops them: delete the patch"
    assert growth("local.ministack") < 0.3


def test_versions_are_readable_after_restart(tmp_path: Path, launch: Launcher) -> None:
    emulator = launch(tmp_path)
    s3 = emulator.s3
    emulator.create_bucket("versions", versions=True)
    versions = {
        s3.put_object(Bucket="versions", Key="key", Body=body)["VersionId"]: body
        for body in (b"first", b"second")
    }
    copy = s3.copy_object(Bucket="versions", Key="key", CopySource="versions/key")
    versions[copy["VersionId"]] = b"second"
    marker = s3.delete_object(Bucket="versions", Key="key")["VersionId"]

    def read(**version: str) -> bytes:
        return bytes(s3.get_object(Bucket="versions", Key="key", **version)["Body"].read())

    assert {version: read(VersionId=version) for version in versions} == versions

    processes.stop(emulator.pid)
    s3 = launch(tmp_path).s3
    assert {version: read(VersionId=version) for version in versions} == versions

    s3.delete_object(Bucket="versions", Key="key", VersionId=marker)
    assert read() == b"second"
    s3.delete_object(Bucket="versions", Key="key", VersionId=list(versions)[-1])
    s3.delete_object(Bucket="versions", Key="key", VersionId=list(versions)[-2])
    assert read() == b"first"
