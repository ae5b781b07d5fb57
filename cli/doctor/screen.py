"""Shows the findings on the terminal, with the problems last."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from cli.doctor.catalogue import Check
from cli.doctor.finding import Finding, Verdict
from cli.screen import count, escape, say

COLOURS = {
    Verdict.OK: "green",
    Verdict.NOT_CHECKED: "dim",
    Verdict.WARNING: "yellow",
    Verdict.PROBLEM: "red",
}
MARK = max(len(verdict) for verdict in Verdict)


def show(findings: Sequence[tuple[Check, Finding]], console: Console) -> None:
    """Show each finding in a line, its fix in the next one, and a summary at the end.

    Checks with the same finding share a line. Lines are never broken, so that the commands can be
    copied.
    """
    names: dict[Finding, list[str]] = {}
    for check, finding in findings:
        names.setdefault(finding, []).append(check.name)
    width = max(len(check.name) for check, _ in findings)
    for finding in sorted(names, key=lambda finding: finding.verdict.rank):
        colour, who = COLOURS[finding.verdict], names[finding]
        mark = f"[{colour}]{finding.verdict:<{MARK}}[/{colour}]"
        name = who[0] if len(who) == 1 else count(len(who), "check")
        say(console, f"{mark}  {name:<{width}}  {escape(finding.seen)}")
        if finding.fix:
            say(console, f"{'':{MARK}}  → {escape(finding.fix)}")
    verdicts = Counter(finding.verdict for _, finding in findings)
    parts = [_count(verdict, verdicts[verdict]) for verdict in Verdict if verdicts[verdict]]
    say(console, f"{count(len(findings), 'check')}: {', '.join(parts)}")


def _count(verdict: Verdict, number: int) -> str:
    is_noun = verdict in (Verdict.WARNING, Verdict.PROBLEM)
    return count(number, verdict) if is_noun else f"{number} {verdict}"
