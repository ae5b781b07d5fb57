"""AWS's rule sets AwsSolutions and Serverless, applied to the whole app.

A finding is either fixed, or acknowledged on its own resource with a reason.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.make_once import make_once
from tests.support.template import ELSEWHERE, EXISTING, SHAPES, run_python

Report = dict[str, Any]
ACKNOWLEDGED = "aws:cdk:acknowledged-rules"


def read(folder: Path, errors: str = "") -> list[Report]:
    assert (folder / "validation-report.json").is_file(), errors
    reports: list[Report] = json.loads((folder / "validation-report.json").read_text())[
        "pluginReports"
    ]
    assert {report["pluginName"] for report in reports} >= {"AwsSolutions", "Serverless"}
    return reports


CheckTemplate = Callable[[tuple[str, ...]], tuple[Path, list[Report]]]


@pytest.fixture(scope="module")
def check_template(tmp_path_factory: pytest.TempPathFactory) -> CheckTemplate:
    """Return a function that synthesizes the app with settings, once for each combination.

    Its result is the assembly and the rule sets' reports.
    """

    def run(folder: Path, settings: tuple[str, ...]) -> None:
        read(folder, run_python("-m", "tests.support.template", str(folder), *settings).stderr)

    def check(settings: tuple[str, ...]) -> tuple[Path, list[Report]]:
        make_folder = partial(run, settings=settings)
        folder = make_once(tmp_path_factory, ("rules", *settings), make_folder)
        return folder, read(folder)

    return check


def findings(reports: list[Report]) -> list[tuple[str, str]]:
    rules = [rule for report in reports for rule in report["violations"]]
    return sorted(
        (rule["ruleName"], where["constructPath"])
        for rule in rules
        # These are our own warnings to whoever deploys.
        if not rule["ruleName"].startswith("Annotation::easel:")
        for where in rule["violatingConstructs"]
    )


@pytest.mark.parametrize("settings", [*SHAPES, EXISTING, ELSEWHERE])
def test_every_finding_is_acknowledged(
    check_template: CheckTemplate, settings: tuple[str, ...]
) -> None:
    assert findings(check_template(settings)[1]) == []


@pytest.mark.parametrize("settings", [*SHAPES, EXISTING, ELSEWHERE])
def test_acknowledgements_are_specific_and_have_reasons(
    check_template: CheckTemplate, settings: tuple[str, ...]
) -> None:
    acknowledged = [
        acknowledgement
        for report in check_template(settings)[1]
        for acknowledgement in report.get("suppressedViolations", [])
    ]
    assert acknowledged
    for acknowledgement in acknowledged:
        # This covers Easel/Prompt/Role and what is below it, but not the stack or a whole step.
        assert acknowledgement["acknowledgedAt"].count("/") >= 2, acknowledgement
        assert len(acknowledgement["reason"].split()) >= 5, acknowledgement


@pytest.mark.parametrize("settings", [*SHAPES, EXISTING, ELSEWHERE])
def test_no_acknowledgement_outlives_its_finding(
    check_template: CheckTemplate, settings: tuple[str, ...]
) -> None:
    folder, reports = check_template(settings)
    metadata = json.loads((folder / "Easel.metadata.json").read_text())
    entries = [
        (path.lstrip("/"), entry["data"])
        for path, all_of_it in metadata.items()
        for entry in all_of_it
        if entry["type"] == ACKNOWLEDGED
    ]
    written = {(path, rule) for path, rules in entries for rule in rules}

    used = {
        (acknowledgement["acknowledgedAt"], acknowledgement["acknowledgedId"])
        for report in reports
        for acknowledgement in report.get("suppressedViolations", [])
    }
    assert written
    assert written - used == set()


def test_bucket_acknowledgement_covers_no_other_bucket(tmp_path: Path) -> None:
    folder = tmp_path / "cdk.out"
    code = f"""
from app import build
from tests.support.template import check_rules
from aws_cdk import aws_iam, aws_s3
from infra.nag import acknowledge, acknowledge_wildcard
app = build({{"layers": "false"}}, {str(folder)!r})
stack = app.node.find_child("Easel")
known, new = (aws_s3.Bucket(stack, name, enforce_ssl=True) for name in ("Known", "New"))
acknowledge(known, "AwsSolutions-S1", "Only a test's")
role = aws_iam.Role(stack, "New role", assumed_by=aws_iam.ServicePrincipal("lambda.amazonaws.com"))
for prefix in ("a/*", "b/*"):
    objects = [new.arn_for_objects(prefix)]
    role.add_to_policy(aws_iam.PolicyStatement(actions=["s3:GetObject"], resources=objects))
acknowledge_wildcard(role, new.arn_for_objects("a/*"), "Only a test's")
check_rules(app)
"""
    result = run_python("-c", code)
    assert result.returncode != 0

    (wildcard, where), logs = findings(read(folder, result.stderr))
    assert (where, wildcard.endswith("/b/*]")) == ("Easel/New role/DefaultPolicy/Resource", True)
    assert logs == ("AwsSolutions-S1", "Easel/New/Resource")
