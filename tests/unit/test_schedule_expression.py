"""A wrong schedule is found at synth, and not after a rollback."""

import pytest

from easel.schedules.expression import is_valid


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(1 day)",
        "rate(12 hours)",
        "cron(0 8 ? * MON-FRI *)",
        "cron(0/15 * * * ? *)",
        "cron(0 18 ? * 6L *)",
        "cron(0 9 ? * 2#1 2026-2030)",
        "cron(0 0 L * ? *)",
        "cron(30 9 15W JAN,JUL ? *)",
        "cron(0,30 8-18 1,15 * ? *)",
        "cron(5 4 * 2/3 ? *)",
    ],
)
def test_schedule_of_the_documentation_is_valid(expression: str) -> None:
    assert is_valid(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(0 minutes)",
        "rate(5)",
        "rate(5 seconds)",
        "rate(1.5 hours)",
        "daily",
        "cron(0 8 * * * *)",
        "cron(0 8 ? * ? *)",
        "cron(60 8 ? * MON *)",
        "cron(0 24 ? * MON *)",
        "cron(0 8 32 * ? *)",
        "cron(0 8 ? 13 MON *)",
        "cron(0 8 ? * 8 *)",
        "cron(0 8 ? * MON)",
        "cron(0 8 ? * MON 1969)",
        "cron(0  8 ? * MON *)",
    ],
)
def test_schedule_that_eventbridge_refuses_is_invalid(expression: str) -> None:
    assert not is_valid(expression)
