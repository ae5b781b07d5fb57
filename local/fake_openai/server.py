"""A stand-in for OpenAI's API on loopback: it writes prompts, paints real pictures, bills tokens, and fails when a test says so.

`python -m local.openai_server --port 0 --ready-file FILE` writes its base URL into FILE once it listens.
"""

import argparse
import asyncio
import hashlib
import json
import math
import random
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.fake_openai.answers import answer, error, is_done, is_replaced, refusal
from local.fake_openai.batches import Batches
from local.fake_openai.faults import Faults, RuleError
from local.fake_openai.files import Files
from local.fake_openai.ledger import Ledger
from local.fake_openai.limits import SlidingWindow
from local.fake_openai.pictures import Painter
from local.fake_openai.requests import RefusedError, check_image, check_user
from local.fake_openai.tokens import exchange

LIGHT = ("soft morning light", "low golden sun", "cool overcast light", "warm lamplight", "a bright noon sky", "blue dusk")
VIEW = ("a wide view", "a close-up", "seen from above", "framed by a doorway", "at eye level", "a long perspective")
MOOD = ("calm and clear", "full of quiet energy", "playful", "solemn and spacious", "hopeful", "finely detailed")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the stand-in behaves; times in seconds.

    `latency` is how long a picture takes at the least; with `paint_once` all prompts get the same picture, for benchmarks; a `minute`
    may be shorter than a real one, so that a simulation can scale time.
    """

    latency: float = 0
    paint_once: bool = False
    images_per_minute: int = 0
    minute: float = 60
    batch_seconds: float = 0


class StandIn:
    """One account at the stand-in."""

    def __init__(self, options: Options) -> None:
        self.latency, self.ledger, self.faults = options.latency, Ledger(), Faults()
        self._painter = Painter(once=options.paint_once)
        self._window = SlidingWindow(options.images_per_minute, options.minute) if options.images_per_minute else None
        self.files = Files(self.faults)
        self.batches = Batches(self.files, faults=self.faults, ledger=self.ledger, painter=self._painter, seconds=options.batch_seconds)

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body = await request.json()
        if not isinstance(body.get("model"), str) or not body.get("messages"):
            return refusal("Missing required parameter.", "missing_required_parameter", "messages")
        try:
            check_user(body)
        except RefusedError as refused:
            return refusal(str(refused), refused.code, refused.param)
        self.ledger.call(body)
        rule = self.faults.take(request.url.path, json.dumps(body["messages"], ensure_ascii=False))
        text = _written(body["messages"], structured=(body.get("response_format") or {}).get("type") == "json_schema")
        asked = sum(len(str(message.get("content", ""))) for message in body["messages"]) // 4
        written = {
            "id": "chatcmpl-local",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, "refusal": None}}],
            "usage": {"prompt_tokens": asked, "completion_tokens": len(text) // 4, "total_tokens": asked + len(text) // 4},
        }
        if is_done(rule):
            self.ledger.chat += 1
        return await answer(written, rule)

    async def images(self, request: Request) -> Response:
        """POST /v1/images/generations."""
        body = await request.json()
        try:
            check_image(body)
        except RefusedError as refused:
            return refusal(str(refused), refused.code, refused.param)
        self.ledger.call(body)
        wait = self._window.admit() if self._window else 0
        if wait:
            self.ledger.limited += 1
            return _limited(body["model"], wait)
        rule = self.faults.take(request.url.path, body["prompt"])
        if is_replaced(rule):
            if is_done(rule):
                self.ledger.image(body["prompt"])
            return await answer({}, rule)
        await asyncio.sleep(self.latency)
        numbers = [self.ledger.image(body["prompt"]) for _ in range(body.get("n", 1))]
        painted = await asyncio.to_thread(self._painter.answer, body, numbers, created=int(time.time()))
        return await answer(painted, rule)

    async def charged(self, request: Request) -> Response:
        """GET and DELETE /_charged. What was bought is forgotten with its bill: batches and files, too."""
        if request.method == "DELETE":
            self.ledger.clear()
            self.batches.clear()
            self.files.clear()
        self.batches.settle()
        return JSONResponse(self.ledger.to_json())

    async def scripted(self, request: Request) -> Response:
        """GET, POST and DELETE /_faults."""
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            try:
                self.faults.add(await request.json())
            except RuleError as error:
                return PlainTextResponse(str(error), status_code=400)
        return JSONResponse(self.faults.left())


def app(options: Options) -> Starlette:
    """The stand-in as an ASGI app."""
    stand_in = StandIn(options)
    files, batches = stand_in.files, stand_in.batches
    return Starlette(
        routes=[
            Route("/v1/chat/completions", _keyed(stand_in.chat), methods=["POST"]),
            Route("/v1/images/generations", _keyed(stand_in.images), methods=["POST"]),
            Route("/v1/files", _keyed(files.upload), methods=["POST"]),
            Route("/v1/files", _keyed(files.list)),
            Route("/v1/files/{id}", _keyed(files.one), methods=["GET", "DELETE"]),
            Route("/v1/files/{id}/content", _keyed(files.content)),
            Route("/v1/batches", _keyed(batches.create), methods=["POST"]),
            Route("/v1/batches", _keyed(batches.list)),
            Route("/v1/batches/{id}", _keyed(batches.one)),
            Route("/v1/batches/{id}/cancel", _keyed(batches.cancel), methods=["POST"]),
            Route("/oauth/token", exchange, methods=["POST"]),
            Route("/_charged", stand_in.charged, methods=["GET", "DELETE"]),
            Route("/_faults", stand_in.scripted, methods=["GET", "POST", "DELETE"]),
        ]
    )


def _keyed(handler: Any) -> Any:
    async def checked(request: Request) -> Response:
        if not request.headers.get("authorization", "").removeprefix("Bearer").strip():
            return refusal("You didn't provide an API key.", "invalid_api_key", None, status=401)
        response: Response = await handler(request)
        return response

    return checked


def _written(messages: list[dict[str, Any]], *, structured: bool) -> str:
    """A prompt about what the user's message says, made of a few words that fit most things."""
    said = str(messages[-1].get("content", ""))
    rng = random.Random(hashlib.sha256(said.encode()).digest())  # noqa: S311 - words, no secret
    try:
        wanted = json.loads(said)
    except ValueError:
        wanted = {"description": said}
    wanted = wanted if isinstance(wanted, dict) else {"description": said}
    subject = wanted.get("description") or f"a scene that stands for {str(wanted.get('topic', 'the day')).lower()}"
    style = f", in the style of {wanted['style']}" if wanted.get("style") else ""
    prompt = f"{subject[:1].upper()}{subject[1:]}, {rng.choice(VIEW)}, {rng.choice(LIGHT)}, {rng.choice(MOOD)}{style}."
    if not structured:
        return prompt
    title = " ".join(prompt.replace(",", "").split()[:6])
    return json.dumps({"prompt": prompt, "title": title, "alt_text": prompt, "tags": [str(wanted.get("topic", "idea")).lower()]})


