"""Finds the image prompt in a chat model's answer.

A server with structured output sends the object of prompt_text.SCHEMA. Other servers wrap it in
thoughts, fences, lists, strings or prose, or send the bare prompt. An answer without a prompt is
refused, and nothing that looks like markup or JSON is ever painted.
"""

import ast
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from easel.contract.text import boundary, clean, shorten
from easel.request.models import MAX_WRITTEN_BYTES
from easel.request.prompt_text import MAX_ALT_TEXT, MAX_TAG, MAX_TAGS, MAX_TITLE, PromptTexts

MAX_ANSWER = 200_000  # characters; a longer answer contains no single prompt
MAX_DEPTH = 4  # of prompts in objects, in lists, in strings
MAX_STARTS = 50  # places in an answer that are tried as the start of an object
Answer = dict[str, Any]

_THOUGHT = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reasoning|analysis|reflection|scratchpad)"
_THOUGHTS = re.compile(
    rf"<({_THOUGHT})>.*?</\1>|\[(THINK)\].*?\[/THINK\]|◁think▷.*?◁/think▷",
    re.DOTALL | re.IGNORECASE,
)
# Some servers remove the opening tag, because it is a part of the question.
_END_OF_THOUGHTS = re.compile(rf"</{_THOUGHT}>|\[/THINK\]|◁/think▷", re.IGNORECASE)
# This is the format of gpt-oss: https://developers.openai.com/cookbook/articles/openai-harmony
LAST_MESSAGE = "<|message|>"
_CONTROL_TOKEN = re.compile(r"<\|[^|>]{1,40}\|>.*", re.DOTALL)
_FENCED = re.compile(r"(```+|~~~+)(?:[ \t]*\w*[ \t]*\n)?(.*?)\1", re.DOTALL)
_ELEMENT = re.compile(r"<(\w*prompt)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(
    r"^[#*_\s>-]*((?:image |final )?prompt|title|alt(?:ernative)?[ _-]?text|tags|negative prompt"
    r"|style|notes?)[*_ ]*:[*_]*[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_INTRODUCTION = re.compile(
    r"(?:(?:sure|certainly|of course|absolutely|okay|ok|great)\b[^\n:]{0,40}[!,.]\s*)?"
    r"(?:here(?:'s|’s| is| are)|this is|below is)\b[^\n:]{0,100}:\s*",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\s*\d{1,2}[.)]\s+", re.MULTILINE)
_BULLET = re.compile(r"^\s*[-*•]\s+", re.MULTILINE)
_JSON = r".*[\"'][\w ]*prompt\\?[\"']\s*:"
_MARKUP = re.compile(rf"\s*(?:[{{}}\[\]<]|```|~~~)|{_JSON}", re.DOTALL)
# Prose may be cut JSON in quotes, or a part of a page. A prompt inside an object is only a text,
# which may quote whatever the caller wrote.
_MARKUP_IN_PROSE = re.compile(
    rf"[\s\"']*(?:[{{}}\[\]<]|```|~~~)|.*(?:</|```|<\|)|{_JSON}", re.DOTALL
)
_QUOTES = (
    ('"', '"'),
    ("'", "'"),
    ("“", "”"),
    ("„", "“"),
    ("«", "»"),
    ("**", "**"),
    ("*", "*"),
    ("__", "__"),
)


def read_answer(text: str, *, cut: bool = False) -> PromptTexts | None:
    """Return the prompt in an answer and its title, alt text and tags, or None if there is none.

    `cut` means that the answer reached the token limit. Then only a complete object is used.
    """
    if len(text) > MAX_ANSWER:
        return None
    text = _without_thoughts(text)
    answer = _find_object(text, MAX_DEPTH)
    if answer is None and not cut:
        answer = _read_prose(text)
    if answer is None:
        return None
    prompt = _limit(clean(_unquote(answer["prompt"])).strip())
    if not prompt or _MARKUP.match(prompt):
        return None
    tags = answer.get("tags")
    words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return PromptTexts(
        prompt=prompt,
        title=shorten(_string(answer.get("title")) or prompt, MAX_TITLE),
        alt_text=shorten(_string(answer.get("alt_text")) or prompt, MAX_ALT_TEXT),
        tags=[shorten(tag, MAX_TAG) for tag in words if clean(tag).strip()][:MAX_TAGS],
    )


