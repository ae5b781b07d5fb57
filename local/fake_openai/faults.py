"""The faults that a test scripts: which request fails, how, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

KINDS = ("status", "delay", "cut", "answer")


class RuleError(ValueError):
    """A rule is wrong. The message names the field."""


@dataclass(kw_only=True)
class Rule:
    """One fault. `charged` means that the request costs money although its response is replaced."""

    path: str
    contains: str = ""
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] | None = None
    body: Any = None
    delay: float | None = None
    cut: bool | None = None
    answer: Any = None
    charged: bool = False


class Faults:
    """The rules that are not used up, in the order in which they are tried."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, raw: object) -> None:
        """Add rules from a request's body. Raise RuleError if one is wrong."""
        if not isinstance(raw, list):
            raise RuleError("the body must be a list of rules")
        self.rules += [_rule(rule) for rule in raw]

    def take(self, path: str, text: str) -> Rule | None:
        """Return the first rule that matches this request, and use it up once.

        Return None if no rule matches.
        """
        for rule in self.rules:
            if rule.path == path and rule.contains in text and rule.times > 0:
                rule.times -= 1
                return rule
        return None

    def clear(self) -> None:
        """Delete all rules, and end the delays that they cause now."""
        for rule in self.rules:
            if rule.delay is not None:
                rule.delay = 0
        self.rules.clear()

    def left(self) -> list[dict[str, Any]]:
        """Return the rules that are not used up."""
        names = [field.name for field in fields(Rule)]
        return [
            {name: getattr(rule, name) for name in names} for rule in self.rules if rule.times > 0
        ]


def _rule(raw: object) -> Rule:
    known = {field.name for field in fields(Rule)}
    if not isinstance(raw, dict) or "path" not in raw:
        raise RuleError("path is missing")
    unknown = sorted(set(raw) - known)
    if unknown:
        names = ", ".join(sorted(known))
        raise RuleError(f"{unknown[0]} is not a field of a rule; the fields are {names}")
    if sum(kind in raw for kind in KINDS) != 1:
        raise RuleError(f"a rule needs exactly one of {', '.join(KINDS)}")
    return Rule(**raw)
