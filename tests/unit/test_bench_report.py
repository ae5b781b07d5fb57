"""The benchmark's kept results, its report, the plot and the README's table."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import entry, plot, registry, report
from bench.entry import Entry, Kept
from local.deploy import ROOT

LAST = entry.read((ROOT / "bench" / "results.json").read_text())


def frame(framed: float, **changes: Any) -> Entry:
    known: dict[str, Any] = {
        "section": "frame",
        "large": False,
        "commit": "aaaa",
        "date": "2026-11-30",
        "machine": "2 cores",
        "seconds": 1.5,
        "result": {"plain": 0.0, "framed": framed / 1_000_000},
    }
    return Entry(**known | changes)


@pytest.mark.parametrize("section", registry.SECTIONS, ids=lambda section: str(section.NAME))
def test_section_has_the_interface(section: Any) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", section.NAME)
    assert section.TITLE
    assert all(callable(getattr(section, name)) for name in ("measure", "figures", "text"))


def test_section_names_are_unique() -> None:
    names = [section.NAME for section in registry.SECTIONS]

    assert len(set(names)) == len(names)
    assert {*registry.ON_REQUEST, *registry.WITH_LARGE} <= set(names)


def test_kept_entries_are_read_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "bench")
    normal, large = frame(20), replace(frame(30), section="gallery", large=True)

    kept.keep(normal)
    kept.keep(large)

    assert kept.entries() == {"frame": normal, "gallery-large": large}
    kept.forget()
    assert kept.entries() == {}


def test_removed_section_is_ignored() -> None:
    text = entry.write({"gone": replace(frame(20), section="gone")})

    assert entry.read(text) == {}


def test_other_commit_is_what_came_before() -> None:
    committed, new = {"frame": frame(20)}, {"frame": frame(30, commit="bbbb")}

    merged = entry.merge(committed, new, commit="bbbb")

    (figure,) = merged["frame"].figures()
    assert (figure.measured, figure.before) == ("30 µs", "20 µs")
    assert merged["frame"].before_commit == "aaaa"


def test_result_of_another_format_is_not_compared() -> None:
    earlier = frame(2.5, commit="bbbb", result={"renamed": 1.0})

    assert frame(4.0).after(earlier) == frame(4.0)


def test_same_commit_keeps_what_came_before() -> None:
    committed = entry.merge({"frame": frame(20)}, {"frame": frame(30, commit="b")}, commit="b")

    merged = entry.merge(committed, {"frame": frame(40, commit="b")}, commit="b")

    (figure,) = merged["frame"].figures()
    assert (figure.measured, figure.before) == ("40 µs", "20 µs")


def test_kept_entry_of_other_commit_is_left_out() -> None:
    assert entry.merge({}, {"frame": frame(20)}, commit="bbbb") == {}


@pytest.mark.parametrize(
    ("changes", "stays"),
    [({}, False), ({"section": "n8n"}, True), ({"section": "gallery", "large": True}, True)],
)
def test_rare_measurements_stay(changes: dict[str, Any], stays: bool) -> None:
    old = frame(20, **changes)

    merged = entry.merge({old.key: old}, {}, commit="bbbb")

    assert merged == ({old.key: old} if stays else {})


def test_report_names_what_is_not_measured() -> None:
    text = report.markdown({"frame": frame(20)})

    assert "| Powertools, per invocation | 20 µs | ≤ 150 µs | – |" in text
    missing = next(line for line in text.splitlines() if line.startswith("- Not measured"))
    assert "`make bench SECTION=gallery`" in missing
    assert "`make bench N8N=1`" in missing
    assert "SECTION=frame" not in missing


def test_report_dates_an_older_measurement() -> None:
    old = frame(20, date="2026-11-01")
    new = {**LAST, "frame": old}

    assert "| Powertools, per invocation (2026-11-01) | 20 µs |" in report.markdown(new)


def test_results_are_written_from_their_data() -> None:
    written = (ROOT / "bench" / "results.md").read_text()
    expected = report.markdown(LAST)

    # Another machine may have other versions of the libraries.
    assert _without_libraries(written) == _without_libraries(expected)


def _without_libraries(text: str) -> str:
    return re.sub(r"^- openai .*$", "", text, flags=re.MULTILINE)


def test_readme_has_the_last_figures() -> None:
    readme = (ROOT / "README.md").read_text()

    assert report.with_table(readme, LAST) == readme
    assert "<!-- Speed -->" in readme


def test_readme_stays_without_measurements() -> None:
    assert report.with_table("text", {"frame": frame(20)}) == "text"


def test_plot_is_small_and_transparent() -> None:
    drawn = plot.draw(LAST)

    root = ET.fromstring(drawn)  # noqa: S314 - our own text
    assert root.tag.endswith("svg")
    assert len(drawn.encode()) < 60_000
    assert "fill: #ffffff" not in drawn
    assert "Easel, 4 at once" in drawn


def test_results_are_small() -> None:
    assert len(json.dumps([each.result for each in LAST.values()])) < 100_000
