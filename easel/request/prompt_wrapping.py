"""Removes what servers and models put around a prompt: thoughts, fences, labels and small talk.

Answers may be hostile, so every search takes time that grows with the length of the text only.
"""

import html
import re
from typing import Any

MAX_QUOTES = 5  # layers of quotes and emphasis around a prompt

_THOUGHT = (
    r"(?:\w{1,20}:)?(?:think\w{0,80}|thoughts?|reason(?:ing)?|rationale|analysis|reflection|plan"
    r"|planning|scratchpad|(?:inner|internal)_monologue|chain_of_thought)"
)
# Some servers remove the opening tag, because it is a part of the question.
_THOUGHT_TAG = re.compile(
    rf"<(?P<a>/?){_THOUGHT}(?:\s[^<>]{{0,100}})?>|\[(?P<b>/?)THINK\]|◁(?P<c>/?)think▷"
    r"|<\|(?P<d>/|end_of_)?(?:begin_of_)?(?:think|thinking|thought)\|>",
    re.IGNORECASE,
)
# This is the format of gpt-oss: https://developers.openai.com/cookbook/articles/openai-harmony
_CHANNEL, _MESSAGE = "<|channel|>", "<|message|>"
_BARE_CHANNEL = "assistantfinal"  # what is left of it if a server drops the special tokens
_SOLUTION = re.compile(r"\s*<\|begin_of_solution\|>")
_CONTROL_TOKEN = re.compile(r"<[|｜][^|｜>]{1,60}[|｜]>|<(?:end_of_turn|eos|/s)>")
# Nobody sees these. In front of a bracket, they would hide it.
_UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_LEADING = re.compile(rf"[\s{_UNSEEN}]+")
_ESCAPED = re.compile(r"&lt;|[{\[]\s*&(?:quot|#34);")
_FENCE = re.compile(r"```+|~~~+")
_LANGUAGE = re.compile(r"[ \t]*[\w+.#-]{0,20}[^\S\n]*\n")
_ELEMENT = re.compile(
    r"<(\w{0,20}prompt|answer|response|final(?:_answer)?|output|result)(?:\s[^<>]{0,100})?>",
    re.IGNORECASE,
)
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
_OPENING = re.compile(
    r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|got it|thanks)"
    r"[!,.:][^\n]{0,160}$"
    r"|(?:here(?:['’]s| is| are)|this is|below is)\b[^\n]{0,160}(?:prompt[^\n]{0,60}|:)$"
    r"|#{1,6}[ \t][^\n]{1,160}$",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:let me know|would you like|do you want|want me to|feel free|i hope"
    r"|hope (?:this|that)|if you(?:['’]d| would)? (?:like|want|need|prefer))",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(
    r"(?:(?:sure|certainly|of course|absolutely|okay|ok|great)\b[^\n:]{0,40}[!,.]\s*)?"
    r"(?:here(?:'s|’s| is| are)|this is|below is)\b[^\n]{0,100}:\s*"
    r"|the prompt(?: is)?:\s*|[*_]{0,2}(?:answer|assistant|response|output)[*_]{0,2}:[*_]{0,2}\s*",
    re.IGNORECASE,
)
_DOCUMENT = re.compile(r"\A---[ \t]*\n|\n(?:---|\.\.\.)[ \t]*\Z")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]*\n")
_START = r"^[#*_ \t>-]{0,20}"
_LABEL = re.compile(
    _START + r"((?:image |final )?prompt|title|alt(?:ernative)?[ _-]?text|tags|negative prompt"
    r"|style|notes?)[*_ ]{0,5}[:=：][*_]{0,5}[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_PROMPT_LABEL = re.compile(r"[*_]{0,5}(?:image |final )?prompt[*_ ]{0,5}[:：][*_]{0,5}\s*", re.I)
_OPTION = re.compile(
    _START + r"(?:option|prompt|version|variation|variant) ?#?\d{1,2}[*_ ]{0,5}[:.)-][*_]{0,5}\s?",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBERED = re.compile(r"^\s*\d{1,2}[.)]\s+")
_BULLET = re.compile(r"^\s*[-*•]\s+")
_QUOTED_LINE = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)
_QUOTES = (
    ('"', '"'),
    ("'", "'"),
    ("“", "”"),
    ("„", "“"),
    ("‘", "’"),
    ("‚", "‘"),
    ("«", "»"),
    ("「", "」"),
    ("『", "』"),
    ("**", "**"),
    ("*", "*"),
    ("__", "__"),
    ("`", "`"),
)


def without_thoughts(text: str) -> str:
    """Return an answer without the thoughts before it, and without a server's special tokens.

    A thought without an end runs to the end of the text.
    """
    text = _LEADING.sub("", text, count=1) if _LEADING.match(text) else text
    text = html.unescape(text) if _ESCAPED.match(text) else text
    text = _last_channel(_outside_thoughts(text))
    token = _CONTROL_TOKEN.search(text)
    text = text[: token.start()] if token else text
    return _LEADING.sub("", text, count=1).strip() if _LEADING.match(text) else text.strip()


def _outside_thoughts(text: str) -> str:
    kept, start, is_thinking = "", 0, False
    for tag in _THOUGHT_TAG.finditer(text):
        if any(tag.groups()):
            kept, is_thinking = kept if is_thinking else "", False
            solution = _SOLUTION.match(text, tag.end())
            start = solution.end() if solution else tag.end()
        elif not is_thinking:
            kept, is_thinking = kept + text[start : tag.start()], True
    if is_thinking:
        return kept if "{" in kept else ""  # words before a thought only announce it
    return kept + text[start:]


def _last_channel(text: str) -> str:
    """Return the last message that is not for the model itself."""
    if _CHANNEL in text:
        parts = [part.partition(_MESSAGE) for part in text.split(_CHANNEL)[1:]]
        messages = [body for name, _, body in parts if not name.strip().startswith("analysis")]
        return messages[-1] if messages else ""
    if _BARE_CHANNEL in text:
        return text.rpartition(_BARE_CHANNEL)[2]
    return "" if re.match("analysis[A-Z]", text) else text.rpartition(_MESSAGE)[2]


def read_prose(text: str) -> dict[str, Any] | None:
    """Return the prompt and its labelled neighbours in an answer that is not an object.

    Return None for JSON, which is then cut or has no prompt.
    """
    if text.startswith(("{", "[")):
        return None
    text = _inside_fence(_inside_element(text))
    text = _DOCUMENT.sub("", _without_small_talk(text))
    text = _INTRODUCTION.sub("", text, count=1) if _INTRODUCTION.match(text) else text
    answer = _read_labels(text)
    answer["prompt"] = _first_item(answer.get("prompt", text).strip())
    return answer


def unwrap(text: str) -> str:
    """Return a prompt without a fence, a label, quotes or emphasis around the whole of it."""
    text = text.strip()
    if _FENCE.match(text) and text.endswith(("```", "~~~")):
        text = _inside_fence(text)
    return unquote(_PROMPT_LABEL.sub("", text, count=1) if _PROMPT_LABEL.match(text) else text)


def unquote(text: str) -> str:
    """Remove the quotes or the emphasis around a whole text."""
    text = text.strip()
    for _ in range(MAX_QUOTES):
        pairs = [(left, right) for left, right in _QUOTES if _is_within(text, left, right)]
        if not pairs:
            break
        left, right = pairs[0]
        text = text[len(left) : -len(right)].strip()
    return text


def _is_within(text: str, left: str, right: str) -> bool:
    is_long = len(text) >= len(left) + len(right)
    return is_long and text.startswith(left) and text.endswith(right)


def _inside_element(text: str) -> str:
    tag = _ELEMENT.search(text)
    if tag is None:
        return text
    end = text.lower().find(f"</{tag[1].lower()}>", tag.end())
    return text if end < 0 else _CDATA.sub("", text[tag.end() : end]).strip()


def _inside_fence(text: str) -> str:
    fence = _FENCE.search(text)
    if fence is None:
        return text
    language = _LANGUAGE.match(text, fence.end())
    start = language.end() if language else fence.end()
    end = text.find(fence[0], start)
    return text if end < 0 else text[start:end].strip()


def _without_small_talk(text: str) -> str:
    """Return a text without a paragraph before it that announces it, and one that offers more."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    if len(paragraphs) > 1 and _OPENING.match(paragraphs[0]):
        paragraphs = paragraphs[1:]
    if len(paragraphs) > 1 and _CLOSING.match(paragraphs[-1]):
        paragraphs = paragraphs[:-1]
    text = "\n\n".join(paragraphs)
    is_quoted = text.startswith(">") and all(map(_QUOTED_LINE.match, text.splitlines()))
    return _QUOTED_LINE.sub("", text) if is_quoted else text


def _read_labels(text: str) -> dict[str, Any]:
    """Return the parts of an answer with lines such as `**Prompt:** A kite`."""
    labels = list(_LABEL.finditer(text))
    ends = [*(label.start() for label in labels), len(text)][1:]
    parts: dict[str, Any] = {}
    for label, end in zip(labels, ends, strict=True):
        name = re.sub("[ _-]", "", label[1].lower())
        name = {"alttext": "alt_text", "alternativetext": "alt_text"}.get(name, name)
        name = "prompt" if name in ("imageprompt", "finalprompt") else name
        parts.setdefault(name, _value(text[label.end() : end]))
    if "prompt" not in parts:
        return {}
    parts |= {name: unquote(parts[name]) for name in ("title", "alt_text") if name in parts}
    if "tags" in parts:
        parts["tags"] = [tag.strip(" #-[]\"'") for tag in re.split(r"[,\n]", parts["tags"])]
    return parts


def _value(text: str) -> str:
    """Return the value of a label. YAML writes a long one below it, with a sign before it."""
    block = _BLOCK.match(text)
    if block is None:
        return text.strip()
    return " ".join(line.strip() for line in text[block.end() :].splitlines()).strip()


def _first_item(text: str) -> str:
    """Return the first of several numbered prompts, or a bulleted text without its bullets."""
    options = list(_OPTION.finditer(text))
    if len(options) > 1:
        return text[options[0].end() : options[1].start()].strip()
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(map(_NUMBERED.match, lines)):
        return _NUMBERED.sub("", lines[0])
    if len(lines) > 1 and all(map(_BULLET.match, lines)):
        return " ".join(_BULLET.sub("", line).strip() for line in lines)
    return text
