"""The template, synthesized once with its settings' defaults and with every setting that changes its shape."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from infra import ROOT

FUNCTIONS = ("prompt", "image", "upload", "cleanup", "batch", "economy", "events", "api")
RUNS, BATCHES = "Workflow", "BatchWorkflow"  # the constructs of the two state machines
# Settings that change which resources there are: the defaults, everything that can be added, and a bucket that is not ours.
EVERYTHING = (
    "layers=false", "schedule=rate(1 day)", "alarm_email=ops@example.org", "public_page=true", "retain_images=false", "customer_key=true",
)  # fmt: skip
SHAPES = ((), EVERYTHING)
EXISTING = ("layers=false", "existing_bucket=true", "bucket_name=mine")
# And what comes only by a name at somebody else's.
ELSEWHERE = ("layers=false", "customer_key=true", "mirror=s3://copies/easel", "openai_workload_identity=idp_1/sa_1")
PICTURES, ACCESS_LOG = "ImagesBucket", "ImagesAccessLog"  # and those of the two buckets
# What a reference to a resource is read as; a state machine's is its ARN, out of which those of its executions are made.
KINDS = {
    "AWS::S3::Bucket": "bucket",
    "AWS::DynamoDB::Table": "table",
    "AWS::SecretsManager::Secret": "secret",
    "AWS::Logs::LogGroup": "logs",
    "AWS::SQS::Queue": "queue",
    "AWS::KMS::Key": "key",
    "AWS::StepFunctions::StateMachine": ":::::stateMachine:",
}
Synth = Callable[..., "Template"]


@dataclass(frozen=True)
class Template:
    """A synthesized template and the folder of its assets."""

    folder: Path

    @cached_property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((self.folder / "Easel.template.json").read_text())
        return body

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type, by logical id."""
        return {name: found for name, found in self.body["Resources"].items() if found["Type"] == kind}

    def one(self, kind: str, construct: str = "") -> dict[str, Any]:
        """The properties of the only resource of a type, or of its only one in a construct."""
        (found,) = (one for name, one in self.of(kind).items() if name.startswith(construct))
        properties: dict[str, Any] = found["Properties"]
        return properties

    def function(self, step: str) -> dict[str, Any]:
        found = (one["Properties"] for one in self.of("AWS::Lambda::Function").values())
        return next(one for one in found if one["Handler"] == f"functions.{step}.handler.handler")

    def logical_id(self, step: str) -> str:
        """A function's own."""
        handler = f"functions.{step}.handler.handler"
        return next(name for name, one in self.of("AWS::Lambda::Function").items() if one["Properties"]["Handler"] == handler)

    def asset(self, step: str) -> Path:
        return self.folder / f"asset.{self.function(step)['Code']['S3Key'].removesuffix('.zip')}"

    def machine(self, construct: str = RUNS) -> dict[str, Any]:
        """A state machine's definition, with references shown as the logical ids of what they refer to."""
        parts = self.one("AWS::StepFunctions::StateMachine", construct)["DefinitionString"]["Fn::Join"][1]
        machine: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else _id(part) for part in parts))
        return machine

    def tasks(self, construct: str = RUNS) -> dict[str, dict[str, Any]]:
        """Every Task state of a machine, those inside its Maps included."""
        return {name: state for name, state in _states(self.machine(construct)).items() if state["Type"] == "Task"}

    def role(self, function: str) -> str:
        """The logical id of a function's role."""
        return str(self.function(function)["Role"]["Fn::GetAtt"][0])

    def rights(self, role: str) -> set[tuple[str, str]]:
        """What a role may do: each action with what it may be done to; a denial, all else and a condition are said in words."""
        policies = [one["Properties"] for one in self.of("AWS::IAM::Policy").values() if {"Ref": role} in one["Properties"]["Roles"]]
        return {
            (("" if one["Effect"] == "Allow" else "not ") + action, but + self.text(resource) + _condition(one))
            for policy in policies
            for one in policy["PolicyDocument"]["Statement"]
            for action in _many(one["Action"])
            for but, which in (("", "Resource"), ("all but ", "NotResource"))
            for resource in _many(one.get(which, []))
        }

    def text(self, value: Any) -> str:
        """What CloudFormation will make of a value, each reference read as its resource's kind, or as its name."""
        match value:
            case str():
                return value
            case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
                known = KINDS.get(self.body["Resources"].get(name, {}).get("Type"), str(name))
                kind = "access log" if str(name).startswith(ACCESS_LOG) else known
                return kind + str(name).partition("StateMachine")[0] if kind.endswith(":") else kind
            case {"Fn::Join": [mark, parts]}:
                return str(mark).join(self.text(part) for part in parts)
            case {"Fn::Select": [number, {"Fn::Split": [mark, whole]}]}:
                return self.text(whole).split(mark)[int(number)]
            case _:
                raise AssertionError(value)


def _id(reference: dict[str, Any]) -> str:
    return str(reference["Ref"] if "Ref" in reference else reference["Fn::GetAtt"][0])


def _states(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    inner = [_states(state["ItemProcessor"]) for state in machine["States"].values() if state["Type"] == "Map"]
    return {name: state for states in (machine["States"], *inner) for name, state in states.items()}


def _condition(statement: dict[str, Any]) -> str:
    match statement.get("Condition"):
        case None:
            return ""
        case {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [key], **others}, **more} if not others and not more:
            return f" where the key is {key}"
        case other:
            return f" if {json.dumps(other)}"


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def run_app(folder: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    """The app, run directly as `make synth` runs it; the CDK's own check, which takes most of the time, is made of the defaults alone."""
    pairs = [word for setting in settings for word in ("-c", setting)]
    command = [sys.executable, str(ROOT / "app.py"), *pairs, "-o", str(folder)]
    environment = os.environ | ({"CDK_VALIDATION": "false"} if settings else {})
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent, env=environment)


def in_asset(asset: Path, code: str) -> "subprocess.CompletedProcess[str]":
    """Run code with an asset alone on the path: no environment, no network and no credentials are needed to import it."""
    command = [sys.executable, "-I", "-B", "-c", f"import sys; sys.path.insert(0, {str(asset)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=asset, env={})
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Synth:
    """Synthesize with settings, each combination once."""
    made: dict[tuple[str, ...], Template] = {}

    def make(*settings: str) -> Template:
        if settings not in made:
            folder = tmp_path_factory.mktemp("synth") / "cdk.out"
            done = run_app(folder, *settings)
            assert done.returncode == 0, done.stderr
            made[settings] = Template(folder)
        return made[settings]

    return make


@pytest.fixture(scope="session")
def template(synth: Synth) -> Template:
    """The template with its defaults, layers included."""
    return synth()
