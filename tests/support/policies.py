"""The policies of a synthesized template, and what they decide about a call.

References become the ARNs of a fictional account. The emulator's evaluator makes the decisions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ministack.core.iam_evaluator import (
    EvalContext,
    combine_resource_policy,
    evaluate,
    evaluate_resource_policy,
    parse_policy_document,
)

from tests.support.template import (
    ACCESS_LOG,
    BATCHES,
    KEY_OF_OURS,
    KEY_OF_THEIRS,
    PICTURES,
    RUNS,
    Template,
    many,
    resolve,
)

ACCOUNT, OTHER_ACCOUNT, REGION = "123456789012", "999999999999", "ap-southeast-1"
HERE = f"{REGION}:{ACCOUNT}"
PSEUDO = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws"}
# Two roles that the template does not have. Their own policies allow everything.
ADMINISTRATOR, STRANGER = "administrator", "stranger of another account"
EXISTING_KEYS = (KEY_OF_OURS, KEY_OF_THEIRS)
SERVICE = ".amazonaws.com"  # the end of the name of a service that calls
# A resource's physical name is its logical id. S3's names are in lower case.
ARNS = {
    "AWS::ApiGatewayV2::Api": f"arn:aws:execute-api:{HERE}:{{}}",
    "Custom::ExistingTable": f"arn:aws:dynamodb:{HERE}:table/{{}}",
    "AWS::Cognito::UserPool": f"arn:aws:cognito-idp:{HERE}:userpool/{{}}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{HERE}:table/{{}}",
    "AWS::Events::ApiDestination": f"arn:aws:events:{HERE}:api-destination/{{}}/a1b2",
    "AWS::Events::Connection": f"arn:aws:events:{HERE}:connection/{{}}/a1b2",
    "AWS::Events::Rule": f"arn:aws:events:{HERE}:rule/{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{HERE}:key/{{}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{HERE}:function:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{HERE}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SecretsManager::Secret": f"arn:aws:secretsmanager:{HERE}:secret:{{}}-a1b2c3",
    "AWS::SNS::Topic": f"arn:aws:sns:{HERE}:{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{HERE}:{{}}",
    "AWS::StepFunctions::StateMachine": f"arn:aws:states:{HERE}:stateMachine:{{}}",
}
# A reference to one of these is its ARN. A reference to any other resource is its name.
REFERRED_BY_ARN = {
    "AWS::SecretsManager::Secret",
    "AWS::SNS::Topic",
    "AWS::StepFunctions::StateMachine",
}
# The properties of a policy that is attached to other resources: those resources, and the document.
ATTACHED = {
    "AWS::S3::BucketPolicy": ("Bucket", "PolicyDocument"),
    "AWS::SNS::TopicPolicy": ("Topics", "PolicyDocument"),
    "AWS::SQS::QueuePolicy": ("Queues", "PolicyDocument"),
}
# The property of a resource that is its own policy.
BUILT_IN = {"AWS::IAM::Role": "AssumeRolePolicyDocument", "AWS::KMS::Key": "KeyPolicy"}
# Here a caller's own policies do not suffice: the resource's policy has to allow the call as well.
OWN_POLICY_DECIDES = ("kms", "sts")

# The names of resources in calls, each with the resource's type and construct.
NAMES = {
    "images": ("AWS::S3::Bucket", PICTURES),
    "access_log": ("AWS::S3::Bucket", ACCESS_LOG),
    "runs": ("AWS::StepFunctions::StateMachine", RUNS),
    "batches": ("AWS::StepFunctions::StateMachine", BATCHES),
    "key": ("AWS::KMS::Key", "Encryption"),
    "gateway": ("AWS::ApiGatewayV2::Api", "HttpApi"),
    "reader": ("AWS::IAM::Role", "ReaderRole"),
    "uploader": ("AWS::IAM::Role", "UploaderRole"),
    "topic": ("AWS::SNS::Topic", "Alarms"),
    "channel_topic": ("AWS::SNS::Topic", "Channels"),
    "channels_queue": ("AWS::SQS::Queue", "Channels"),
    "shop": ("AWS::Events::ApiDestination", "ChannelsShop"),
    "shop_rule": ("AWS::Events::Rule", "ChannelsShop"),
    "chat": ("AWS::Events::ApiDestination", "ChannelsChat"),
    "mail_rule": ("AWS::Events::Rule", "ChannelsMail"),
    "inbox_rule": ("AWS::Events::Rule", "BatchInbox"),
    "inbox_queue": ("AWS::SQS::Queue", "BatchInbox"),
    "uploads_rule": ("AWS::Events::Rule", "UploadInbox"),
    "uploads_queue": ("AWS::SQS::Queue", "UploadInbox"),
    "schedule_rule": ("AWS::Events::Rule", "Schedule"),
    "schedule_queue": ("AWS::SQS::Queue", "ScheduleDeadLetters"),
    "schedules_queue": ("AWS::SQS::Queue", "SchedulesDeadLetters"),
    "failures_rule": ("AWS::Events::Rule", "Announcements"),
    "failures_queue": ("AWS::SQS::Queue", "Announcements"),
}

Statement = dict[str, Any]
Value = str | list[str]
Context = Mapping[str, Value]


@dataclass(frozen=True)
class Call:
    """An action of a caller on a resource, and the keys of the request.

    The caller is a function, the construct of a role, a service, or ADMINISTRATOR or STRANGER. A
    name in braces is the ARN of a resource: see `Account.names`.
    """

    caller: str
    action: str
    resource: str
    context: Context = field(default_factory=dict)

    def __str__(self) -> str:
        request = "".join(f", {key}={value}" for key, value in self.context.items())
        return f"{self.caller}: {self.action} on {self.resource}{request}"


class Account:
    """A fictional account with the resources and policies of a template."""

    def __init__(self, template: Template) -> None:
        self.template = template

    def allows(self, call: Call) -> bool:
        """Return whether the caller's and the resource's policies allow a call."""
        resource = call.resource.format_map(self.names)
        context = {key.lower(): self._named(value) for key, value in call.context.items()}
        request = EvalContext(
            principal_arn=self._principal(call.caller),
            principal_type="AssumedRole",
            principal_account=OTHER_ACCOUNT if call.caller == STRANGER else ACCOUNT,
            action=call.action,
            resource_arn=resource,
            region=REGION,
            source_ip="192.0.2.1",
            secure_transport=context.get("aws:securetransport", "true") == "true",
            service_context=context,
        )
        policy = {"Statement": self._resource_statements(resource)}
        if call.caller.endswith(SERVICE):
            result = evaluate_resource_policy(policy, request, service=call.caller)
        else:
            required = call.action.partition(":")[0] in OWN_POLICY_DECIDES
            own = evaluate(request, self._role_policies(call.caller))
            result = combine_resource_policy(own, request, policy, ACCOUNT, required=required)
        return str(result.decision) == "Allow"

    @cached_property
    def names(self) -> dict[str, str]:
        """Return the ARNs that calls name in braces. Not every template has all of them."""
        named = {
            name: self.arn(resource)
            for name, (kind, construct) in NAMES.items()
            for resource in self.template.of(kind)
            if resource.startswith(construct)
        }
        executions = {
            name: named[machine].replace(":stateMachine:", ":execution:")
            for name, machine in (("run_execution", "runs"), ("batch_execution", "batches"))
        }
        adopted = {"images": "arn:aws:s3:::mine"}  # the bucket, if the template has none
        return adopted | {"here": HERE} | named | executions | self._functions

    def statements(self) -> Iterator[tuple[str, Statement]]:
        """Yield every statement of every policy, with the logical id of the resource it is in."""
        for name, resource in self.template.body["Resources"].items():
            for document in _documents(resource.get("Properties", {})):
                yield from ((name, self._resolved(each)) for each in many(document["Statement"]))

    def arn(self, name: str) -> str:
        """Return the ARN of a resource, by its logical id."""
        kind = self.template.body["Resources"][name]["Type"]
        return ARNS[kind].format(name.lower() if kind == "AWS::S3::Bucket" else name)

    @cached_property
    def roles(self) -> dict[str, str]:
        """Return the logical ids of all roles, by the function or else by the construct."""
        roles = {self.template.role(function): function for function in self._functions}
        suffix = len("07D5A14E")
        return {
            roles.get(role, role[:-suffix]): role for role in self.template.of("AWS::IAM::Role")
        }

    @cached_property
    def _functions(self) -> dict[str, str]:
        """Return the ARNs of Easel's functions."""
        handlers = {
            name: properties["Handler"].split(".")
            for name, properties in self._properties("AWS::Lambda::Function").items()
        }
        return {
            handler[1]: self.arn(name)
            for name, handler in handlers.items()
            if handler[0] == "functions"
        }

    def _principal(self, caller: str) -> str:
        if caller.endswith(SERVICE):
            return caller
        account = OTHER_ACCOUNT if caller == STRANGER else ACCOUNT
        return f"arn:aws:sts::{account}:assumed-role/{self.roles.get(caller, caller)}/session"

    def _role_policies(self, caller: str) -> list[Any]:
        if caller in (ADMINISTRATOR, STRANGER):
            everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
            return [parse_policy_document({"Statement": everything})]
        statements = self._resolved(self.template.statements(self.roles[caller]))
        return [parse_policy_document({"Statement": statements})]

    def _resource_statements(self, resource: str) -> list[Statement]:
        # An object is covered by the policy of its bucket.
        bucket = resource.partition("/")[0]
        return self._own_policies.get(resource) or self._own_policies.get(bucket, [])

    @cached_property
    def _own_policies(self) -> dict[str, list[Statement]]:
        """Return the statements of the resources' own policies, by ARN."""
        # The owner of an existing key lets the policies of IAM decide.
        owner = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        by_iam = {"Effect": "Allow", "Principal": owner, "Action": "kms:*", "Resource": "*"}
        policies: dict[str, list[Statement]] = {key: [by_iam] for key in EXISTING_KEYS}
        for kind, (property_, document) in ATTACHED.items():
            for properties in self._properties(kind).values():
                for resource in many(properties[property_]):
                    policies[self.arn(resource["Ref"])] = properties[document]["Statement"]
        for kind, document in BUILT_IN.items():
            for name, properties in self._properties(kind).items():
                policies[self.arn(name)] = properties[document]["Statement"]
        for properties in self._properties("AWS::Lambda::Permission").values():
            function = self._resolved(properties["FunctionName"])
            policies.setdefault(function, []).append(_permission(properties))
        return {arn: self._resolved(statements) for arn, statements in policies.items()}

    def _properties(self, kind: str) -> dict[str, dict[str, Any]]:
        resources = self.template.of(kind).items()
        return {name: resource["Properties"] for name, resource in resources}

    def _named(self, value: Value) -> Value:
        return value.format_map(self.names) if isinstance(value, str) else value

    def _resolved(self, value: Any) -> Any:
        return resolve(value, self._reference)

    def _reference(self, name: str, attribute: str | None) -> str:
        if name in PSEUDO:
            return PSEUDO[name]
        kind = self.template.body["Resources"][name]["Type"]
        if attribute is None and kind not in REFERRED_BY_ARN:
            return name.lower() if kind == "AWS::S3::Bucket" else name
        assert attribute in (None, "Arn", "StreamArn"), (name, attribute)
        stream = "/stream/2026-01-01T00:00:00.000" if attribute == "StreamArn" else ""
        return self.arn(name) + stream


def is_met(operator: str, expected: Value, actual: Value | None) -> bool:
    """Return whether the evaluator considers a condition as met. No value means no such key."""
    condition = {operator: {"easel:Key": expected}}
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
    request = EvalContext(
        principal_arn="",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action="s3:GetObject",
        resource_arn="*",
        region=REGION,
        service_context={} if actual is None else {"easel:key": actual},
    )
    result = evaluate(request, [parse_policy_document({"Statement": statement})])
    return str(result.decision) == "Allow"


def _documents(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the policy documents in a resource's properties."""
    if isinstance(value, dict) and "Statement" in value:
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _documents(part)


def _permission(properties: dict[str, Any]) -> Statement:
    """Return the statement that Lambda makes from a permission."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": properties["Principal"]},
        "Action": properties["Action"],
        "Resource": properties["FunctionName"],
        "Condition": {"ArnLike": {"aws:SourceArn": properties["SourceArn"]}},
    }
