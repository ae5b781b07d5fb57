"""The result of a check: what it saw, and how to fix it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import ClientError

from easel.aws.client import DENIED, error_code
from easel.contract.errors import StorageDeniedError

# SNS has its own names for a denial.
DENIALS = DENIED | {"AuthorizationError", "AuthorizationErrorException"}


class Verdict(StrEnum):
    """The verdict of a check, from the best to the worst."""

    OK = "ok"
    NOT_CHECKED = "not checked"
    WARNING = "warning"
    PROBLEM = "problem"

    @property
    def rank(self) -> int:
        """Return the position in this list."""
        return list(Verdict).index(self)


@dataclass(frozen=True)
class Finding:
    """What a check saw, and the command or the place that fixes it."""

    verdict: Verdict
    seen: str
    fix: str = ""


class NotCheckedError(Exception):
    """The check cannot be made. The message has the reason."""


def ok(seen: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Verdict.OK, seen)


def not_checked(reason: str) -> Finding:
    """Return the finding of a check that cannot be made."""
    return Finding(Verdict.NOT_CHECKED, reason)


def warning(seen: str, fix: str) -> Finding:
    """Return a finding that someone should know, although the stack works."""
    return Finding(Verdict.WARNING, seen, fix)


def problem(seen: str, fix: str) -> Finding:
    """Return a finding that needs someone to act."""
    return Finding(Verdict.PROBLEM, seen, fix)


def worst(findings: Iterable[Finding]) -> Finding:
    """Return the finding that is most in need of someone to act."""
    return max(findings, key=lambda finding: finding.verdict.rank)


@contextmanager
def needs(*actions: str) -> Iterator[None]:
    """Raise NotCheckedError if AWS denies a call inside the block, which needs these actions."""
    try:
        yield
    except (ClientError, StorageDeniedError) as error:
        if isinstance(error, ClientError) and error_code(error) not in DENIALS:
            raise
        raise NotCheckedError(f"needs {', '.join(actions)}") from error
