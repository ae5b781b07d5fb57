"""Four ways to get an image from OpenAI into a bucket.

Each function makes its clients, and returns a function that takes the image's size in bytes.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import process_memory

ROOT = Path(__file__).resolve().parents[1]
Paint = Callable[[int], None]
MODEL, BUCKET = "gpt-image-2.6-flare", "bench"
USUAL = 1_500_000  # bytes of an image


def easel() -> Paint:
    """Return a painter that runs the code that ships.

    It uses the clients of the image step.
    """
    import functions.image  # noqa: F401 - on Lambda, the import makes the clients
    from easel.ledger.paid_image import to_metadata
    from easel.services import SERVICES

    model, bucket = SERVICES.image_model, SERVICES.staging

    def paint(size: int) -> None:
        call = {"model": MODEL, "prompt": str(size), "size": "1024x1024", "quality": "medium"}
        paid = model.paint(call, timeout=60, slow_down=lambda _: None)
        bucket.put(
            f"staging/{size}",
            paid.data,
            content_type="application/octet-stream",
            metadata=to_metadata(paid),
            sha256=paid.sha256,
        )

    return paint


def easel_without_length() -> Paint:
    """Return the same painter for a server that does not announce its response's length."""
    os.environ["OPENAI_BASE_URL"] = os.environ["OPENAI_BASE_URL"].replace("/v1", "/unknown-size/v1")
    return easel()


def bare() -> Paint:
    """Return a plain script that uses the two SDKs."""
    import base64

    import boto3
    from openai import OpenAI

    client, s3 = OpenAI(api_key="any"), boto3.client("s3")

    def paint(size: int) -> None:
        answer = client.images.generate(
            model=MODEL, prompt=str(size), size="1024x1024", quality="medium"
        )
        assert answer.data
        s3.put_object(
            Bucket=BUCKET,
            Key=f"bare/{size}",
            Body=base64.b64decode(answer.data[0].b64_json or ""),
            ContentType="image/png",
        )

    return paint


def naive() -> Paint:
    """Return a Lambda handler as in the libraries' docs: tracer, parser and a boto3 resource."""
    import base64

    os.environ["POWERTOOLS_TRACE_DISABLED"] = (
        "true"  # no daemon runs here, but loading the tracer still counts
    )
    import boto3
    from aws_lambda_powertools import Tracer
    from aws_lambda_powertools.utilities.parser import event_parser
    from openai import OpenAI
    from pydantic import BaseModel

    tracer, client, bucket = (
        Tracer(service="naive"),
        OpenAI(api_key="any"),
        boto3.resource("s3").Bucket(BUCKET),
    )

    class Picture(BaseModel):
        size: int

    @tracer.capture_lambda_handler
    @event_parser(model=Picture)
    def handler(event: Picture, _context: object) -> dict[str, int]:
        answer = client.images.generate(
            model=MODEL, prompt=str(event.size), size="1024x1024", quality="medium"
        )
        assert answer.data
        data = base64.b64decode(answer.data[0].b64_json or "")
        bucket.put_object(Key=f"naive/{event.size}", Body=data, ContentType="image/png")
        return {"bytes": len(data)}

    def paint(size: int) -> None:
        handler({"size": size}, None)

    return paint


def floor() -> Paint:
    """Return the painter with the least work that is possible.

    It uses the standard library's HTTP, the base64 cut from the response's bytes, and one signed
    PUT.
    """
    import http.client
    import ssl
    from urllib.parse import urlsplit

    import pybase64
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = os.environ["AWS_ENDPOINT_URL"]
    where, trust = urlsplit(url), ssl.create_default_context()
    api, s3 = (
        http.client.HTTPSConnection(where.hostname or "", where.port, context=trust)
        for _ in range(2)
    )
    signer = S3SigV4Auth(Credentials("test", "test"), "s3", "eu-west-1")

    def paint(size: int) -> None:
        ask = json.dumps({"model": MODEL, "prompt": str(size)})
        api.request(
            "POST",
            "/v1/images/generations",
            ask,
            {"Content-Type": "application/json", "Authorization": "Bearer any"},
        )
        content = api.getresponse().read()
        start = content.index(b'"b64_json": "') + 13
        data = pybase64.b64decode(
            memoryview(content)[start : content.index(b'"', start)], validate=True
        )
        del content
        put = AWSRequest(
            "PUT",
            f"{url}/{BUCKET}/floor/{size}",
            headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
        )
        signer.add_auth(put)
        s3.request("PUT", f"/{BUCKET}/floor/{size}", data, dict(put.headers.items()))
        answer = s3.getresponse()
        answer.read()
        assert answer.status == 200

    return paint


PAINTERS = {
    "Easel": easel,
    "Easel, size unknown": easel_without_length,
    "bare script": bare,
    "naive handler": naive,
    "floor": floor,
}


def once(
    name: str, *, size: int, count: int, environment: Mapping[str, str], root: Path = ROOT
) -> dict[str, float]:
    """Return what one painter used, measured in a separate process of the checkout `root`.

    The result has `cpu_seconds` per image, `peak_bytes` above the memory before it, and
    `resident_bytes`.
    """
    command = [sys.executable, "-m", "bench.painters", name, str(size), str(count)]
    result = subprocess.run(
        command, cwd=root, env=dict(environment), capture_output=True, text=True, check=True
    )
    return dict(json.loads(result.stdout))


def main(name: str, size: int, count: int) -> None:
    """Paint a usual image to warm up, one for the peak, and then `count` for the CPU time.

    Print the results as JSON.
    """
    paint = PAINTERS[name]()
    paint(USUAL)
    before = process_memory.resident()
    process_memory.reset_peak()
    paint(size)
    peak = process_memory.peak()
    start = time.process_time()
    for _ in range(count):
        paint(size)
    seconds = (time.process_time() - start) / count
    print(json.dumps({"cpu_seconds": seconds, "peak_bytes": peak - before, "resident_bytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
