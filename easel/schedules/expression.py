"""Checks the expression of a schedule before AWS does.

CloudFormation finds a wrong one late, and then rolls back. The rules are
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

import re
from datetime import datetime

from easel.contract.errors import InputError

ALLOWED = (
    "rate(1 day), rate(6 hours), or cron(minutes hours day-of-month month day-of-week year) with ? "
    "for one of the two days, such as cron(0 8 ? * MON-FRI *)"
)
ONCE = "at(2026-12-24T08:00:00)"
AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
CRON = re.compile(r"cron\((\S+(?: \S+){5})\)")
RATE = re.compile(r"rate\((1 (minute|hour|day)|(?!1 )[1-9]\d{0,5} (minutes|hours|days))\)")
MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
# The single values of minutes, hours, day of month, month, day of week and year.
VALUES = (
    r"[0-5]?\d",
    r"[01]?\d|2[0-3]",
    r"0?[1-9]|[12]\d|3[01]",
    rf"0?[1-9]|1[0-2]|{MONTHS}",
    rf"[1-7]|{DAYS}",
    r"19[7-9]\d|2[01]\d\d",
)
# What only these fields accept.
MORE = {2: r"|\?|L|LW|(?:[12]?\d|3[01])W", 4: rf"|\?|L|(?:[1-7]|{DAYS})(?:L|#[1-5])"}
DAY_OF_MONTH, DAY_OF_WEEK = 2, 4


def is_valid(expression: str) -> bool:
    """Return whether EventBridge accepts the schedule of a rule."""
    if RATE.fullmatch(expression):
        return True
    match = CRON.fullmatch(expression)
    fields = match[1].split(" ") if match else []
    if not fields or not all(map(_matches, range(len(VALUES)), fields)):
        return False
    return (fields[DAY_OF_MONTH] == "?") != (fields[DAY_OF_WEEK] == "?")


def check_expression(value: object, field: str) -> str:
    """Return the expression of a schedule of EventBridge Scheduler, which may also start once."""
    if isinstance(value, str) and (is_valid(value) or _is_once(value)):
        return value
    raise InputError(field, value, f"{ALLOWED}, or {ONCE} for one run")


def _is_once(expression: str) -> bool:
    match = AT.fullmatch(expression)
    try:
        return bool(match and datetime.fromisoformat(match[1]))
    except ValueError:
        return False


def _matches(position: int, field: str) -> bool:
    value, more = VALUES[position], MORE.get(position, "")
    item = rf"(?:\*|(?:{value})(?:-(?:{value}))?)(?:/[1-9]\d{{0,2}})?"
    return re.fullmatch(rf"(?:{item}(?:,{item})*){more}", field) is not None
