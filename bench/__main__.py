"""The benchmark: `make bench` measures section by section, and writes bench/results.md.

Finished sections are kept in .local/bench, and the next `make bench` at the same commit continues
with the others. The competitors take turns on one machine. Times depend on the machine, and ratios
depend on it much less.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from bench import children, entry, n8n, n8n_process, registry, report
from bench.entry import Kept
from bench.section import Section, log
from infra import ROOT
from local.processes import defer_signals, end_on_signals

FOLDER = ROOT / ".local" / "bench"


def main() -> int:
    """Measure what is missing, and write the results. Return 1 if a section failed."""
    options = _options()
    if not Path("/proc/self/clear_refs").exists():
        raise SystemExit("the benchmark reads memory and CPU from /proc: it runs on Linux only")
    kept = Kept(options.folder)
    if options.fresh:
        kept.forget()
    try:
        with end_on_signals(), _earlier_checkout(options.before) as earlier:
            if n8n.NAME in _names(options):
                n8n_process.install()  # first, so that a missing tool is reported immediately
            failed = _measure(options, kept, earlier)
    except KeyboardInterrupt:
        log(f"Interrupted. {options.folder} keeps the finished sections; make bench continues.")
        return 130
    if not options.no_report:
        text = report.write(kept.entries(), before=options.before)
        Console(highlight=False).print(Markdown(text))
    if failed:
        log(f"These sections failed: {', '.join(failed)}. make bench measures them again.")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    names = [section.NAME for section in registry.SECTIONS]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--section", choices=names, help="measure this section again, and no other")
    parser.add_argument("--fresh", action="store_true", help="measure all sections again")
    parser.add_argument("--large", action="store_true", help="use the full size where there is one")
    parser.add_argument("--n8n", action="store_true", help="measure n8n, too (3 GB)")
    parser.add_argument(
        "--before", metavar="REF", help="compare with this commit, and measure its cheap sections"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where results are kept")
    parser.add_argument("--no-report", action="store_true", help="only measure")
    return parser.parse_args()


def _names(options: argparse.Namespace) -> list[str]:
    """Return the names of the sections to measure."""
    if options.section:
        return [options.section]
    return [
        section.NAME
        for section in registry.SECTIONS
        if options.n8n or section.NAME not in registry.ON_REQUEST
    ]


def _measure(options: argparse.Namespace, kept: Kept, earlier: Path | None) -> list[str]:
    """Measure each section in its own process, and return the names of those that failed."""
    names, commit, failed = _names(options), entry.current_commit(), []
    if entry.machine_load() > entry.BUSY:
        log("Other programs use this machine, so times will be too long.")
    finished = {key for key, each in kept.entries().items() if each.commit == commit}
    for number, name in enumerate(names, start=1):
        section, place = registry.find(name), f"[{number}/{len(names)}]"
        large = options.large and name in registry.WITH_LARGE
        if entry.key_of(name, large=large) in finished and not options.section:
            log(f"{place} {section.TITLE}: kept")
            continue
        start = time.monotonic()
        log(f"{place} {section.TITLE} …")
        if _run(section, kept_in=options.folder, large=large, earlier=earlier):
            log(f"{place} {section.TITLE}: {time.monotonic() - start:.0f} s")
        else:
            failed.append(name)
    return failed


def _run(section: Section, *, kept_in: Path, large: bool, earlier: Path | None) -> bool:
    """Measure a section in its own process, and return whether it succeeded."""
    arguments = [section.NAME, "--folder", str(kept_in)]
    arguments += ["--large"] if large else []
    arguments += ["--earlier", str(earlier)] if earlier else []
    with children.running("bench.measure", arguments) as process:
        return process.wait() == 0


@contextmanager
def _earlier_checkout(reference: str | None) -> Iterator[Path | None]:
    """Yield a temporary checkout of the commit, or None if no commit is given."""
    if not reference:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as folder:
        checkout = Path(folder) / "easel"
        try:
            with defer_signals():
                _git(["worktree", "add", "--detach", str(checkout), reference])
            yield checkout
        finally:
            if checkout.exists():
                _git(["worktree", "remove", "--force", str(checkout)])


def _git(arguments: Sequence[str]) -> None:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`git {' '.join(arguments)}` failed: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
