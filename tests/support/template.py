"""The synthesized template as tests read it: resources, states, permissions, assets.

`python -m tests.support.template FOLDER NAME=VALUE …` synthesizes the app under AWS's rule sets and
writes FOLDER/validation-report.json.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = (
    *("prompt", "image", "upload", "cleanup", "batch", "economy"),
    *("references", "events", "index", "api"),
)
RUNS, BATCHES = "Workflow", "BatchWorkflow"  # the constructs of the two state machines
# The constructs of the three buckets.
PICTURES, ACCESS_LOG, PUBLIC = "ImagesBucket", "ImagesAccessLog", "DeliveryBucket"
WEBHOOKS = json.dumps(
    [
        {"name": "shop", "url": "https://shop.example.org/easel"},
        {"name": "chat", "url": "secret:slack", "form": "slack", "when": "always"},
    ]
)
SCHEDULES = json.dumps(
    [
        {
            "name": "weekdays",
            "when": "cron(0 8 ? * MON-FRI *)",
            "time_zone": "Europe/Berlin",
            "end": "2099-12-31T00:00:00Z",
            "request": {"topic": "Sport"},
        }
    ]
)
# These settings change which resources exist. First is everything that can be added,
EVERYTHING = (
    "layers=false",
    "schedule=rate(1 day)",
    f"schedules={SCHEDULES}",
    "alarm_email=ops@example.org",
    "notify_email=team@example.org",
    f"webhooks={WEBHOOKS}",
    "public_page=true",
    "delivery=true",
    "retain_images=false",
    "customer_key=true",
)
SHAPES = ((), EVERYTHING)
# then an existing bucket,
EXISTING = ("layers=false", "existing_bucket=true", "bucket_name=mine")
KEY_OF_OURS = "arn:aws:kms:ap-southeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
KEY_OF_THEIRS = KEY_OF_OURS.replace("1111-", "9999-")
# and then references to someone else's account or store.
ELSEWHERE = (
    "layers=false",
    "customer_key=true",
    "mirror=s3://copies/easel",
    "openai_workload_identity=idp_1/sa_1",
)
# A customer's key, with the default bucket and with an existing one.
KEYED = ("layers=false", "schedule=rate(1 day)", "public_page=true", "customer_key=true")
# everything of an earlier deployment,
AGAIN = (
    *EXISTING,
    "existing_table=records",
    "existing_users=ap-southeast-1_abc123",
    f"existing_key={KEY_OF_OURS}",
    f"bucket_keys={KEY_OF_THEIRS}",
)
THEIRS = ("layers=false", "customer_key=true", "existing_bucket=true", "bucket_name=mine")
ALL_SHAPES = (*SHAPES, EXISTING, ELSEWHERE, KEYED, THEIRS, AGAIN)
# A reference to a resource is read as its kind. A state machine's reference is read as the middle
# of its ARN, because the ARNs of its executions are made from it.
KINDS = {
    "AWS::S3::Bucket": "bucket",
    "AWS::DynamoDB::Table": "table",
    "AWS::SecretsManager::Secret": "secret",
    "AWS::Logs::LogGroup": "logs",
    "AWS::SQS::Queue": "queue",
    "AWS::KMS::Key": "key",
    "AWS::StepFunctions::StateMachine": ":::::stateMachine:",
}
# Every function may write its log and its traces.
EVERY_FUNCTION = {
    ("logs:CreateLogStream", "logs"),
    ("logs:PutLogEvents", "logs"),
    ("xray:PutTraceSegments", "*"),
    ("xray:PutTelemetryRecords", "*"),
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
        """Return the resources of a type, by logical id."""
        resources = self.body["Resources"].items()
        return {name: resource for name, resource in resources if resource["Type"] == kind}

    def resource(self, kind: str, construct: str = "") -> dict[str, Any]:
        """Return the properties of the only resource of a type, or the only one in a construct."""
        (resource,) = (entry for name, entry in self.of(kind).items() if name.startswith(construct))
        properties: dict[str, Any] = resource["Properties"]
        return properties

    def function(self, name: str) -> dict[str, Any]:
        """Return the properties of the function in functions/<name>.py or functions/<name>/."""
        properties: dict[str, Any] = self.of("AWS::Lambda::Function")[self.logical_id(name)][
            "Properties"
        ]
        return properties

    def logical_id(self, function: str) -> str:
        """Return a function's logical id."""
        handlers = {f"functions.{function}.handler", f"functions.{function}.handler.handler"}
        functions = self.of("AWS::Lambda::Function").items()
        (match,) = (name for name, body in functions if body["Properties"]["Handler"] in handlers)
        return match

    def environment(self, function: str) -> dict[str, Any]:
        """Return a function's environment."""
        variables: dict[str, Any] = self.function(function)["Environment"]["Variables"]
        return variables

    def module(self, function: str) -> str:
        """Return the module of a function's handler."""
        return str(self.function(function)["Handler"]).rpartition(".")[0]

    def asset(self, function: str) -> Path:
        """Return the folder of a function's asset."""
        return self.folder / f"asset.{_hash(self.function(function)['Code'])}"

    def layers(self, function: str) -> list[str]:
        """Return the names of a function's layers."""
        layers = self.of("AWS::Lambda::LayerVersion")
        used = self.function(function).get("Layers", [])
        about = [layers[layer["Ref"]]["Properties"]["Description"] for layer in used]
        return [str(text).removeprefix("Easel: ") for text in about]

    def layer(self, name: str) -> Path:
        """Return the folder of a layer's asset."""
        layers = (entry["Properties"] for entry in self.of("AWS::Lambda::LayerVersion").values())
        (layer,) = (entry for entry in layers if entry["Description"] == f"Easel: {name}")
        return self.folder / f"asset.{_hash(layer['Content'])}"

    def machine(self, construct: str = RUNS) -> dict[str, Any]:
        """Return a state machine's definition, with references as logical ids."""
        properties = self.resource("AWS::StepFunctions::StateMachine", construct)
        parts = properties["DefinitionString"]["Fn::Join"][1]
        text = "".join(part if isinstance(part, str) else _id(part) for part in parts)
        machine: dict[str, Any] = json.loads(text)
        return machine

    def tasks(self, construct: str = RUNS) -> dict[str, dict[str, Any]]:
        """Return every Task state of a machine, those inside its Maps included."""
        states = all_states(self.machine(construct)).items()
        return {name: state for name, state in states if state["Type"] == "Task"}

    def machine_role(self, construct: str) -> str:
        """Return the logical id of a machine's role."""
        properties = self.resource("AWS::StepFunctions::StateMachine", construct)
        return str(properties["RoleArn"]["Fn::GetAtt"][0])

    def role(self, function: str) -> str:
        """Return the logical id of a function's role."""
        return str(self.function(function)["Role"]["Fn::GetAtt"][0])

    def role_in(self, construct: str) -> str:
        """Return the logical id of the only role in a construct."""
        (name,) = (name for name in self.of("AWS::IAM::Role") if name.startswith(construct))
        return name

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Return the statements of a role's policies."""
        attached = [policy["Properties"] for policy in self.of("AWS::IAM::Policy").values()]
        policies = [policy for policy in attached if {"Ref": role} in policy["Roles"]]
        policies += self.of("AWS::IAM::Role")[role]["Properties"].get("Policies", [])
        documents = [policy["PolicyDocument"] for policy in policies]
        return [statement for document in documents for statement in document["Statement"]]

    def rights(self, role: str) -> set[tuple[str, str]]:
        """Return a role's rights: each action, and its resource. Denials start with `not`."""
        return {
            (
                ("" if statement["Effect"] == "Allow" else "not ") + action,
                but + self.text(resource) + _condition(statement),
            )
            for statement in self.statements(role)
            for action in many(statement["Action"])
            for but, key in (("", "Resource"), ("all but ", "NotResource"))
            for resource in many(statement.get(key, []))
        }

    def text(self, value: Any) -> str:
        """Return the value as CloudFormation resolves it, with references as kinds or names."""
        text = resolve(value, self._kind)
        assert isinstance(text, str), value
        return text

    def _kind(self, name: str, _attribute: str | None) -> str:
        known = KINDS.get(self.body["Resources"].get(name, {}).get("Type"), name)
        others = {ACCESS_LOG: "access log", PUBLIC: "public bucket"}
        kind = next((kind for start, kind in others.items() if name.startswith(start)), known)
        return kind + name.partition("StateMachine")[0] if kind.endswith(":") else kind


