"""Finds the image prompt in a chat model's answer.

A server with structured output sends the object of prompt_text.SCHEMA. Other servers wrap it in
thoughts, fences, lists, strings or prose, or send the bare prompt. An answer without a prompt is
refused, and nothing that looks like markup or JSON is ever painted.
"""

import ast
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from easel.contract.text import boundary, clean, shorten
from easel.request.models import MAX_WRITTEN_BYTES
from easel.request.prompt_text import MAX_ALT_TEXT, MAX_TAG, MAX_TAGS, MAX_TITLE, PromptTexts
from easel.request.prompt_wrapping import read_prose, unwrap, without_thoughts

MAX_ANSWER = 200_000  # characters; a longer answer contains no single prompt
MAX_DEPTH = 8  # of prompts in objects, in lists, in strings
MAX_STARTS = 50  # places in an answer that are tried as the start of an object
Answer = dict[str, Any]

_JSON = r".*[\"'][\w ]*prompt\\?[\"']\s*:"
_MARKUP = re.compile(rf"\s*(?:[{{}}\[\]<｛｝]|```|~~~)|{_JSON}", re.DOTALL)
# Prose may be cut JSON in quotes, or a part of a page. A prompt inside an object is only a text,
# which may quote whatever the caller wrote.
_MARKUP_IN_PROSE = re.compile(
    rf"[\s\"'(*>•-]*(?:[{{}}\[\]<|｛｝]|```|~~~)|.*(?:</|```|<\||<think)|{_JSON}", re.DOTALL
)
# These are the words of a program that had no prompt, and examples that were copied.
_PLACEHOLDERS = frozenset(
    ("null", "none", "nil", "nan", "true", "false", "undefined", "n/a", "string", "text", "prompt")
)
_ADDRESS = re.compile(r"(?:!?\[[^\]]*\]\()?(?:https?://|data:)\S+$", re.IGNORECASE)
_ERROR = re.compile(r"(?:error|exception|traceback)\b[^\n:]{0,40}:", re.IGNORECASE)
_VERB = (
    r"(?:answer|assist|comply|continue|create|do (?:that|this)|draw|engage|fulfil|generate|help"
    r"|make|process|produce|provide|satisfy|support|write)"
)
# A model that refuses in words, or asks back, has written no prompt.
_REFUSAL = re.compile(
    r"(?:I['’]m|I am|we['’]re|we are)(?: \w+)? (?:sorry|unable|not able)\b|I apologi[sz]e\b"
    r"|(?:(?:sorry|unfortunately|apologies)[^\n]{0,20}?)?\b(?:I|we) "
    r"(?:can(?:not|['’]t| not)|won['’]t|will not|could(?: not|n['’]t)) "
    rf"{_VERB}|as an AI\b|(?:could|can|would) you\b",
    re.IGNORECASE,
)
# Fields of these names hold what the picture must not have, or the words of whoever asked.
_NOT_THE_PROMPT = ("negative", "system", "user", "original", "input", "source", "initial")
_FLAGS = ("no", "is", "has")


def read_answer(text: str, *, cut: bool = False) -> PromptTexts | None:
    """Return the prompt in an answer and its title, alt text and tags, or None if there is none.

    `cut` means that the answer reached the token limit. Then only a complete object is used.
    """
    if len(text) > MAX_ANSWER:
        return None
    text = without_thoughts(text)
    answer = _find_object(text, MAX_DEPTH)
    if answer is None and not cut:
        answer = read_prose(text)
        if answer and not _is_prose(answer["prompt"]):
            return None
    if answer is None:
        return None
    prompt = _limit(clean(unwrap(answer["prompt"])).strip())
    if not _is_prompt(prompt):
        return None
    tags = answer.get("tags")
    words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return PromptTexts(
        prompt=prompt,
        title=shorten(_string(answer.get("title")) or prompt, MAX_TITLE),
        alt_text=shorten(_string(answer.get("alt_text")) or prompt, MAX_ALT_TEXT),
        tags=[shorten(tag, MAX_TAG) for tag in words if clean(tag).strip()][:MAX_TAGS],
    )


