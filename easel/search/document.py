"""What is searched about an image: its words and its facts.

A fact is a token such as `:is:favourite`. Words have no colon, so no word equals a fact, and no
beginning of a word matches one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from easel.aws.table import Item
from easel.contract.status import Status
from easel.ledger.records import run_key
from easel.search.words import fold, index_words

# A long prompt is searched up to this many bytes of distinct words. An item of the table has at
# most 400 KB, and even 128 documents of usual size are far below it.
MAX_BYTES = 16_000
MADE_IN_BATCH = "batch"
FAVOURITE, SHARED, BATCH, HIDDEN = ":is:favourite", ":is:shared", ":is:batch", ":is:hidden"


@dataclass(frozen=True, kw_only=True)
class Position:
    """The place of an image among all, sorted by time. It never changes. `at` is ISO 8601."""

    at: str
    run_id: str
    n: int

    @classmethod
    def of(cls, image: Mapping[str, Any]) -> "Position":
        """Return the position of an image's record that has been stored."""
        return cls(at=image["stored_at"], run_id=image["run_id"], n=image["n"])

    @classmethod
    def read(cls, text: str) -> "Position":
        """Return the position with this text."""
        at, run_id, n = text.split("#")
        return cls(at=at, run_id=run_id, n=int(n))

    @property
    def key(self) -> tuple[str, str]:
        """Return the key of the image's record."""
        return run_key(self.run_id, f"image#{self.n}")

    def __str__(self) -> str:
        return f"{self.at}#{self.run_id}#{self.n}"


def tokens(image: Item, prompt: Item | None) -> frozenset[str] | None:
    """Return an image's words and facts, or None if the image is not stored.

    `image` and `prompt` are the records' items. Fields that an older version did not write count as
    empty.
    """
    if image.get("status") != Status.STORED or not image.get("stored_at"):
        return None
    prompt = prompt or {}
    choices = _json(prompt.get("choices"))
    request = _json(prompt.get("request"))
    tags = [*sorted(image.get("tags") or ()), *(prompt.get("tags") or ())]
    exact = {name: image.get(name) for name in ("folder", "topic", "model")}
    exact["who"] = prompt.get("person")
    facts = {fact(kind, value) for kind, value in exact.items() if value}
    facts |= {tag_fact(tag) for tag in tags}
    flags = {
        FAVOURITE: image.get("favourite"),
        HIDDEN: image.get("hidden"),
        SHARED: (image.get("share") or image.get("share_ending")) and image.get("shared_at"),
        BATCH: prompt.get("trigger") == MADE_IN_BATCH,
    }
    facts |= {name for name, holds in flags.items() if holds}
    texts = (
        image.get("title"),
        request.get("description"),
        *tags,
        image.get("topic"),
        image.get("folder"),
        choices.get("style"),
        prompt.get("text"),
    )
    return frozenset(facts | _words(text for text in texts if isinstance(text, str)))


def fact(kind: str, value: str) -> str:
    """Return the token of a fact, such as `:model:gpt-image-2`."""
    return f":{kind}:{quote(value, safe='')}"


def tag_fact(tag: str) -> str:
    """Return the token of a tag, without case and accents."""
    return fact("tag", " ".join(index_words(tag)) or fold(tag).strip())


def _words(texts: Iterable[str]) -> set[str]:
    words: set[str] = set()
    left = MAX_BYTES
    for text in texts:
        for word in index_words(text):
            if word not in words:
                left -= len(word.encode()) + 1
                if left < 0:
                    return words
                words.add(word)
    return words


def _json(text: object) -> dict[str, Any]:
    try:
        value = json.loads(str(text or "{}"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