def resolve(value: Any, reference: Callable[[str, str | None], str]) -> Any:
    """Return a value of the template with its references resolved.

    `reference` gets the logical id and the attribute, which is None for a Ref.
    """
    match value:
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return reference(name, value["Fn::GetAtt"][1] if "Fn::GetAtt" in value else None)
        case {"Fn::Join": [mark, parts]}:
            return str(mark).join(resolve(part, reference) for part in parts)
        case {"Fn::Select": [number, {"Fn::Split": [mark, whole]}]}:
            return resolve(whole, reference).split(mark)[int(number)]
        case dict():
            return {key: resolve(part, reference) for key, part in value.items()}
        case list():
            return [resolve(part, reference) for part in value]
        case _:
            return value


def all_states(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the states of a machine, those inside its Maps included."""
    maps = (state for state in machine["States"].values() if state["Type"] == "Map")
    inner = [all_states(state["ItemProcessor"]) for state in maps]
    return {name: state for states in (machine["States"], *inner) for name, state in states.items()}


def many(value: Any) -> list[Any]:
    """Return the value as a list, since CloudFormation writes a list of one as its item."""
    return value if isinstance(value, list) else [value]


def _id(reference: dict[str, Any]) -> str:
    return str(reference["Ref"] if "Ref" in reference else reference["Fn::GetAtt"][0])


def _hash(code: dict[str, Any]) -> str:
    return str(code["S3Key"]).removesuffix(".zip")


def _condition(statement: dict[str, Any]) -> str:
    match statement.get("Condition"):
        case None:
            return ""
        case {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys, **others},
            **more,
        } if not others and not more:
            return f" where the key is {' '.join(keys)}"
        case other:
            return f" if {json.dumps(other)}"


def run_app(folder: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    """Run the app directly, as `make synth` does.

    The CDK's own validation takes most of the time, so it runs only for the default settings.
    """
    pairs = [word for setting in settings for word in ("-c", setting)]
    command = (str(ROOT / "app.py"), *pairs, "-o", str(folder))
    return run_python(*command, folder=folder.parent, validate=not settings)


def in_asset(asset: Path, code: str) -> "subprocess.CompletedProcess[str]":
    """Run code with only an asset on the path: no environment, no network, no credentials."""
    on_path = f"import sys; sys.path.insert(0, {str(asset)!r}); {code}"
    command = [sys.executable, "-I", "-B", "-c", on_path]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=asset, env={})
    assert result.returncode == 0, result.stderr
    return result


def as_on_lambda(template: Template, function: str, code: str, *runtime: str) -> str:
    """Run code with only a function's asset, layers and environment, and return its output.

    The layers are built for this machine's Python. `runtime` names the layers whose libraries are
    part of Lambda's runtime.
    """
    from infra.functions import layers

    variables = template.function(function).get("Environment", {"Variables": {}})["Variables"]
    environment = {
        name: value if isinstance(value, str) else "set" for name, value in variables.items()
    }
    environment |= {
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    built = [
        layers.build(name, layers.HERE) / "python"
        for name in (*template.layers(function), *runtime)
    ]
    paths = [str(path) for path in (template.asset(function), *built)]
    # -S leaves out this environment's packages, and -B leaves the asset unchanged.
    command = [
        sys.executable,
        "-I",
        "-S",
        "-B",
        "-c",
        f"import sys; sys.path[:0] = {paths}\n{code}",
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_python(
    *command: str, folder: Path = ROOT, validate: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Run Python in the project's folder, by default without the CDK's own validation."""
    whole, environment = [sys.executable, *command], dict(os.environ)
    if not validate:
        environment["CDK_VALIDATION"] = "false"
    return subprocess.run(
        whole, capture_output=True, text=True, check=False, cwd=folder, env=environment
    )


def check_rules(app: Any) -> None:
    """Synthesize an app under AWS's rule sets. Raise if a finding is not acknowledged."""
    from aws_cdk import Validations
    from cdk_nag import AwsSolutionsChecks, ServerlessChecks

    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    app.synth()


if __name__ == "__main__":
    from app import build

    check_rules(build(dict(setting.split("=", 1) for setting in sys.argv[2:]), sys.argv[1]))
