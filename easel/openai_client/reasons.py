"""Reads why a provider refused a call.

OpenAI, Azure OpenAI and gateways put the reason into different fields, so all of them are read. A
message is read only if no field has a known word, because messages change.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

MAX_DEPTH = 6


class Reason(StrEnum):
    """Why a call was refused, as far as a provider reports it."""

    REFUSED = "refused"
    NO_CREDIT = "no credit"
    UNVERIFIED = "unverified"
    REGION = "region"
    KEY = "key"
    PERMISSION = "permission"
    CLOSED = "closed"
    ADDRESS = "address"
    UNKNOWN = "unknown"


# The words of the fields code, type, status and their like, of any provider, without punctuation.
WORDS = {
    Reason.REFUSED: {
        "moderationblocked",
        "contentpolicyviolation",
        "contentpolicyviolationerror",
        "contentfilter",
        "contentfiltered",
        "contentmoderation",
        "responsibleaipolicyviolation",
        "safetyviolation",
        "imagesafety",
        "prohibitedcontent",
        "nsfw",
        "nsfwcontent",
        "requestmoderated",
        "datainspectionfailed",
    },
    Reason.NO_CREDIT: {
        "insufficientquota",
        "billinghardlimitreached",
        "billingnotactive",
        "insufficientcredits",
        "insufficientbalance",
        "insufficientfunds",
        "insufficientuserquota",
        "preconsumetokenquotafailed",
        "paymentrequired",
        "budgetexceeded",
        "creditbalancetoolow",
        "exceededcurrentquotaerror",
        "arrearage",
    },
    Reason.UNVERIFIED: {"organizationnotverified", "organizationmustbeverified"},
    Reason.REGION: {"unsupportedcountryregionterritory", "unsupportedlocation"},
    Reason.PERMISSION: {"missingscope", "insufficientpermissions"},
    Reason.CLOSED: {"accountdeactivated", "accessterminated", "accountsuspended"},
    Reason.ADDRESS: {"ipnotauthorized"},
    Reason.KEY: {"invalidapikey", "apikeyinvalid"},
}
# The sentences of messages, for gateways that replace the fields. Each is a part that does not
# change.
SENTENCES = {
    Reason.REFUSED: (
        "content_policy_violation",
        "content policy",
        "content management policy",
        "content moderation",
        "content filters",
        "content checker",
        "content detected",
        "safety system",
        "safety filter",
        "moderation_blocked",
        "was flagged",
        "responsibleaipolicyviolation",
    ),
    Reason.NO_CREDIT: (
        "insufficient_quota",
        "exceeded your current quota",
        "billing hard limit",
        "billing_not_active",
        "account is not active",
        "budget has been exceeded",
        "insufficient credits",
        "insufficient balance",
        "any credits",
        "credit balance is too low",
    ),
    Reason.UNVERIFIED: ("must be verified", "organization verification"),
    Reason.REGION: (
        "unsupported_country",
        "country, region, or territory not supported",
        "location is not supported",
    ),
    Reason.PERMISSION: ("missing scopes", "insufficient permissions"),
    Reason.KEY: ("api key not valid", "incorrect api key", "invalid api key"),
}
# With one of these words the fields say enough, and the message is not read.
SPECIFIC = {
    "contextlengthexceeded",
    "invalidvalue",
    "missingrequiredparameter",
    "modelnotfound",
    "ratelimitexceeded",
    "servererror",
    "stringabovemaxlength",
    "unknownparameter",
    "unsupportedparameter",
    "unsupportedvalue",
}
WORD_FIELDS = ("code", "type", "status", "name", "error_code")
# A field with the caller's own text, such as `input` or `flagged_input`, is not among these.
MESSAGE_FIELDS = ("message", "msg", "detail", "error", "errors", "reason", "reasons", "raw")


def reason_of(body: object) -> Reason:
    """Return the reason in an error's body: by its fields, and as a last resort by its message."""
    words = words_of(body)
    for reason, known in WORDS.items():
        if words & known:
            return reason
    if filtered_categories(body):
        return Reason.REFUSED
    text = "" if words & SPECIFIC else " ".join(_messages(body)).lower()
    for reason, sentences in SENTENCES.items():
        if any(sentence in text for sentence in sentences):
            return reason
    return Reason.UNKNOWN


def words_of(body: object) -> set[str]:
    """Return the words of an error's fields at any depth, in lower case, without punctuation."""
    return {_bare(code) for code in _codes(body)}


def message_of(body: object) -> str:
    """Return the message of an error's body, or the whole body if it is text."""
    if isinstance(body, Mapping):
        texts = [body.get(name) for name in ("message", "detail", "error")]
        return next((text for text in texts if isinstance(text, str) and text), "")
    return body if isinstance(body, str) else ""


def shown_code(body: object) -> str | None:
    """Return the code of an error for a message. It is a number or a short word of the server."""
    code = body.get("code") or body.get("type") if isinstance(body, Mapping) else None
    is_word = isinstance(code, str | int) and re.fullmatch(r"[\w.-]{1,60}", str(code))
    return str(code) if is_word else None


def category(body: object) -> str:
    """Return the provider's word for the reason: the first category, or else the code."""
    fields: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    details = fields.get("moderation_details") or fields.get("details")
    categories = details.get("categories") if isinstance(details, dict) else None
    if isinstance(categories, list) and categories:
        return str(categories[0])
    filtered = filtered_categories(body)
    known = [code for code in _codes(body) if _bare(code) in WORDS[Reason.REFUSED]]
    code = shown_code(body) or ""
    return (filtered or known or ["content_filter" if not code or code.isdecimal() else code])[0]


def filtered_categories(value: object, depth: int = MAX_DEPTH) -> list[str]:
    """Return the categories that Azure reports as filtered, at any depth of a body."""
    if depth and isinstance(value, Mapping):
        own = [
            str(name)
            for name, result in value.items()
            if isinstance(result, dict) and result.get("filtered") is True
        ]
        inner = [filtered_categories(each, depth - 1) for each in value.values()]
        return [*own, *(name for names in inner for name in names)]
    if depth and isinstance(value, list):
        return [name for each in value for name in filtered_categories(each, depth - 1)]
    return []


def _codes(value: object, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield the values of the fields that hold a word, at any depth."""
    if depth and isinstance(value, Mapping):
        for name, inner in value.items():
            if name in WORD_FIELDS and isinstance(inner, str | int):
                yield str(inner)
            else:
                yield from _codes(inner, depth - 1)
    elif depth and isinstance(value, list):
        for inner in value:
            yield from _codes(inner, depth - 1)


def _messages(value: object, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield an error's messages at any depth."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, list):
        for inner in value:
            yield from _messages(inner, depth - 1)
    elif depth and isinstance(value, Mapping):
        for name, inner in value.items():
            if name in MESSAGE_FIELDS or isinstance(inner, Mapping):
                yield from _messages(inner, depth - 1)


def _bare(code: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(code).lower())
