import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from easel.contract.errors import ConfigError
from functions import bucket_check
from tests.support.services import BUCKET, REGION

OWNER = "123456789012"


@pytest.fixture
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the URL that CloudFormation waits for, and the list of what it has received."""
    arrived: list[dict[str, Any]] = []

    class Waiting(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            arrived.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Waiting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/answer", arrived
    server.shutdown()
    thread.join()
    server.server_close()


def event(url: str, kind: str = "Create", bucket: str = BUCKET) -> dict[str, Any]:
    properties = {"Bucket": bucket, "Owner": OWNER, "Region": REGION}
    ids = {"StackId": "s", "RequestId": "r", "LogicalResourceId": "l"}
    return {"RequestType": kind, "ResponseURL": url, "ResourceProperties": properties} | ids


def test_versioned_bucket_is_accepted(
    s3: Any, cloudformation: tuple[str, list[dict[str, Any]]]
) -> None:
    url, arrived = cloudformation
    bucket_check.handler(event(url), None)
    assert (arrived[0]["Status"], arrived[0]["StackId"]) == ("SUCCESS", "s")


def test_missing_bucket_fails_deployment_with_reason(
    s3: Any, cloudformation: tuple[str, list[dict[str, Any]]]
) -> None:
    url, arrived = cloudformation
    bucket_check.handler(event(url, bucket="none"), None)
    assert arrived[0]["Status"] == "FAILED"
    assert "none" in arrived[0]["Reason"]


def test_stack_removal_needs_no_bucket(
    aws: Any, cloudformation: tuple[str, list[dict[str, Any]]]
) -> None:
    url, arrived = cloudformation
    bucket_check.handler(event(url, kind="Delete", bucket="none"), None)
    assert arrived[0]["Status"] == "SUCCESS"


def test_bucket_without_versions_is_refused(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(ConfigError, match="Suspended"):
        bucket_check.check(s3, bucket=BUCKET, owner=OWNER, region=REGION)


def test_bucket_in_other_region_is_refused(s3: Any) -> None:
    with pytest.raises(ConfigError, match="aws_region=ap-southeast-1"):
        bucket_check.check(s3, bucket=BUCKET, owner=OWNER, region="eu-west-1")
