"""The kept result of a section, with the commit, the date and the machine that measured it."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import registry
from bench.section import Figure
from infra import ROOT

# A benchmark writes these files itself, so a change of them is not a change of the code.
WRITTEN = ("bench/results.json", "bench/results.md", "docs/bench.svg", "README.md")
BUSY = 0.6
LIBRARIES = (
    "openai",
    "boto3",
    "aws-lambda-powertools",
    "pydantic",
    "jiter",
    "pybase64",
    "pillow",
    "ministack",
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A section's result. `before` has earlier measurements by the name of their figure."""

    section: str
    large: bool
    commit: str
    date: str
    machine: str
    seconds: float
    load: float = 0  # waiting processes per core, just before
    result: dict[str, Any]
    before: dict[str, str] = field(default_factory=dict)
    before_commit: str = ""

    @property
    def was_busy(self) -> bool:
        """Return whether other programs used the machine, which makes times too long."""
        return self.load > BUSY

    @property
    def key(self) -> str:
        """Return the name under which the entry is kept."""
        return key_of(self.section, large=self.large)

    def figures(self) -> list[Figure]:
        """Return the figures. What was not measured in the same turn comes from `before`."""
        figures = registry.find(self.section).figures(self.result)
        return [
            figure if figure.before else figure._replace(before=self.before.get(figure.name, ""))
            for figure in figures
        ]

    def after(self, earlier: "Entry | None") -> "Entry":
        """Return this entry with the earlier one's measurements.

        If both are of the same commit, this entry takes over what the other was compared with.
        """
        if earlier is None:
            return self
        if earlier.commit == self.commit:
            return replace(self, before=earlier.before, before_commit=earlier.before_commit)
        try:
            measured = {figure.name: figure.measured for figure in earlier.figures()}
        except (KeyError, TypeError):  # another format, so nothing can be compared
            return self
        return replace(self, before=measured, before_commit=earlier.commit)


Entries = dict[str, Entry]


def key_of(section: str, *, large: bool) -> str:
    """Return the name under which a section's entry is kept."""
    return f"{section}-large" if large else section


def read(text: str) -> Entries:
    """Return the entries of a results file. Skip sections that no longer exist."""
    known = {section.NAME for section in registry.SECTIONS}
    entries = [Entry(**each) for each in json.loads(text) if each["section"] in known]
    return {entry.key: entry for entry in entries}


def write(entries: Entries) -> str:
    """Return the text of a results file."""
    return json.dumps([asdict(entry) for entry in entries.values()], indent=1) + "\n"


class Kept:
    """The folder with the entries of the sections that are finished, one file for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: str) -> Path:
        """Return the file of an entry."""
        return self._folder / f"{key}.json"

    def entries(self) -> Entries:
        """Return all kept entries."""
        paths = sorted(self._folder.glob("*.json"))
        return {k: e for path in paths for k, e in read(path.read_text()).items()}

    def keep(self, entry: Entry) -> None:
        """Write the entry, so that an interrupted write leaves no half of a file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self.path(entry.key)
        new = path.with_suffix(".new")
        new.write_text(write({entry.key: entry}))
        new.replace(path)

    def forget(self) -> None:
        """Delete all kept entries."""
        for path in self._folder.glob("*.json"):
            path.unlink()


def merge(committed: Entries, kept: Entries, *, commit: str) -> Entries:
    """Return the entries to report.

    Kept entries are reported if this commit has measured them. Committed entries on request and at
    full size are reported until they are measured again.
    """
    current = {key: entry for key, entry in kept.items() if entry.commit == commit}
    merged = {
        key: entry
        for key, entry in committed.items()
        if entry.large or entry.section in registry.ON_REQUEST
    }
    merged |= {key: entry.after(committed.get(key)) for key, entry in current.items()}
    keys = [
        key_of(section.NAME, large=large)
        for section in registry.SECTIONS
        for large in (False, True)
    ]
    return {key: merged[key] for key in keys if key in merged}


def current_commit() -> str:
    """Return this checkout's commit, with a plus if the code was changed since."""
    left_out = [f":!{path}" for path in WRITTEN]
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--", ".", *left_out) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # not a clone


def at_commit(reference: str) -> Entries:
    """Return the entries that an earlier commit had, or none if it had no results file."""
    try:
        return read(_git("show", f"{reference}:{WRITTEN[0]}"))
    except subprocess.CalledProcessError:
        return {}


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def today() -> str:
    """Return the date in UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def machine() -> str:
    """Return what this machine is, in one line."""
    rows = Path("/proc/cpuinfo").read_text().splitlines()
    names = (row.partition(": ")[2] for row in rows if row.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libc, number = platform.libc_ver()
    return (
        f"{os.cpu_count()} cores, {next(names, platform.machine())}, {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}, {libc} {number}"
    )


def machine_load() -> float:
    """Return the mean number of processes that used or waited for each core in a minute."""
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)


def libraries() -> str:
    """Return the versions of the libraries that matter here."""
    return ", ".join(f"{name} {version(name)}" for name in LIBRARIES)


def same_machine(entries: Mapping[str, Entry]) -> str | None:
    """Return the machine of all entries, or None if they are of several."""
    machines = {entry.machine for entry in entries.values()}
    return machines.pop() if len(machines) == 1 else None


def load_rows(entries: Entries) -> dict[int, tuple[dict[str, Any], dict[str, Any] | None]]:
    """Return Easel's and n8n's measurement by the number of runs at the same time.

    If n8n is measured, both are of the same turn.
    """
    if "n8n" in entries:
        result = entries["n8n"].result
        pairs = zip(result["easel"], result["n8n"], strict=True)
        return {ours["at_once"]: (ours, peer) for ours, peer in pairs}
    if "runs" in entries:
        return {load["at_once"]: (load, None) for load in entries["runs"].result["loads"]}
    return {}