def _limited(model: str, wait: float) -> Response:
    message = f"Rate limit reached for {model} on images per min. Please try again in {wait:.3f}s."
    return error(429, "requests", message, "rate_limit_exceeded", None, headers={"Retry-After": str(math.ceil(wait))})


async def _serve(port: int, ready: Path, options: Options) -> None:
    listening = socket.create_server(("127.0.0.1", port))
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.loglevel = "CRITICAL"  # a connection that a test wants cut is no error here
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    # The socket listens already: a client that reads the file now is served as soon as the loop runs.
    new = ready.with_suffix(".new")
    new.write_text(f"http://127.0.0.1:{listening.getsockname()[1]}/v1\n")
    new.replace(ready)
    await serve(app(options), config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--latency", type=float, default=0, help="seconds that a picture takes at the least")
    parser.add_argument("--paint-once", action="store_true", help="give all prompts the same picture, for benchmarks")
    parser.add_argument("--images-per-minute", type=int, default=0, help="further image requests get 429; 0 takes them all")
    parser.add_argument("--minute", type=float, default=60, help="seconds of that minute")
    parser.add_argument("--batch-seconds", type=float, default=0, help="how long a batch takes; 0 ends it at the next look at it")
    given = vars(parser.parse_args())
    asyncio.run(_serve(given.pop("port"), given.pop("ready_file"), Options(**given)))


if __name__ == "__main__":
    main()
