"""The parameters that a server does not accept: those in a setting, and those it has refused.

Compatible servers lack some of OpenAI's parameters. A parameter is left out only if that does not
change what the caller asked for. A refused call is not charged, so it is repeated without it, and
the process remembers that.
"""

import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import openai

from easel.aws.observability import logger
from easel.contract import settings
from easel.openai_client.reasons import Reason, reason_of

T = TypeVar("T")
Parameters = dict[str, Any]

MAX_COMPLETION_TOKENS, MAX_TOKENS = "max_completion_tokens", "max_tokens"
# Only OpenAI's newer models require the new name, and only older servers require the old one.
RENAMED = {MAX_COMPLETION_TOKENS: MAX_TOKENS}
# The values that mean the same as no value. Easel sends them because OpenAI's own defaults cost
# more.
DEFAULTS = {"quality": "medium", "size": "1024x1024", "output_format": "png"}
FREE = frozenset({"response_format", "reasoning_effort", "safety_identifier", "moderation"})
# The order in which parameters are left out if the server does not say which one it refused.
GUESSES = ("response_format", "reasoning_effort", MAX_COMPLETION_TOKENS, "safety_identifier")


class AcceptedParameters:
    """The parameters that one server accepts. `omitted` are those that are never sent."""

    def __init__(self, omitted: Collection[str] = ()) -> None:
        self._omitted = frozenset(omitted)
        self._refused: dict[str, set[str]] = {}  # by model

    def call(
        self, parameters: Parameters, send: Callable[[Parameters], T], *, guess: bool = False
    ) -> T:
        """Send a call, and again without a parameter that the server refuses.

        With `guess`, a parameter may be left out that the error does not name.
        """
        model, guessed = parameters["model"], set[str]()
        while True:
            accepted = self.adapt(parameters, guessed)
            try:
                answer = send(accepted)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                optional = [name for name, value in accepted.items() if _is_optional(name, value)]
                named = _named(error)
                if reason_of(error.body) is not Reason.UNKNOWN:
                    raise
                if named:
                    refused = [name for name in optional if name in named][:1]
                    self._remember(model, refused)
                else:
                    refused = [name for name in GUESSES if guess and name in optional][:1]
                    guessed.update(refused)
                if not refused:
                    raise
            else:
                # A guess was right only if the call without the parameter succeeds.
                self._remember(model, guessed)
                return answer

    def adapt(self, parameters: Parameters, also: Collection[str] = ()) -> Parameters:
        """Return the parameters without those that the server does not accept, and `also` these."""
        refused = self._refused.get(parameters["model"], set()) | set(also)
        left_out = {
            name
            for name, value in parameters.items()
            if name in refused or (name in self._omitted and _is_optional(name, value))
        }
        renamed = {
            RENAMED[name]: parameters[name]
            for name in left_out & RENAMED.keys()
            if RENAMED[name] not in refused
        }
        accepted = {name: v for name, v in parameters.items() if name not in left_out}
        return accepted | renamed

    def _remember(self, model: str, names: Collection[str]) -> None:
        for name in names:
            self._refused.setdefault(model, set()).add(name)
            logger.warning("the server lacks a parameter", parameter=name, model=model)


def _is_optional(name: str, value: object) -> bool:
    """Return whether a call without this parameter asks for the same."""
    return name in FREE or name in RENAMED or DEFAULTS.get(name) == value


def _named(error: openai.APIStatusError) -> set[str]:
    """Return the names of fields in an error: its param, its locations, or else its message."""
    if isinstance(error.param, str) and error.param:
        return {error.param.partition(".")[0].partition("[")[0]}
    body = error.body
    details = body.get("detail") if isinstance(body, dict) else None
    if isinstance(details, list):  # FastAPI's form
        places = [detail.get("loc") for detail in details if isinstance(detail, dict)]
        return {str(part) for place in places if isinstance(place, list) for part in place}
    # A message may advise another parameter, so only the first name in it counts.
    text = body.get("message", "") if isinstance(body, dict) else body
    words = re.findall(r"[a-z]+(?:_[a-z]+)+|quality|size|moderation", str(text))
    return set([word for word in words if word in (*settings.OMITTABLE, MAX_TOKENS)][:1])
