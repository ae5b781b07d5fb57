"""The sums in docs/cost.md match its own lines, and its lines match the price table."""

import re

import pytest

from easel.request import models
from local.deploy import ROOT

PAGE = (ROOT / "docs" / "cost.md").read_text()
LINES = re.findall(
    r"^\| ([^|]+) \| ([\d.]+) \| ([\d,.]+) \| ([\d.]+) \|$", PAGE, flags=re.MULTILINE
)


def test_each_line_is_units_times_price() -> None:
    assert len(LINES) == 11
    for what, units, price, dollars in LINES:
        assert float(dollars) == pytest.approx(
            float(units) * float(price.replace(",", "")) / 1_000, abs=0.0051
        ), what


def test_total_is_sum_of_the_lines() -> None:
    (total,) = re.findall(r"\*\*all of it\*\* \|  \|  \| \*\*([\d.]+)\*\*", PAGE)
    assert float(total) == pytest.approx(
        sum(float(units) * float(price.replace(",", "")) / 1_000 for _, units, price, _ in LINES),
        abs=0.01,
    )


def test_openai_lines_stay_within_price_table() -> None:
    (image,) = (float(price.replace(",", "")) for what, _, price, _ in LINES if "the image" in what)
    bound = models.estimate_image(
        "gpt-image-2.6-flare", prompt="x" * 200, size="1024x1024", quality="medium"
    )
    assert bound is not None
    assert bound / 1.3 < image < bound
