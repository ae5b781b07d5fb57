"""The catalogue in docs/faults.md matches the tests that show it."""

import re
import subprocess
import sys

from local.deploy import ROOT

ROW = re.compile(r"\| (\d+) \| .+ \| .+ \| (.*) \|")


def test_every_row_has_an_existing_test() -> None:
    rows = [
        match.groups()
        for line in (ROOT / "docs" / "faults.md").read_text().splitlines()
        if (match := ROW.fullmatch(line))
    ]
    assert len(rows) > 80
    assert len({number for number, _ in rows}) == len(rows)
    assert f"a table of {len(rows)} faults" in (ROOT / "README.md").read_text()
    others = sorted({by.strip("`").partition("::")[0] for _, by in rows if by.startswith("`")})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    ids = subprocess.run(
        [*command, "tests/faults", *others], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    here = [name for name in ids if name.startswith("tests/faults/")]

    def is_shown(number: str, by: str) -> bool:
        if by.startswith("`"):
            return any(name.startswith(by.strip("`")) for name in ids)
        return any(re.search(rf"(\[|::test_)(\d+[ _])*{number}[ _]", name) for name in here)

    assert [row for row in rows if not is_shown(*row)] == []