def _is_prompt(text: str) -> bool:
    """Return whether a text can be painted: words or emoji, and no markup, address or refusal."""
    has_words = any(c.isalpha() or unicodedata.category(c) == "So" for c in text)
    is_other = _MARKUP.match(text) or _ADDRESS.match(text) or _REFUSAL.match(text)
    return has_words and not is_other and text.lower() not in _PLACEHOLDERS


def _is_prose(text: str) -> bool:
    return not (_MARKUP_IN_PROSE.match(text) or _ERROR.match(text))


def _find_object(text: str, depth: int) -> Answer | None:
    """Return the first object in a text that contains a prompt."""
    values = _values(text) if depth else iter(())
    return next(filter(None, (_find_prompt(value, depth - 1) for value in values)), None)


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON values in a text, and the Python objects, which some models write instead."""
    decoder = json.JSONDecoder(strict=False)  # models write line breaks in strings
    starts = [match.start() for match in islice(re.finditer(r"[{\[]", text), MAX_STARTS)]
    if text.startswith('"'):
        starts = [0, *starts]
    done = 0  # the parts of a value are searched with the value, where their names are known
    for start in starts:
        if start >= done:
            with suppress(ValueError, RecursionError):  # RecursionError: nested too deep
                value, done = decoder.raw_decode(text, start)
                yield value
    end = max(text.rfind("}"), text.rfind("]"))
    if starts and end > starts[0]:
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            yield ast.literal_eval(text[starts[0] : end + 1])


def _find_prompt(value: Any, depth: int) -> Answer | None:
    """Return the object with a usable prompt in a value, with the prompt as `prompt`."""
    if depth < 0:
        return None
    if isinstance(value, str):
        return _find_object(value, depth)
    if isinstance(value, list):
        return next(filter(None, (_find_prompt(item, depth - 1) for item in value)), None)
    if not isinstance(value, dict):
        return None
    for name in sorted(value, key=lambda name: name != "prompt"):
        if _is_prompt_name(name):
            found = _usable(value[name], depth)
            if found:
                return {**value, **found}
    values = (item for name, item in value.items() if not _is_other(_words(name)))
    return next(filter(None, (_find_prompt(item, depth - 1) for item in values)), None)


def _usable(value: Any, depth: int) -> Answer | None:
    """Return the prompt in the value of a field that is called a prompt."""
    if isinstance(value, str) and not _MARKUP.match(unwrap(value)):
        return {"prompt": value} if clean(value).strip() else None
    if isinstance(value, dict):
        words = next((value[name] for name in ("text", "content") if name in value), None)
        return _usable(words, depth - 1) if words else _find_prompt(value, depth - 1)
    if isinstance(value, list):
        return next(filter(None, (_usable(item, depth - 1) for item in value)), None)
    return _find_prompt(value, depth - 1)


def _is_prompt_name(name: object) -> bool:
    """Return whether a field is the prompt, such as `image_prompt`, `imagePrompt` or `prompts`."""
    words = _words(name)
    is_prompt = "".join(words).endswith(("prompt", "prompts", "prompttext"))
    return is_prompt and not _is_other(words) and words[0] not in _FLAGS


def _is_other(words: list[str]) -> bool:
    return bool(words) and words[0].startswith(_NOT_THE_PROMPT)


def _words(name: object) -> list[str]:
    """Return the words of a field's name in lower case."""
    return [word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", str(name)[:100])]


def _limit(text: str) -> str:
    """Cut a prompt to the length that the estimate allows, at a space if there is one."""
    size = len(text.encode(errors="replace"))
    if size <= MAX_WRITTEN_BYTES:
        return text
    cut = text.encode(errors="replace")[:MAX_WRITTEN_BYTES].decode(errors="ignore")
    cut = text[: boundary(text, len(cut))]
    return (cut.rpartition(" ")[0] or cut).rstrip()


def _string(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
