"""The comparison with n8n, which runs the workflow that Easel replaces.

It uses the same stand-in and the same local S3: `make bench N8N=1`.

n8n saves executions and images, uses SQLite, and runs one process and its task runner. The workflow
differs from the original in four ways:

- A webhook starts it and answers when the image is stored, so that many can run at the same time.
- Each execution has a separate key, because the original's name is the same all day.
- The bucket's name has a dot, since the AWS S3 node accepts a custom endpoint only with path-style
  names.
- The S3 node creates the bucket, since the AWS S3 node cannot create one at such an endpoint.
"""

import json
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from openai import OpenAI
from PIL import Image

from bench import runs, stacks
from bench.memory import Memory
from bench.n8n_process import (
    LOG,
    N8N,
    VERSION,
    import_workflow,
    install,
    n8n_environment,
    run_to_end,
    running,
)
from bench.section import MIB, Figure, Options, Result, table
from tests.support.local_stack import LocalStack

NAME, TITLE = "n8n", f"n8n {VERSION}"
WORKFLOW, WORKFLOW_ID = Path(__file__).parent / "n8n" / "workflow.json", "easelpeer"
BUCKET = f"bucket.{WORKFLOW_ID}"
# The workflow uses the same size. Of the sizes that n8n offers, its PNG from the stand-in is the
# nearest to 1.5 MB (1,442,037 bytes).
SIZE: Final = "1536x1024"
START_SECONDS, RUN_SECONDS = 120, 120
REPETITIONS, RUNS = 3, 40  # the best repetition counts


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """n8n's best rate and peak resident memory with this many runs at the same time."""

    at_once: int
    pictures_a_second: float
    resident: int


def measure(_options: Options) -> Result:
    """Measure each number of concurrent runs on a fresh n8n process, and on Easel's stack.

    Raise HTTPError if a run fails (n8n's log has the cause), and SystemExit if an image in the
    bucket differs from the one that the stand-in painted.
    """
    install()
    LOG.unlink(missing_ok=True)
    ours = [asdict(runs.load(at_once)) for at_once in runs.AT_ONCE]
    with (
        stacks.running(stand_in=("--paint-once",)) as local,
        tempfile.TemporaryDirectory() as folder,
    ):
        aws = stacks.client_of(local)
        environment = n8n_environment(Path(folder) / "n8n")
        _import(environment, aws.outputs)
        peer = [asdict(_measure_lanes(environment, aws, lanes)) for lanes in runs.AT_ONCE]
    return {"easel": ours, "n8n": peer}


def figures(result: Result) -> Iterator[Figure]:
    """Compare the rates and the memory of both with several runs at the same time."""
    for ours, peer in zip(result["easel"], result["n8n"], strict=True):
        at_once, (faster, smaller) = peer["at_once"], _ratios(ours, peer)
        if at_once > 1:
            limit = "≥ 2" if at_once == 4 else "none set"
            yield Figure(f"local images/s / n8n's, {at_once} at once", f"{faster:.2f}", limit)
            name = f"memory of the local stack / n8n's, {at_once} at once"
            yield Figure(name, f"{smaller:.2f}", "≤ 0.75")


