"""What a caller may say. Everything is optional, `{}` is a complete request; anything wrong is an InputError before a cent is spent."""

import difflib
import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from functions import keys, models
from functions.errors import MISSING, ConfigError, InputError
from functions.settings import Settings

REMOVALS = ("delete_image", "delete_folder")
RESTORES = ("restore_image", "restore_folder")
BY_CLEANUP = (*REMOVALS, *RESTORES)
ACTIONS = ("create", *BY_CLEANUP)
OUTPUT_FORMATS = ("png", "jpeg", "webp")
BACKGROUNDS = ("auto", "opaque", "transparent")
MODERATIONS = ("auto", "low")
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # bidi embeddings, overrides and isolates
MAX_TOPIC, MAX_STYLE, MAX_DESCRIPTION, MAX_PROMPT = 200, 200, 4_000, 32_000
OWN_IDEA = "own idea"  # the topic of a picture whose caller gives a description or a prompt, and no topic
MAX_SHOWN = 20
MAX_TOPICS, MAX_COUNT, MAX_COMPRESSION = 100, 10, 100
MAX_SAFETY_IDENTIFIER = 64  # OpenAI's own limit
UNTOLD = ("request_id", "dry_run", "safety_identifier")  # what makes no other request of it


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What the stack's settings say where the caller says nothing."""

    folder_name: str
    topics: tuple[str, ...]
    model: str
    region: str
    unpriced_models_allowed: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """A checked request, complete with its defaults. Of topic, description and prompt each may be absent."""

    action: str
    request_id: str | None
    folder_name: str
    topic: str | None
    topics: tuple[str, ...]
    description: str | None
    prompt: str | None
    style: str | None
    count: int
    model: str
    size: str
    quality: str
    output_format: str
    output_compression: int | None
    background: str
    moderation: str
    safety_identifier: str | None
    file_name: str
    dry_run: bool
    aws_region: str
    image_key: str | None
    confirm: bool
    purge: bool

    @property
    def target(self) -> str:
        """What a delete or a restore is about: an image's key or a folder."""
        return self.image_key or self.folder_name


def defaults(settings: Settings) -> Defaults:
    """The stack's settings as a request's defaults."""
    return Defaults(
        folder_name=settings.folder_name,
        topics=settings.topics,
        model=settings.image_model,
        region=settings.region,
        unpriced_models_allowed=settings.unpriced_models_allowed,
    )


FIELDS = tuple(field.name for field in fields(Request))


def parse(raw: object, defaults: Defaults, *, today: date) -> Request:
    """Check a caller's input whole. Raises InputError, ModelRetiredError or ConfigError (a model with no known price)."""
    if not isinstance(raw, dict):
        raise InputError("the request", raw, 'a JSON object, for example {} or {"topic": "Sport"}')
    check_fields(raw, FIELDS)
    given = {name: value for name, value in raw.items() if value is not None}
    action = _choice(given, "action", ACTIONS, "create")
    if action == "create":
        for name, actions in (("image_key", ("delete_image", "restore_image")), ("confirm", REMOVALS), ("purge", REMOVALS)):
            if name in given:
                raise InputError(name, described(given[name]), f"only with action {' or '.join(actions)}")
        for name in ("description", "style"):
            if name in given and "prompt" in given:
                raise InputError(name, described(given[name]), "not together with prompt, which is painted as it is")
    else:
        _check_upkeep(given, action)
    model = _text(given, "model", 100) or defaults.model
    topics = _topics(given) or defaults.topics
    topic = _text(given, "topic", MAX_TOPIC)
    folder = keys.check_folder(given.get("folder_name", defaults.folder_name))
    request = Request(
        action=action,
        request_id=keys.check_run_id(given["request_id"], field="request_id") if "request_id" in given else None,
        folder_name=folder,
        topic=topic,
        topics=topics,
        description=_text(given, "description", MAX_DESCRIPTION),
        prompt=_text(given, "prompt", MAX_PROMPT),
        style=_text(given, "style", MAX_STYLE),
        count=whole(given, "count", 1, MAX_COUNT) or 1,
        model=model,
        size=models.check_size(given.get("size", "1024x1024")),
        quality=_choice(given, "quality", ("auto", *models.QUALITIES), "medium"),
        output_format=_choice(given, "output_format", OUTPUT_FORMATS, "png"),
        output_compression=whole(given, "output_compression", 0, MAX_COMPRESSION),
        background=_choice(given, "background", BACKGROUNDS, "auto"),
        moderation=_choice(given, "moderation", MODERATIONS, "auto"),
        safety_identifier=safety_identifier(given),
        file_name=keys.check_file_name(
            given.get("file_name", keys.DEFAULT_FILE_NAME), folder=folder, topics=(topic,) if topic else (*topics, OWN_IDEA)
        ),
        dry_run=flag(given, "dry_run"),
        aws_region=_choice(given, "aws_region", (defaults.region,), defaults.region),
        image_key=keys.check_image_key(given["image_key"]) if "image_key" in given else None,
        confirm=flag(given, "confirm"),
        purge=flag(given, "purge"),
    )
    if action == "create":
        _check_model(request, defaults, today=today)
    return request


