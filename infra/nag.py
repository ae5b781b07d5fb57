"""What AWS's rule sets object to and is meant, each beside its own resource with its reason: a test has the sets check the stack."""

import json
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Let a rule of a rule set, such as AwsSolutions-S1, pass on this construct alone."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"{rule.partition('-')[0]}::{rule}", reason=reason))


def acknowledge_wildcard(owner: IConstruct, resource: str, reason: str) -> None:
    """Let the right on a resource with an asterisk in its ARN pass that a role, or a policy of the owner, has."""
    acknowledge(owner, f"AwsSolutions-IAM5[Resource::{_named(Stack.of(owner).resolve(resource))}]", reason)


def _named(value: Any) -> str:
    """An ARN as the rule set names it in what it finds, with references in angle brackets."""
    match value:
        case str():
            return value.replace("${", "<").replace("}", ">")
        case {"Fn::Join": [mark, parts]}:
            return str(mark).join(_named(part) for part in parts)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case _:
            return json.dumps(value, separators=(",", ":"))