def _ratios(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> tuple[float, float]:
    rate = ours["pictures_per_second"] / peer["pictures_a_second"]
    return rate, ours["peak_bytes"] / peer["resident"]


def text(result: Result) -> str:
    """Return one row for each load."""
    rows = []
    for ours, peer in zip(result["easel"], result["n8n"], strict=True):
        faster, smaller = _ratios(ours, peer)
        rows.append(
            (
                str(peer["at_once"]),
                f"{peer['pictures_a_second']:.1f}",
                f"{faster:.2f}",
                f"{peer['resident'] / MIB:.0f}",
                f"{smaller:.2f}",
            )
        )
    head = ("at once", "n8n, images/s", "Easel's / n8n's", "n8n, peak MiB", "Easel's / n8n's")
    about = "The workflow that this project replaces, with the same stand-in and bucket."
    return f"{about}\n\n{table(head, rows)}"


def _measure_lanes(environment: Mapping[str, str], aws: LocalStack, lanes: int) -> Measurement:
    url, rates = f"http://127.0.0.1:{environment['N8N_PORT']}/webhook/paint", []
    with running([str(N8N), "start"], environment) as n8n, ThreadPoolExecutor(lanes) as pool:
        size = _check_picture(aws, _first_run(n8n, url))
        list(pool.map(_run, [url] * (RUNS // 2)))
        before = len(_stored_sizes(aws))
        # The sampler sums up the process group, here n8n's.
        with Memory(emulator=n8n.pid, stand_in=0) as memory:
            for _ in range(REPETITIONS):
                start = time.perf_counter()
                list(pool.map(_run, [url] * RUNS))
                rates.append(RUNS / (time.perf_counter() - start))
    stored = _stored_sizes(aws)
    if len(stored) - before != REPETITIONS * RUNS or set(stored) != {size}:
        raise SystemExit(
            f"{REPETITIONS * RUNS} runs ended well and stored {len(stored) - before} images; all "
            f"have {set(stored)} bytes"
        )
    return Measurement(
        at_once=lanes,
        pictures_a_second=max(rates),
        resident=memory.peak.total,
    )


def _run(url: str) -> str:
    """Run the workflow once, and return the image's key."""
    with urlopen(url, data=b"", timeout=RUN_SECONDS) as answer:  # noqa: S310 - loopback
        return str(json.loads(answer.read())["Key"])


def _first_run(n8n: "subprocess.Popen[bytes]", url: str) -> str:
    """Wait for n8n's first successful run, and return the image's key.

    Until it has started, n8n refuses the connection, answers with a text, or does not know the
    webhook.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return _run(url)
        except (URLError, ValueError) as error:
            failed = isinstance(error, HTTPError) and error.code != 404
            if failed or n8n.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"n8n makes no picture: {error}; see {LOG}") from error
            time.sleep(0.1)


def _check_picture(aws: LocalStack, key: str) -> int:
    """Return the size of a stored image. Raise SystemExit unless it is the stand-in's PNG."""
    client = OpenAI(api_key="any", base_url=aws.outputs["openai_base_url"])
    answer = client.images.generate(
        model="gpt-image-2.6-flare", prompt="any", size=SIZE, quality="medium"
    )
    stored = aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    if not answer.data or stored != b64decode(answer.data[0].b64_json or ""):
        raise SystemExit(f"n8n stored {len(stored):,} bytes in {key} that are not the picture")
    with Image.open(BytesIO(stored), formats=["PNG"]) as image:
        image.verify()
    return len(stored)


def _stored_sizes(aws: LocalStack) -> list[int]:
    """Return the sizes of the images in n8n's bucket."""
    pages = aws.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [
        item["Size"] for page in pages for item in page["Contents"] if item["Key"].endswith(".png")
    ]


def _import(environment: Mapping[str, str], outputs: Mapping[str, Any]) -> None:
    """Import the credentials and the workflow into n8n, and publish the workflow."""
    access = {
        "region": outputs["region"],
        "accessKeyId": outputs["access_key_id"],
        "secretAccessKey": outputs["secret_access_key"],
    }
    credentials = [
        {
            "id": "easelopenai",
            "name": "OpenAI",
            "type": "openAiApi",
            "data": {"apiKey": "any", "url": outputs["openai_base_url"]},
        },
        {
            "id": "easelaws",
            "name": "AWS",
            "type": "aws",
            "data": access | {"customEndpoints": True, "s3Endpoint": outputs["endpoint"]},
        },
        {
            "id": "easels3",
            "name": "S3",
            "type": "s3",
            "data": access | {"endpoint": outputs["endpoint"], "forcePathStyle": True},
        },
    ]
    import_workflow(environment, WORKFLOW.read_text(), credentials)
    run_to_end([str(N8N), "publish:workflow", f"--id={WORKFLOW_ID}"], environment)
