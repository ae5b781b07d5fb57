"""The report of the benchmark: bench/results.md, its JSON, the plot, and the README's table."""

import re
from collections.abc import Iterator

from bench import entry, plot, registry
from bench.entry import Entries, Entry, load_rows
from bench.section import MIB, ROUNDS, table
from infra import ROOT

RESULTS, DATA = ROOT / "bench" / "results.md", ROOT / "bench" / "results.json"
README, PLOT = ROOT / "README.md", ROOT / "docs" / "bench.svg"
AT_ONCE = 4  # the load that the README shows


def write(kept: Entries, *, before: str | None) -> str:
    """Write all files, and return the text of the report.

    The figures are compared with the entries of the commit `before`, or else with the last ones.
    """
    last = entry.read(DATA.read_text()) if DATA.is_file() else {}
    commit = entry.current_commit()
    entries = entry.merge(last | (entry.at_commit(before) if before else {}), kept, commit=commit)
    text = markdown(entries)
    DATA.write_text(entry.write(entries))
    RESULTS.write_text(text)
    PLOT.write_text(plot.draw(entries))
    README.write_text(with_table(README.read_text(), entries))
    return text


def markdown(entries: Entries) -> str:
    """Return the report."""
    parts = [
        "# Benchmark",
        "\n".join(f"- {line}" for line in _about(entries)),
        "## Figures",
        _figures(entries),
        *(_section(each, entries) for each in entries.values()),
    ]
    return "\n\n".join(parts) + "\n"


def _about(entries: Entries) -> Iterator[str]:
    machines = {each.machine for each in entries.values()}
    dates = sorted({each.date for each in entries.values()})
    yield f"{', '.join(dates)}: {'; '.join(sorted(machines))}"
    yield entry.libraries()
    yield f"CPU times: the competitors take turns, and the lowest of {ROUNDS} measurements counts."
    missing = [
        f"{section.TITLE} (`make bench {_command(section.NAME)}`)"
        for section in registry.SECTIONS
        if not {section.NAME, entry.key_of(section.NAME, large=True)} & set(entries)
    ]
    if missing:
        yield f"Not measured: {', '.join(missing)}."
    yield "Before: what the figure was at an earlier commit, on the same or on another machine."


def _command(name: str) -> str:
    return "N8N=1" if name in registry.ON_REQUEST else f"SECTION={name}"


def _figures(entries: Entries) -> str:
    rows = [
        (
            figure.name + (f" ({each.date})" if _is_older(each, entries) else ""),
            figure.measured,
            figure.limit,
            figure.before or "–",
        )
        for each in entries.values()
        for figure in each.figures()
    ]
    return table(("figure", "measured", "limit", "before"), rows)


def _is_older(each: Entry, entries: Entries) -> bool:
    return each.date != max(other.date for other in entries.values())


def _section(each: Entry, entries: Entries) -> str:
    section = registry.find(each.section)
    title = section.TITLE + (", full size" if each.large else "")
    when = f"{each.date}, commit {each.commit}, {each.seconds:,.0f} s."
    if entry.same_machine(entries) is None:
        when += f" {each.machine}."
    if each.was_busy:
        when += " Other programs used the machine, so times are too long and rates too low."
    return f"## {title}\n\n{when}\n\n{section.text(each.result)}"


def with_table(readme: str, entries: Entries) -> str:
    """Return the README with a new table, or unchanged if no section of the table is measured."""
    rows = list(_comparison(entries))
    if not rows:
        return readme
    lines = ["1.5 MB per image | bare script | n8n | Easel", "-- | -: | -: | -:"]
    content = "\n".join([*lines, *(" | ".join(row) for row in rows)])
    pattern = re.compile(r"(<!-- Speed -->\n).*?(\n<!-- end of Speed -->)", flags=re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}{content}{match[2]}", readme)


def _comparison(entries: Entries) -> Iterator[tuple[str, str, str, str]]:
    if "paint" in entries:
        least = entries["paint"].result["sizes"]["1500000"]
        ours = max(least[way]["cpu_seconds"] for way in ("Easel", "Easel, size unknown"))
        bare = least["bare script"]["cpu_seconds"]
        yield "CPU of an image call", f"{bare * 1000:.1f} ms", "–", f"{ours * 1000:.1f} ms"
    if loads := load_rows(entries):
        ours, peer = loads[AT_ONCE]
        rate = f"{peer['pictures_a_second']:.1f}" if peer else "–"
        bare = f"{ours['bare_pictures_per_second']:.1f}"
        yield f"images/s, {AT_ONCE} at once", bare, rate, f"{ours['pictures_per_second']:.1f}"
        memory = f"{peer['resident'] / MIB:,.0f} MiB" if peer else "–"
        yield "peak memory", "–", memory, f"{ours['peak_bytes'] / MIB:,.0f} MiB"
