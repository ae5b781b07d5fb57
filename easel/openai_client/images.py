"""OpenAI's chat and image models. The SDK never retries: Step Functions owns that, but for a short wait that OpenAI asks for."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2
import openai
from openai import OpenAI

from functions.adapters.openai_answers import read_object
from functions.adapters.openai_client import Account, Credential, credential
from functions.adapters.openai_errors import may_mean_no_schema, retry_after, translate
from functions.errors import ContentRefusedError, RateLimitedError, RetryableError, TransientError
from functions.models import MAX_CHAT_TOKENS
from functions.settings import settings

MAX_WAITS = 3
# A picture in base64 shrinks by a quarter at most, and to inflate it takes longer than all else that is done with it.
UNCOMPRESSED = {"Accept-Encoding": "identity"}
Answer = tuple[dict[str, Any], str | None]  # its JSON object, and the request id


@dataclass(frozen=True, kw_only=True)
class ChatAnswer:
    """What the chat model wrote, and its `usage` as it came."""

    text: str
    usage: dict[str, Any] | None
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class ImageAnswer:
    """A painted picture, still in base64 as it came, and its `usage`."""

    base64: str
    usage: dict[str, Any] | None
    request_id: str | None


class OpenAIApi:
    """One account at one base URL."""

    def __init__(self, credential: Credential, *, base_url: str | None) -> None:
        self._account = Account(credential, base_url=base_url)

    def chat(
        self, *, model: str, system: str, user: str, schema: Mapping[str, Any], timeout: float, safety_identifier: str | None = None
    ) -> ChatAnswer:
        """One answer, by `schema` where the server can do that, else as it writes. `timeout` in seconds, for all of it."""
        doing, end = f"the chat call to {model}", time.monotonic() + timeout
        ask: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "max_completion_tokens": MAX_CHAT_TOKENS,
        }
        if safety_identifier:
            ask["safety_identifier"] = safety_identifier
        structured = {"type": "json_schema", "json_schema": {"name": "image_prompt", "strict": True, "schema": schema}}

        def create(client: OpenAI, **more: Any) -> Answer:
            with client.chat.completions.with_streaming_response.create(**ask, **more, timeout=_left(end)) as answer:
                return read_object(answer, end=end, doing=doing)

        def call(client: OpenAI) -> Answer:
            try:
                return create(client, response_format=structured)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not may_mean_no_schema(error):
                    raise
                return create(client)

        answer, request_id = self._called(call, end=end, doing=doing)
        return _chat_answer(answer, request_id, model=model)

    def image(self, *, timeout: float, slow_down: Callable[[float | None], None], **parameters: Any) -> ImageAnswer:
        """Paint one picture: this call costs money. `timeout` in seconds, for all of it.

        `slow_down` is told each time that OpenAI refuses the call for its pace, with the seconds that it asks to wait, if it does.
        An error says by `possibly_paid` whether OpenAI may have charged for it.
        """
        doing, end = f"the image call to {parameters['model']}", time.monotonic() + timeout

        def call(client: OpenAI) -> Answer:
            with client.images.with_streaming_response.generate(
                n=1, timeout=_left(end), extra_headers=UNCOMPRESSED, **parameters
            ) as answer:
                return read_object(answer, end=end, doing=doing)

        answer, request_id = self._called(call, end=end, doing=doing, slow_down=slow_down)
        pictures = answer.get("data")
        first = pictures[0] if isinstance(pictures, list) and pictures else None
        encoded = first.get("b64_json") if isinstance(first, dict) else None
        if not isinstance(encoded, str) or not encoded:
            # A URL in its place is not followed: the models of today always send the bytes.
            raise TransientError(f"{doing}: the answer has no picture (request {request_id})", possibly_paid=True)
        usage = answer.get("usage")
        return ImageAnswer(base64=encoded, usage=usage if isinstance(usage, dict) else None, request_id=request_id)

    def _called(
        self, call: Callable[[OpenAI], Answer], *, end: float, doing: str, slow_down: Callable[[float | None], None] | None = None
    ) -> Answer:
        """Call; where OpenAI asks to wait and was not paid, wait if half of the time stays for the call, and call again."""
        half, waits = (end - time.monotonic()) / 2, 0
        while True:
            try:
                return self._account.call(call)
            except (openai.OpenAIError, httpx2.HTTPError) as error:
                translated, wait = translate(error, doing), retry_after(error)
                if slow_down and isinstance(translated, RateLimitedError):
                    slow_down(wait)
                unpaid = isinstance(translated, RetryableError) and not translated.possibly_paid
                if waits == MAX_WAITS or not unpaid or wait is None or wait > end - time.monotonic() - half:
                    raise translated from error
                waits += 1
                time.sleep(wait)


def _left(end: float) -> float:
    return max(1.0, end - time.monotonic())


def _chat_answer(answer: Mapping[str, Any], request_id: str | None, *, model: str) -> ChatAnswer:
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise TransientError(f"the chat call to {model}: the answer has no choice (request {request_id})", possibly_paid=True)
    if message.get("refusal"):
        raise ContentRefusedError(
            f"{model} refuses to write this prompt; change topic or description", category="refusal", possibly_paid=True
        )
    if choice.get("finish_reason") == "content_filter":
        said = f"{model}'s content filter stopped the prompt; change topic or description"
        raise ContentRefusedError(said, category="content_filter", possibly_paid=True)
    text = message.get("content")
    if not isinstance(text, str) or not text.strip():
        raise TransientError(f"the chat call to {model}: the answer is empty (request {request_id})", possibly_paid=True)
    usage = answer.get("usage")
    return ChatAnswer(text=text, usage=usage if isinstance(usage, dict) else None, request_id=request_id)


@cache
def api() -> OpenAIApi:
    """This stack's OpenAI account."""
    return OpenAIApi(credential(), base_url=settings().openai_base_url)
