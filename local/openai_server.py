"""A stand-in for OpenAI's API on loopback: it writes prompts, paints real pictures, bills tokens, and fails when a test says so.

`python -m local.openai_server --port 0 --ready-file FILE` writes its base URL into FILE once it listens.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.openai_faults import Faults, Rule, RuleError
from local.openai_requests import RefusedError, check_image, output_tokens
from local.painting import paint

LIGHT = ("soft morning light", "low golden sun", "cool overcast light", "warm lamplight", "a bright noon sky", "blue dusk")
VIEW = ("a wide view", "a close-up", "seen from above", "framed by a doorway", "at eye level", "a long perspective")
MOOD = ("calm and clear", "full of quiet energy", "playful", "solemn and spacious", "hopeful", "finely detailed")


@dataclass
class Ledger:
    """What was charged: chat calls, pictures, and pictures by prompt."""

    chat: int = 0
    images: int = 0
    images_by_prompt: Counter[str] = field(default_factory=Counter)

    def image(self, prompt: str) -> int:
        """Charge one picture; gives how many of this prompt that makes."""
        short = hashlib.sha256(prompt.encode()).hexdigest()[:16]
        self.images += 1
        self.images_by_prompt[short] += 1
        return self.images_by_prompt[short]


class StandIn:
    """One account at the stand-in.

    `latency` in seconds is how long a picture takes at the least; with `paint_once` all prompts get the same picture, for benchmarks.
    """

    def __init__(self, *, latency: float = 0, paint_once: bool = False) -> None:
        self.latency, self.ledger, self.faults = latency, Ledger(), Faults()
        self._paint_once = paint_once
        self._paint: Callable[..., bytes] = cache(paint) if paint_once else paint

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body = await request.json()
        if not isinstance(body.get("model"), str) or not body.get("messages"):
            return _error(400, "invalid_request_error", "Missing required parameter.", "missing_required_parameter", "messages")
        rule = self.faults.take(request.url.path, json.dumps(body["messages"], ensure_ascii=False))
        text = _written(body["messages"], structured=(body.get("response_format") or {}).get("type") == "json_schema")
        asked = sum(len(str(message.get("content", ""))) for message in body["messages"]) // 4
        answer = {
            "id": "chatcmpl-local",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, "refusal": None}}],
            "usage": {"prompt_tokens": asked, "completion_tokens": len(text) // 4, "total_tokens": asked + len(text) // 4},
        }
        if _is_charged(rule):
            self.ledger.chat += 1
        return await _answer(answer, rule)

    async def images(self, request: Request) -> Response:
        """POST /v1/images/generations."""
        body = await request.json()
        try:
            width, height = check_image(body)
        except RefusedError as refused:
            return _error(400, "invalid_request_error", str(refused), refused.code, refused.param)
        rule = self.faults.take(request.url.path, body["prompt"])
        if rule and (rule.status or rule.answer is not None):
            if rule.charged:
                self.ledger.image(body["prompt"])
            return await _answer({}, rule)
        await asyncio.sleep(self.latency)
        made = {"output_format": body.get("output_format", "png"), "background": body.get("background", "auto")}
        pictures = []
        for _ in range(body.get("n", 1)):
            # The same words again give another picture, as they do at the real one: each is seeded by its number.
            words = f"{body['prompt']}#{self.ledger.image(body['prompt'])}"
            words = "the same for all" if self._paint_once else words
            compression = body.get("output_compression", 90)
            pictures.append(await asyncio.to_thread(self._paint, words, width=width, height=height, compression=compression, **made))
        text, tokens = len(body["prompt"]) // 4, len(pictures) * output_tokens(body.get("quality", "auto"), width, height)
        answer = {
            "created": int(time.time()),
            "data": [{"b64_json": base64.b64encode(picture).decode()} for picture in pictures],
            "size": f"{width}x{height}",
            "quality": body.get("quality", "high"),
            **made,
            "usage": {
                "input_tokens": text,
                "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
                "output_tokens": tokens,
                "total_tokens": text + tokens,
            },
        }
        return await _answer(answer, rule)

    async def charged(self, request: Request) -> Response:
        """GET and DELETE /_charged."""
        if request.method == "DELETE":
            self.ledger = Ledger()
        ledger = self.ledger
        return JSONResponse({"chat": ledger.chat, "images": ledger.images, "images_by_prompt": dict(ledger.images_by_prompt)})

    async def scripted(self, request: Request) -> Response:
        """GET, POST and DELETE /_faults."""
        if request.method == "DELETE":
            self.faults = Faults()
        elif request.method == "POST":
            try:
                self.faults.add(await request.json())
            except RuleError as error:
                return PlainTextResponse(str(error), status_code=400)
        return JSONResponse(self.faults.left())


def app(*, latency: float = 0, paint_once: bool = False) -> Starlette:
    """The stand-in as an ASGI app."""
    stand_in = StandIn(latency=latency, paint_once=paint_once)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", _keyed(stand_in.chat), methods=["POST"]),
            Route("/v1/images/generations", _keyed(stand_in.images), methods=["POST"]),
            Route("/_charged", stand_in.charged, methods=["GET", "DELETE"]),
            Route("/_faults", stand_in.scripted, methods=["GET", "POST", "DELETE"]),
        ]
    )


def _keyed(handler: Any) -> Any:
    async def checked(request: Request) -> Response:
        if not request.headers.get("authorization", "").removeprefix("Bearer").strip():
            return _error(401, "invalid_request_error", "You didn't provide an API key.", "invalid_api_key", None)
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


def _is_charged(rule: Rule | None) -> bool:
    return rule is None or rule.charged or not (rule.status or rule.answer is not None)


async def _answer(true: dict[str, Any], rule: Rule | None) -> Response:
    headers = {"x-request-id": f"req_{random.getrandbits(48):012x}"}
    if rule is None:
        return JSONResponse(true, headers=headers)
    if rule.delay is not None:
        await asyncio.sleep(rule.delay)
        return JSONResponse(true, headers=headers)
    if rule.cut:
        return CutResponse(json.dumps(true).encode(), headers=headers)
    said = rule.body if rule.status else rule.answer
    headers |= dict(rule.headers or {})
    if isinstance(said, str):
        return PlainTextResponse(said, status_code=rule.status or 200, headers=headers, media_type="application/json")
    return JSONResponse(said, status_code=rule.status or 200, headers=headers)


class CutResponse(Response):
    """Promises a whole body, sends half of it, and hangs up."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send half."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body[: len(self.body) // 2]), "more_body": True})
        raise ConnectionAbortedError("cut as a test wants it")


def _error(status: int, kind: str, message: str, code: str, param: str | None) -> Response:
    return JSONResponse({"error": {"message": message, "type": kind, "param": param, "code": code}}, status_code=status)


async def _serve(port: int, ready: Path, **options: Any) -> None:
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
    await serve(app(**options), config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--latency", type=float, default=0, help="seconds that a picture takes at the least")
    parser.add_argument("--paint-once", action="store_true", help="give all prompts the same picture, for benchmarks")
    given = parser.parse_args()
    asyncio.run(_serve(given.port, given.ready_file, latency=given.latency, paint_once=given.paint_once))


if __name__ == "__main__":
    main()
