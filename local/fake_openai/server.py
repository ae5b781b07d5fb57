"""The fake OpenAI's routes, including chat completions, image generations and edits."""

import asyncio
import hashlib
import json
import math
import random
import textwrap
import time
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.fake_openai import edits
from local.fake_openai.account import Ledger, SlidingWindow
from local.fake_openai.batches import Batches
from local.fake_openai.faults import Faults, RuleError
from local.fake_openai.files import Files
from local.fake_openai.painting import ImageRequest, Painter
from local.fake_openai.requests import (
    EDITS,
    GENERATIONS,
    RefusedError,
    check_image,
    check_user,
)
from local.fake_openai.responses import ApiError, answer, is_done, is_replaced, refusal
from local.fake_openai.token_exchange import exchange

IMAGE_TOKENS = 100  # of an image in a chat message: a thumbnail has 10 x 10 patches
LIGHT = (
    "soft morning light",
    "low golden sun",
    "cool overcast light",
    "warm lamplight",
    "a bright noon sky",
    "blue dusk",
)
VIEW = (
    "a wide view",
    "a close-up",
    "seen from above",
    "framed by a doorway",
    "at eye level",
    "a long perspective",
)
MOOD = (
    "calm and clear",
    "full of quiet energy",
    "playful",
    "solemn and spacious",
    "hopeful",
    "finely detailed",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The server's options. Times are in seconds.

    `latency` is the least time that an image takes. With `paint_once` every prompt gets the same
    image, for benchmarks. A `minute` may be shorter than a real one, so that a simulation can scale
    time.
    """

    latency: float = 0
    paint_once: bool = False
    images_per_minute: int = 0
    minute: float = 60
    batch_seconds: float = 0


class FakeOpenAI:
    """The server with its one account."""

    def __init__(self, options: Options) -> None:
        self.latency, self.ledger, self.faults = options.latency, Ledger(), Faults()
        self._painter = Painter(once=options.paint_once)
        limit = options.images_per_minute
        self._window = SlidingWindow(limit, options.minute) if limit else None
        self.files = Files(self.faults)
        self.batches = Batches(
            self.files,
            faults=self.faults,
            ledger=self.ledger,
            painter=self._painter,
            seconds=options.batch_seconds,
        )

    async def chat(self, request: Request) -> Response:
        """Answer POST /v1/chat/completions."""
        body = await request.json()
        messages = body.get("messages")
        if not isinstance(body.get("model"), str) or not messages:
            message = "Missing required parameter."
            return refusal(message, "missing_required_parameter", "messages")
        try:
            check_user(body)
        except RefusedError as refused:
            return ApiError.of(refused).response(400)
        self.ledger.call(body)
        rule = self.faults.take(request.url.path, json.dumps(messages, ensure_ascii=False))
        structured = (body.get("response_format") or {}).get("type") == "json_schema"
        text = _write_prompt(messages, structured=structured)
        if is_done(rule):
            self.ledger.chat += 1
        return await answer(_completion(body, text), rule)

    async def generate(self, request: Request) -> Response:
        """Answer POST /v1/images/generations."""
        body = await request.json()
        try:
            check_image(body)
        except RefusedError as refused:
            return ApiError.of(refused).response(400)
        return await self._paint(GENERATIONS, ImageRequest(parameters=body))

    async def edit(self, request: Request) -> Response:
        """Answer POST /v1/images/edits."""
        try:
            edit = await edits.receive(request, self.files)
        except RefusedError as refused:
            return ApiError.of(refused).response(400)
        return await self._paint(EDITS, edit)

    async def _paint(self, path: str, request: ImageRequest) -> Response:
        parameters = request.parameters
        self.ledger.call(parameters, request.inputs)
        wait = self._window.admit() if self._window else 0
        if wait:
            self.ledger.limited += 1
            return _rate_limit_error(parameters["model"], wait)
        prompt = parameters["prompt"]
        rule = self.faults.take(path, prompt)
        if is_replaced(rule):
            if is_done(rule):
                self.ledger.image(prompt)
            return await answer({}, rule)
        await asyncio.sleep(self.latency)
        numbers = [self.ledger.image(prompt) for _ in range(parameters.get("n", 1))]
        now = int(time.time())
        body = await asyncio.to_thread(self._painter.body, request, numbers, created=now)
        return await answer(body, rule)

    async def charges(self, request: Request) -> Response:
        """Answer GET and DELETE /_charged. DELETE also deletes batches and files."""
        if request.method == "DELETE":
            await self.batches.clear()
            self.ledger.clear()
            self.files.clear()
        await self.batches.settle()
        return JSONResponse(self.ledger.to_json())

    async def fault_rules(self, request: Request) -> Response:
        """Answer GET, POST and DELETE /_faults."""
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            try:
                self.faults.add(await request.json())
            except RuleError as error:
                return PlainTextResponse(str(error), status_code=400)
        return JSONResponse(self.faults.left())


def app(options: Options) -> Starlette:
    """Return the server as an ASGI app."""
    fake = FakeOpenAI(options)
    files, batches = fake.files, fake.batches
    return Starlette(
        routes=[
            Route("/v1/chat/completions", _with_key(fake.chat), methods=["POST"]),
            Route(GENERATIONS, _with_key(fake.generate), methods=["POST"]),
            Route(EDITS, _with_key(fake.edit), methods=["POST"]),
            Route("/v1/files", _with_key(files.upload), methods=["POST"]),
            Route("/v1/files", _with_key(files.list)),
            Route("/v1/files/{id}", _with_key(files.show_or_delete), methods=["GET", "DELETE"]),
            Route("/v1/files/{id}/content", _with_key(files.content)),
            Route("/v1/batches", _with_key(batches.create), methods=["POST"]),
            Route("/v1/batches", _with_key(batches.list)),
            Route("/v1/batches/{id}", _with_key(batches.show)),
            Route("/v1/batches/{id}/cancel", _with_key(batches.cancel), methods=["POST"]),
            Route("/oauth/token", exchange, methods=["POST"]),
            Route("/_charged", fake.charges, methods=["GET", "DELETE"]),
            Route("/_faults", fake.fault_rules, methods=["GET", "POST", "DELETE"]),
        ]
    )


def _with_key(handler: Any) -> Any:
    """Refuse requests without an API key. Any key is accepted."""

    async def handle(request: Request) -> Response:
        if not request.headers.get("authorization", "").removeprefix("Bearer").strip():
            message = "You didn't provide an API key."
            return refusal(message, "invalid_api_key", None, status=401)
        response: Response = await handler(request)
        return response

    return handle


def _completion(body: dict[str, Any], text: str) -> dict[str, Any]:
    contents = [_texts_and_images(message) for message in body["messages"]]
    prompt_tokens = sum(len(text) // 4 + images * IMAGE_TOKENS for text, images in contents)
    completion_tokens = len(text) // 4
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-local",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _texts_and_images(message: dict[str, Any]) -> tuple[str, int]:
    """Return the text of a message, and the number of its images."""
    content = message.get("content", "")
    if not isinstance(content, list):
        return str(content), 0
    texts = [str(part.get("text", "")) for part in content if part.get("type") == "text"]
    return "".join(texts), len(content) - len(texts)


def _write_prompt(messages: list[dict[str, Any]], *, structured: bool) -> str:
    """Return a prompt about the user's message, with a few words that fit most subjects."""
    content, _ = _texts_and_images(messages[-1])
    rng = random.Random(hashlib.sha256(content.encode()).digest())  # noqa: S311  not a secret
    try:
        order = json.loads(content)
    except ValueError:
        order = None
    if not isinstance(order, dict):
        order = {"description": content}
    topic = str(order.get("topic", "the day")).lower()
    subject = order.get("description") or f"a scene that stands for {topic}"
    details = ", ".join((rng.choice(VIEW), rng.choice(LIGHT), rng.choice(MOOD)))
    style = f", in the style of {order['style']}" if order.get("style") else ""
    prompt = f"{subject[:1].upper()}{subject[1:]}, {details}{style}."
    if not structured:
        return prompt
    # A title that ends inside a clause would look like a mistake of Easel.
    title = textwrap.shorten(prompt.partition(",")[0], 60, placeholder=" …")
    tags = [str(order.get("topic", "idea")).lower()]
    return json.dumps({"prompt": prompt, "title": title, "alt_text": prompt, "tags": tags})


def _rate_limit_error(model: str, wait: float) -> Response:
    message = f"Rate limit reached for {model} on images per min. Please try again in {wait:.3f}s."
    error = ApiError(message=message, code="rate_limit_exceeded", kind="requests")
    return error.response(429, {"Retry-After": str(math.ceil(wait))})
