"""Suppresses findings of cdk-nag next to the resource that they concern, each with a reason.

A test checks the whole stack with the rule sets.
"""

import json
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Suppress a rule of a rule set, such as AwsSolutions-S1, on this construct only."""
    rule_set = rule.partition("-")[0]
    acknowledgment = Acknowledgment(id=f"{rule_set}::{rule}", reason=reason)
    Validations.of(construct).acknowledge(acknowledgment)


def acknowledge_wildcard(owner: IConstruct, resource: str, reason: str) -> None:
    """Suppress the finding that the owner, a role or its policy, has an ARN with an asterisk."""
    name = _format_arn(Stack.of(owner).resolve(resource))
    acknowledge(owner, f"AwsSolutions-IAM5[Resource::{name}]", reason)


def _format_arn(value: Any) -> str:
    """Return an ARN in the rule set's notation, with references in angle brackets."""
    match value:
        case str():
            return value.replace("${", "<").replace("}", ">")
        case {"Fn::Join": [mark, parts]}:
            return str(mark).join(_format_arn(part) for part in parts)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case _:
            return json.dumps(value, separators=(",", ":"))