def _without_thoughts(text: str) -> str:
    # Without an end, each beginning would be searched to the end of the text.
    if _END_OF_THOUGHTS.search(text):
        *_, text = _END_OF_THOUGHTS.split(_THOUGHTS.sub(" ", text))
    return _CONTROL_TOKEN.sub("", text.rpartition(LAST_MESSAGE)[2]).strip()


def _find_object(text: str, depth: int) -> Answer | None:
    """Return the first object in a text that contains a prompt."""
    values = _values(text) if depth else iter(())
    return next(filter(None, (_find_prompt(value, depth - 1) for value in values)), None)


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON values in a text, and the Python objects, which some models write instead."""
    decoder = json.JSONDecoder(strict=False)  # models write line breaks inside of strings
    starts = [match.start() for match in islice(re.finditer(r"[{\[]", text), MAX_STARTS)]
    if text.startswith('"'):
        starts = [0, *starts]
    for start in starts:
        with suppress(ValueError, RecursionError):  # RecursionError: nested too deep
            yield decoder.raw_decode(text, start)[0]
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
    return next(filter(None, (_find_prompt(item, depth - 1) for item in value.values())), None)


def _usable(value: Any, depth: int) -> Answer | None:
    """Return the prompt in the value of a field that is called a prompt."""
    if isinstance(value, str) and not _MARKUP.match(value):
        return {"prompt": value} if clean(value).strip() else None
    if isinstance(value, dict):
        words = next((value[name] for name in ("text", "content") if name in value), None)
        return _usable(words, depth - 1) if words else _find_prompt(value, depth - 1)
    if isinstance(value, list):
        return next(filter(None, (_usable(item, depth - 1) for item in value)), None)
    return _find_prompt(value, depth - 1)


def _is_prompt_name(name: object) -> bool:
    """Return whether a field is the prompt, such as `image_prompt` or `imagePrompt`."""
    words = re.sub(r"[^a-z]", "", str(name).lower())
    return words.endswith("prompt") and not words.startswith(("negative", "system", "user"))


def _read_prose(text: str) -> Answer | None:
    """Return the prompt of an answer without an object, or None if it looks like markup."""
    # Without an end, each beginning would be searched to the end of the text.
    for pattern in (_ELEMENT, _FENCED) if "</" in text else (_FENCED,):
        wrapped = pattern.search(text)
        text = wrapped[2].strip() if wrapped else text
    text = _INTRODUCTION.sub("", text, count=1) if _INTRODUCTION.match(text) else text
    answer = _read_labels(text)
    answer["prompt"] = _first_item(answer.get("prompt", text).strip())
    return None if _MARKUP_IN_PROSE.match(answer["prompt"]) else answer


def _read_labels(text: str) -> Answer:
    """Return the parts of an answer with lines such as `**Prompt:** A kite`."""
    labels = list(_LABEL.finditer(text))
    ends = [*(label.start() for label in labels), len(text)][1:]
    parts: Answer = {}
    for label, end in zip(labels, ends, strict=True):
        name = re.sub("[ _-]", "", label[1].lower())
        name = {"alttext": "alt_text", "alternativetext": "alt_text"}.get(name, name)
        name = "prompt" if name in ("imageprompt", "finalprompt") else name
        parts.setdefault(name, text[label.end() : end].strip())
    if "prompt" not in parts:
        return {}
    if "tags" in parts:
        parts["tags"] = [tag.strip(" #") for tag in re.split(r"[,\n]", parts["tags"])]
    return parts


def _first_item(text: str) -> str:
    """Return the first of several numbered prompts, or a bulleted text without its bullets."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(map(_NUMBERED.match, lines)):
        return _NUMBERED.sub("", lines[0])
    if len(lines) > 1 and all(map(_BULLET.match, lines)):
        return " ".join(_BULLET.sub("", line).strip() for line in lines)
    return text


def _unquote(text: str) -> str:
    """Remove the quotes or the emphasis around a whole text."""
    text = text.strip()
    for left, right in _QUOTES:
        inside = text[len(left) : -len(right)]
        if text == left + inside + right:
            return _unquote(inside) if inside else ""
    return text


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