def check_fields(raw: dict[str, Any], known: Sequence[str]) -> None:
    """Raise InputError for a field that there is not, with the one that may be meant."""
    for name, value in raw.items():
        if name not in known:
            near = "".join(f"; did you mean {match}?" for match in difflib.get_close_matches(str(name), known, 1))
            raise InputError(str(name), described(value), f"no such field, only {', '.join(known)}{near}")


def digest(raw: dict[str, Any]) -> str:
    """What tells two requests apart under one run id: everything that the caller said but the id itself, `dry_run` and for whom."""
    said = {name: value for name, value in raw.items() if name not in UNTOLD and value is not None}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _check_upkeep(given: dict[str, Any], action: str) -> None:
    needed = "image_key" if action.endswith("_image") else "folder_name"
    if needed not in given:
        raise InputError(needed, MISSING, f"{action} needs it")
    allowed = ("action", "request_id", "aws_region", "dry_run", "confirm", needed, *(("purge",) if action in REMOVALS else ()))
    for name, value in given.items():
        if name not in allowed:
            raise InputError(name, described(value), f"not with action {action}")
    # A restore takes nothing away, so it needs no confirmation.
    if action in REMOVALS and given.get("confirm") is not True and given.get("dry_run") is not True:
        raise InputError(
            "confirm", given.get("confirm", MISSING), f"true, since {action} takes pictures away; or dry_run: true to see what would go"
        )


def _check_model(request: Request, defaults: Defaults, *, today: date) -> None:
    models.check_not_retired(request.model, today=today)
    price = models.image_price(request.model)
    if price is None and not defaults.unpriced_models_allowed:
        raise ConfigError(
            f"model {request.model!r} has no known price, so the monthly cap cannot hold; use another model, "
            "or deploy with -c unpriced_models=allow, which lifts the cap for it"
        )
    if price and request.quality != "auto" and request.quality not in price.effort:
        raise InputError("quality", request.quality, f"{request.model} makes auto, {', '.join(price.effort)}")
    if request.background == "transparent" and request.output_format == "jpeg":
        raise InputError("background", "transparent", "auto or opaque with output_format jpeg, which has no transparency")
    if request.output_compression is not None and request.output_format == "png":
        raise InputError("output_compression", request.output_compression, "only with output_format jpeg or webp: a png loses nothing")


def _text(given: dict[str, Any], name: str, limit: int) -> str | None:
    if name not in given:
        return None
    value = given[name]
    if not isinstance(value, str) or not value.strip() or len(value) > limit or not _is_clean(value):
        raise InputError(name, described(value), f"text of 1 to {limit:,} characters, not blank, without control or bidi characters")
    return value.strip()


def safety_identifier(given: dict[str, Any]) -> str | None:
    """What stands for the end user, None where it is not given. Raises InputError, which does not show it."""
    try:
        return _text(given, "safety_identifier", MAX_SAFETY_IDENTIFIER)
    except InputError:
        allowed = f"1 to {MAX_SAFETY_IDENTIFIER} characters that stand for the end user, hashed"
        raise InputError("safety_identifier", "something else", allowed) from None


def _topics(given: dict[str, Any]) -> tuple[str, ...]:
    if "topics" not in given:
        return ()
    value = given["topics"]
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TOPICS:
        raise InputError("topics", value, f"a list of 1 to {MAX_TOPICS} topics")
    return tuple(str(_text({"topics": topic if topic is not None else ""}, "topics", MAX_TOPIC)) for topic in value)


def whole(given: dict[str, Any], name: str, least: int, most: int) -> int | None:
    """A whole number of a caller's, None where it is not given. Raises InputError."""
    if name not in given:
        return None
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(name, value, f"a whole number from {least} to {most}")
    return value


def _choice(given: dict[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        only = " (bucket and stack live in one region)" if name == "aws_region" else ""
        raise InputError(name, value, " | ".join(allowed) + only)
    return value


def flag(given: dict[str, Any], name: str) -> bool:
    """A caller's yes or no; no where it is not given. Raises InputError."""
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise InputError(name, value, "true or false")
    return value


def described(value: object) -> object:
    """A caller's value for an error, which ends up in logs: longer words of his own stay out of it, but for what is wrong in them."""
    if not isinstance(value, str) or len(value) <= MAX_SHOWN:
        return value
    odd = sorted({f"U+{ord(c):04X}" for c in value if not _is_clean(c)})
    return f"a text of {len(value):,} characters" + (f" with {', '.join(odd)}" if odd else "")


def _is_clean(text: str) -> bool:
    # Line breaks and tabs are a caller's own, as are joiners and direction marks; other control characters, lone surrogates, and what
    # turns the direction of the text after it, are somebody's accident or trick.
    return not any((unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t") or c in TURNING for c in text)
