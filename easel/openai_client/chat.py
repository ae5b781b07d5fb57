"""The chat call that writes an image prompt."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import openai
from openai import OpenAI

from easel.contract.errors import ContentRefusedError, TransientError
from easel.openai_client.answers import Answer, read_object
from easel.openai_client.client import Account, seconds_until
from easel.openai_client.errors import may_mean_no_schema


@dataclass(frozen=True, kw_only=True)
class ChatCall:
    """A call of the chat model. `schema` is the shape of the answer."""

    model: str
    system: str
    user: str
    schema: Mapping[str, Any]
    max_tokens: int
    safety_identifier: str | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the call, without the schema."""
        messages = [
            {"role": "system", "content": self.system},
            {"role": "user", "content": self.user},
        ]
        user = {"safety_identifier": self.safety_identifier} if self.safety_identifier else {}
        tokens = {"max_completion_tokens": self.max_tokens}
        return {"model": self.model, "messages": messages} | tokens | user

    def response_format(self) -> Any:
        """Return the schema in the API's format."""
        schema = {"name": "image_prompt", "strict": True, "schema": self.schema}
        return {"type": "json_schema", "json_schema": schema}


@dataclass(frozen=True, kw_only=True)
class ChatAnswer:
    """The text that the chat model wrote, and its raw `usage`."""

    text: str
    usage: dict[str, Any] | None
    request_id: str | None


class ChatModel:
    """The chat models of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def write(self, request: ChatCall, *, timeout: float) -> ChatAnswer:
        """Return one answer, by the schema if the server supports it, or else as free text.

        `timeout` is the limit for the whole call, in seconds.
        """
        doing, end = f"the chat call to {request.model}", time.monotonic() + timeout

        def create(client: OpenAI, **more: Any) -> Answer:
            stream = client.chat.completions.with_streaming_response
            left = seconds_until(end)
            with stream.create(**request.parameters(), **more, timeout=left) as answer:
                return read_object(answer, end=end, doing=doing)

        def call(client: OpenAI) -> Answer:
            try:
                return create(client, response_format=request.response_format())
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not may_mean_no_schema(error):
                    raise
                return create(client)

        answer, request_id = self._account.call_within(call, end=end, doing=doing)
        return _read(answer, request_id, model=request.model)


def _read(answer: Mapping[str, Any], request_id: str | None, *, model: str) -> ChatAnswer:
    failed = f"the chat call to {model}: the answer"
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise TransientError(
            f"{failed} contains no choice (request {request_id})", possibly_paid=True
        )
    advice = "change the topic or the description"
    if message.get("refusal"):
        refused = f"{model} refuses to write this prompt; {advice}"
        raise ContentRefusedError(refused, category="refusal", possibly_paid=True)
    if choice.get("finish_reason") == "content_filter":
        stopped = f"{model}'s content filter stopped the prompt; {advice}"
        raise ContentRefusedError(stopped, category="content_filter", possibly_paid=True)
    text = message.get("content")
    if not isinstance(text, str) or not text.strip():
        raise TransientError(f"{failed} is empty (request {request_id})", possibly_paid=True)
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else None
    return ChatAnswer(text=text, usage=usage, request_id=request_id)
