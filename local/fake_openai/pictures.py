"""The body of an answer with pictures, for a call of its own as for a line of a batch's result."""

import base64
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from local.fake_openai.requests import check_image, output_tokens
from local.fake_openai.painting import paint


class Painter:
    """Paints what a good request asks for; with `once` all prompts get the same picture, for benchmarks."""

    def __init__(self, *, once: bool = False) -> None:
        self._once = once
        self._encoded: Callable[..., bytes] = cache(_encoded) if once else _encoded

    def answer(self, body: Mapping[str, Any], numbers: Sequence[int], *, created: int) -> dict[str, Any]:
        """One picture for each number, for `openai_answers.written`.

        The same words and number give the same picture, and another number another one.
        """
        width, height = check_image(body)
        made = {"output_format": body.get("output_format", "png"), "background": body.get("background", "auto")}
        look = {"width": width, "height": height, "compression": body.get("output_compression", 90), **made}
        words = ["the same for all" if self._once else f"{body['prompt']}#{number}" for number in numbers]
        return {
            "created": created,
            "data": [{"b64_json": self._encoded(one, **look)} for one in words],
            "size": f"{width}x{height}",
            "quality": body.get("quality", "high"),
            **made,
            "usage": usage(body, len(numbers)),
        }


def usage(body: Mapping[str, Any], pictures: int) -> dict[str, Any]:
    """The tokens of a good request."""
    text, drawn = len(body["prompt"]) // 4, pictures * output_tokens(body.get("quality", "auto"), *check_image(body))
    details = {"text_tokens": text, "image_tokens": 0}
    return {"input_tokens": text, "input_tokens_details": details, "output_tokens": drawn, "total_tokens": text + drawn}


def _encoded(words: str, **look: Any) -> bytes:
    return base64.b64encode(paint(words, **look))
