"""The check of a run's IAM decisions finds what a role lacks, and what it has in excess."""

import json
from pathlib import Path

import pytest

from tests.support.decisions import GRANTS, PROVOKED, UNUSED, Decisions

KEY = "arn:aws:s3:::images/a.png"


def write(folder: Path, *decisions: tuple[str, str, str]) -> Decisions:
    """Write decisions as an emulator does. Each has a role's construct, an action, a decision."""
    lines = [
        json.dumps(
            {
                "role": f"Easel-{construct}Role0A1B2C3D-XYZ",
                "action": action,
                "resource": KEY,
                "decision": decision,
            }
        )
        for construct, action, decision in decisions
    ]
    (folder / "1.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return Decisions(folder)


def everything() -> list[tuple[str, str, str]]:
    """Return one allowed use of every action that is granted and not excepted."""
    return [
        (construct, action, "Allow")
        for construct, grants in GRANTS.items()
        for grant in grants
        if not grant.deny
        for action in grant.actions
        if (construct, action) not in UNUSED
    ]


def test_denial_names_role_action_and_resource(tmp_path: Path) -> None:
    decisions = write(tmp_path, *[("Upload", "s3:PutObject", "ImplicitDeny")] * 2)

    expected = f"Upload may not s3:PutObject on {KEY}: ImplicitDeny, 2 times"
    assert decisions.denials() == [expected]


@pytest.mark.parametrize(("construct", "action"), PROVOKED)
def test_provoked_denial_is_no_fault(tmp_path: Path, construct: str, action: str) -> None:
    assert write(tmp_path, (construct, action, "ImplicitDeny")).denials() == []


def test_unused_action_is_named(tmp_path: Path) -> None:
    used = everything()
    assert write(tmp_path, *used).unused() == []

    used.remove(("Cleanup", "s3:DeleteObjectVersion", "Allow"))

    expected = ["Cleanup has s3:DeleteObjectVersion and never uses it"]
    assert write(tmp_path, *used).unused() == expected


def test_exception_that_is_used_must_go(tmp_path: Path) -> None:
    used = [*everything(), ("Image", "s3:ListBucket", "Allow")]

    expected = ["Image does use s3:ListBucket: delete the exception"]
    assert write(tmp_path, *used).unused() == expected


def test_roles_of_other_tests_do_not_count(tmp_path: Path) -> None:
    line = {"role": "role-1a2b", "action": "s3:PutObject", "resource": KEY, "decision": "Deny"}
    (tmp_path / "1.jsonl").write_text(json.dumps(line) + "\n")

    decisions = Decisions(tmp_path)

    assert decisions.denials() == []
    assert decisions.pairs == set()
