"""Checks against CloudFormation's and Step Functions' schemas, by cfn-lint and asl-validator."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra import ROOT
from tests.support.template import BATCHES, ELSEWHERE, RUNS, SHAPES, Synth, Template

Break = Callable[[dict[str, Any]], None]
# Accepted findings of cfn-lint, each with its reason.
IGNORED = {
    "W3005": "CDK lists a role next to its policy in a function's DependsOn, which is harmless",
}
# cfn-lint's schema accepts only numbers. JSONata also accepts expressions that evaluate to one.
JSONATA_NUMBERS = {"MaxConcurrency", "ToleratedFailurePercentage"}


def literal(machine: dict[str, Any]) -> dict[str, Any]:
    """Return a machine's definition with the partition that the validators know."""
    definition: dict[str, Any] = json.loads(
        json.dumps(machine).replace("arn:AWS::Partition:", "arn:aws:")
    )
    return definition


def with_definitions(template: Template, broken: Break | None = None) -> dict[str, Any]:
    """Return the template with its machines as objects, since cfn-lint reads no joined texts."""
    body: dict[str, Any] = json.loads(json.dumps(template.body))
    machines = {
        name: resource
        for name, resource in body["Resources"].items()
        if resource["Type"] == "AWS::StepFunctions::StateMachine"
    }
    assert len(machines) == 2
    for name, resource in machines.items():
        del resource["Properties"]["DefinitionString"]
        resource["Properties"]["Definition"] = literal(
            template.machine(name.partition("StateMachine")[0])
        )
        if broken:
            broken(resource["Properties"]["Definition"])
    return body


def lint(body: dict[str, Any], folder: Path) -> list[tuple[str, str, str]]:
    """Return cfn-lint's findings as rule, place and message, without the accepted ones."""
    file = folder / "template.json"
    file.write_text(json.dumps(body))
    command = [
        str(Path(sys.executable).parent / "cfn-lint"),
        str(file),
        "--regions",
        "ap-southeast-1",
        "--format",
        "json",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    findings = [
        (
            finding["Rule"]["Id"],
            "/".join(str(part) for part in finding["Location"]["Path"]),
            finding["Message"],
        )
        for finding in json.loads(result.stdout or "[]")
    ]
    assert result.returncode == 0 or findings, result.stderr
    return [
        finding
        for finding in findings
        if finding[0] not in IGNORED and not _is_jsonata_number(*finding)
    ]


def _is_jsonata_number(rule: str, where: str, words: str) -> bool:
    return (
        rule == "E3601" and where.rpartition("/")[2] in JSONATA_NUMBERS and words.startswith("'{%")
    )


@pytest.mark.parametrize("settings", [*SHAPES, ELSEWHERE])
def test_cfn_lint_finds_nothing(synth: Synth, tmp_path: Path, settings: tuple[str, ...]) -> None:
    assert lint(with_definitions(synth(*settings)), tmp_path) == []


def test_cfn_lint_detects_a_broken_definition(template: Template, tmp_path: Path) -> None:
    def break_it(machine: dict[str, Any]) -> None:
        states = machine["States"]
        each = states.get("For each variation") or states["For each line"]
        each["ItemProcessor"]["StartAt"] = "Nowhere"
        each["ItemsPath"] = "$.items"  # JSONata does not have this field

    findings = lint(with_definitions(template, break_it), tmp_path)

    assert {rule for rule, *_ in findings} == {"E3601"}
    assert sum("Nowhere" in words for *_, words in findings) == 2
    assert sum(where.endswith("ItemsPath") for _, where, _ in findings) == 2


def validator() -> str:
    match = re.search(
        r"^ASL_VALIDATOR := (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE
    )
    assert match
    return match[1]


def validate(machine: dict[str, Any], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the validator that `make test` has installed, so that nothing is downloaded here."""
    file = folder / "machine.json"
    file.write_text(json.dumps(literal(machine)))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = (
        {"npm_config_cache": str(Path(sys.prefix) / "npm")}
        | os.environ
        | {"npm_config_offline": "true", "PATH": path}
    )
    command = ["npx", "--yes", validator(), "--json-path", str(file)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    assert "State machine definition" in result.stdout + result.stderr, result.stderr
    return result


@pytest.mark.parametrize("settings", [(), ELSEWHERE])
@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_asl_validator_finds_nothing(
    synth: Synth, tmp_path: Path, machine: str, settings: tuple[str, ...]
) -> None:
    result = validate(synth(*settings).machine(machine), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "is valid" in result.stdout


# cfn-lint does not follow a Next, and the local AWS accepts one that leads nowhere.
@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_asl_validator_detects_bad_next_in_map(
    template: Template, tmp_path: Path, machine: str
) -> None:
    broken = literal(template.machine(machine))
    each = broken["States"]["For each variation" if machine == RUNS else "For each line"]
    first = each["ItemProcessor"]["States"][each["ItemProcessor"]["StartAt"]]
    first["Next"] = "Nowhere"
    result = validate(broken, tmp_path)

    assert result.returncode == 1
    assert "target: Nowhere" in result.stdout + result.stderr


def test_asl_validator_detects_unknown_jsonata_field(template: Template, tmp_path: Path) -> None:
    broken = literal(template.machine())
    broken["States"]["Write the prompt"]["ResultPath"] = "$.prompt"
    assert validate(broken, tmp_path).returncode == 1
