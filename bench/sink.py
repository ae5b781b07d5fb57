"""A TLS server on loopback for benchmarks of clients: image endpoint, secret and bucket in one.

The prompt contains the image's size in bytes, and each response is made once. Uploaded bodies are
read and discarded. The server checks that a body has the size that its key names, so that no client
is faster by sending less.
"""

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench import children


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start the server, yield an environment in which clients find and trust it, and end it."""
    with TemporaryDirectory() as folder:
        authority, trusted, own = (
            trustme.CA(),
            Path(folder) / "authority.pem",
            Path(folder) / "own.pem",
        )
        authority.cert_pem.write_to_path(str(trusted))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(own))
        # When it ends, the server complains about connections that clients have just closed.
        quiet: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with children.running("bench.sink", [str(own)], **quiet) as server:
            port = server.stdout.readline().strip() if server.stdout else ""
            url = f"https://127.0.0.1:{port}"
            trust = {"SSL_CERT_FILE": str(trusted), "AWS_CA_BUNDLE": str(trusted)}
            yield {"OPENAI_BASE_URL": f"{url}/v1", "AWS_ENDPOINT_URL": url} | trust


@cache
def _answer(size: int) -> bytes:
    picture = base64.b64encode(os.urandom(size)).decode()
    return json.dumps(
        {
            "created": 1,
            "data": [{"b64_json": picture}],
            "usage": {"input_tokens": 10, "output_tokens": 400},
        }
    ).encode()


async def _paint(request: Request) -> Response:
    return Response(_answer(int((await request.json())["prompt"])), media_type="application/json")


async def _paint_without_length(request: Request) -> Response:
    """Send an image without a Content-Length."""
    answer = _answer(int((await request.json())["prompt"]))
    return StreamingResponse(iter([answer]), media_type="application/json")


async def _secret(_request: Request) -> Response:
    return JSONResponse({"SecretString": "any"})


async def _put(request: Request) -> Response:
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
    # If a checksum follows a body, a header has the body's own size.
    size = int(request.headers.get("x-amz-decoded-content-length", length))
    return Response(status_code=200 if length >= size == int(request.path_params["size"]) else 400)


async def _serve(certificate: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    config, ended = Config(), asyncio.Event()
    config.bind, config.certfile, config.keyfile = (
        [f"fd://{listening.fileno()}"],
        certificate,
        certificate,
    )
    config.loglevel = "CRITICAL"
    config.alpn_protocols = ["http/1.1"]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(listening.getsockname()[1], flush=True)
    routes = [
        Route("/v1/images/generations", _paint, methods=["POST"]),
        Route("/unknown-size/v1/images/generations", _paint_without_length, methods=["POST"]),
        Route("/", _secret, methods=["POST"]),
        Route("/{bucket}/{who}/{size}", _put, methods=["PUT"]),
    ]
    await serve(Starlette(routes=routes), config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
