"""Faults that a test scripts: what the stand-in answers in place of the truth, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

KINDS = ("status", "delay", "cut", "answer")


class RuleError(ValueError):
    """A rule is wrong; the message names the field."""


@dataclass(kw_only=True)
class Rule:
    """One fault. `charged` says whether an answer that replaces the true one still costs money."""

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
    """The rules that are left, tried in order."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, raw: object) -> None:
        """Add rules as they came in. Raises RuleError."""
        if not isinstance(raw, list):
            raise RuleError("the body must be a list of rules")
        self.rules += [_rule(one) for one in raw]

    def take(self, path: str, text: str) -> Rule | None:
        """The first rule for this request, counted down."""
        for rule in self.rules:
            if rule.path == path and rule.contains in text and rule.times > 0:
                rule.times -= 1
                return rule
        return None

    def clear(self) -> None:
        """Forget all rules."""
        self.rules.clear()

    def left(self) -> list[dict[str, Any]]:
        """The rules that still wait."""
        return [{field.name: getattr(rule, field.name) for field in fields(rule)} for rule in self.rules if rule.times > 0]


def _rule(raw: object) -> Rule:
    known = {field.name for field in fields(Rule)}
    if not isinstance(raw, dict) or "path" not in raw:
        raise RuleError("path is missing")
    unknown = set(raw) - known
    if unknown:
        raise RuleError(f"{sorted(unknown)[0]} is no field of a rule; the fields are {', '.join(sorted(known))}")
    if sum(kind in raw for kind in KINDS) != 1:
        raise RuleError(f"a rule needs exactly one of {', '.join(KINDS)}")
    return Rule(**raw)
