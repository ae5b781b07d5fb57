"""The chat call that writes an image prompt."""

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openai import OpenAI

from easel.contract.errors import ContentRefusedError, TransientError
from easel.openai_client.answers import Answer, read_object
from easel.openai_client.client import Account, seconds_until
from easel.openai_client.errors import translate_answer

# The words for an answer that reached the token limit, of OpenAI and of gateways to other models,
# without punctuation.
CUT = frozenset(
    {
        "length",
        "maxtokens",
        "maxoutputtokens",
        "maxnewtokens",
        "maxlength",
        "modellength",
        "tokenlimit",
        "incomplete",
    }
)
TEXT_PARTS = ("text", "output_text")  # other parts are the model's thoughts
REFUSED = frozenset(
    {
        "contentfilter",
        "contentfiltered",
        "safety",
        "refusal",
        "prohibitedcontent",
        "blocklist",
        "guardrailintervened",
        "sensitive",
        "spii",
    }
)


@dataclass(frozen=True, kw_only=True)
class ChatCall:
    """A call of the chat model. `schema` is the shape of the answer.

    `max_tokens` bounds the answer including hidden reasoning. `effort` bounds the reasoning, and is
    None for a model that does not reason. `images` are thumbnails in WebP.
    """

    model: str
    system: str
    user: str
    schema: Mapping[str, Any]
    max_tokens: int
    effort: str | None = None
    safety_identifier: str | None = None
    images: tuple[bytes, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the call."""
        schema = {"name": "image_prompt", "strict": True, "schema": self.schema}
        parameters = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": self.system},
                {"role": "user", "content": self._content()},
            ],
            "max_completion_tokens": self.max_tokens,
            "response_format": {"type": "json_schema", "json_schema": schema},
            "reasoning_effort": self.effort,
            "safety_identifier": self.safety_identifier,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def _content(self) -> str | list[dict[str, Any]]:
        if not self.images:
            return self.user
        urls = (f"data:image/webp;base64,{b64encode(image).decode()}" for image in self.images)
        return [
            {"type": "text", "text": self.user},
            *({"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in urls),
        ]


@dataclass(frozen=True, kw_only=True)
class ChatAnswer:
    """The text that the chat model wrote, and its raw `usage`.

    `cut` means that the answer reached the token limit. Then its text may be empty, because the
    reasoning took all tokens.
    """

    text: str
    usage: dict[str, Any] | None
    request_id: str | None
    cut: bool = False


class ChatModel:
    """The chat models of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def write(self, request: ChatCall, *, timeout: float) -> ChatAnswer:
        """Return one answer, by the schema if the server supports it, or else as free text.

        `timeout` is the limit for the whole call, in seconds.
        """
        doing, end = f"the chat call to {request.model}", time.monotonic() + timeout
        parameters = request.parameters()

        def call(client: OpenAI) -> Answer:
            def send(accepted: dict[str, Any]) -> Answer:
                stream = client.chat.completions.with_streaming_response
                with stream.create(**accepted, timeout=seconds_until(end)) as answer:
                    return read_object(answer, end=end, doing=doing)

            return self._account.accepted.call(parameters, send, guess=True)

        answer, request_id = self._account.call_within(
            call, end=end, doing=doing, parameters=parameters
        )
        return _read(answer, request_id, doing=doing, model=request.model)


def _read(
    answer: Mapping[str, Any], request_id: str | None, *, doing: str, model: str
) -> ChatAnswer:
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict) or choice.get("error"):
        failure = translate_answer(answer, doing)
        raise failure or TransientError(
            f"{doing}: the answer contains no choice (request {request_id})", possibly_paid=True
        )
    advice = "change the topic or the description"
    content = message.get("content")
    if message.get("refusal") or "refusal" in _kinds(content):
        refused = f"{model} refuses to write this prompt; {advice}"
        raise ContentRefusedError(refused, category="refusal", possibly_paid=True)
    ends = _ends(choice)
    if ends & REFUSED:
        stopped = f"{model}'s content filter stopped the prompt; {advice}"
        raise ContentRefusedError(stopped, category="content_filter", possibly_paid=True)
    usage = answer.get("usage")
    return ChatAnswer(
        text=_text(content) or _text_elsewhere(message),
        usage=usage if isinstance(usage, dict) else None,
        request_id=request_id,
        cut=bool(ends & CUT),
    )


def _ends(choice: Mapping[str, Any]) -> set[str]:
    """Return why an answer ended, in the words of the gateway and of the model behind it."""
    details = choice.get("finish_details")
    inner = details.get("type") if isinstance(details, dict) else None
    words = (choice.get("finish_reason"), choice.get("native_finish_reason"), inner)
    return {re.sub("[^a-z]", "", word.lower()) for word in words if isinstance(word, str)}


def _text(content: object) -> str:
    """Return the text of an answer, which some servers send as parts or as a parsed object."""
    if isinstance(content, list):
        return "".join(map(_text, content))
    if not isinstance(content, dict):
        return content if isinstance(content, str) else ""
    kind = content.get("type")
    if kind is None or str(kind).lower() in TEXT_PARTS:
        if "text" in content:
            return _text(content["text"])
        if "value" in content:
            return _text(content["value"])
        return "" if kind else json.dumps(content, ensure_ascii=False)
    return ""


def _text_elsewhere(message: Mapping[str, Any]) -> str:
    """Return the object that a server sends in another field, although it was asked for content.

    Some gateways ask for the object by a tool call, because the model behind them lacks schemas.
    """
    parsed, calls = message.get("parsed"), message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else None
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    return _text(parsed) or _text(arguments)


def _kinds(content: object) -> list[Any]:
    """Return the types of an answer's parts."""
    parts = content if isinstance(content, list) else []
    return [part.get("type") for part in parts if isinstance(part, dict)]
