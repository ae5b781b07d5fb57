"""The credentials of the functions for OpenAI and for a second store, and the signing key.

Most secrets are created without a value, and someone sets it later. With a workload identity, the
functions reach OpenAI without a key.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Aws, CfnOutput, Stack
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from easel.contract import settings
from infra.access.encryption import Encryption
from infra.access.grants import Resource
from infra.nag import acknowledge

NO_ROTATION = (
    "OpenAI's API cannot rotate a key: someone makes a new one there, and make secret stores it "
    "here"
)
NO_ROTATION_OF_SIGNATURES = (
    "Each receiver has a copy of the key, so a rotation without them would break their checks"
)
THEIRS = "Credentials of another store, which only its owner changes"


@dataclass(frozen=True)
class Credentials:
    """The resources that the functions may use, and the settings with their names."""

    arns: Mapping[Resource, str]
    variables: Mapping[str, str]


def openai_identity(stack: Stack, name: str) -> Credentials:
    """Return credentials without a key: OpenAI maps its service account to the functions' roles.

    `name` is the setting: the ids of an identity provider and of a service account.
    """
    about = "The identity provider and service account at OpenAI; there is no key"
    CfnOutput(stack, "OpenAIWorkloadIdentity", value=name, description=about)
    # The action that signs the identity supports no resource.
    return Credentials({Resource.OPENAI_IDENTITY: "*"}, {settings.WORKLOAD_IDENTITY: name})


class OpenAIKey(Construct):
    """A secret that `make secret` sets.

    CDK's own Secret would generate a random value, which looks like a key but is not valid.
    """

    def __init__(self, scope: Construct, construct_id: str, *, encryption: Encryption) -> None:
        super().__init__(scope, construct_id)
        # A secret's Ref is its ARN on AWS.
        arn = _secret(
            self, encryption, "Easel: the OpenAI API key, plain; set by make secret", NO_ROTATION
        ).ref
        about = "Set its value with make secret"
        CfnOutput(Stack.of(self), "OpenAIKeySecret", value=arn, description=about)
        self.credentials = Credentials({Resource.OPENAI_SECRET: arn}, {settings.SECRET: arn})


class Mirror(Construct):
    """A secret that someone sets to a JSON object.

    It is not needed for an S3 bucket if the function's role may write to the bucket.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, url: str, encryption: Encryption
    ) -> None:
        super().__init__(scope, construct_id)
        text = "Easel: the mirror's credentials, as JSON; empty for a bucket of your own"
        arn = _secret(self, encryption, text, THEIRS).ref
        about = f"The credentials for {url}; set the value by hand"
        CfnOutput(Stack.of(self), "MirrorSecret", value=arn, description=about)
        arns = {Resource.MIRROR_SECRET: arn}
        kind, _, place = url.partition("://")
        if kind == "s3":
            arns[Resource.MIRROR_BUCKET] = f"arn:{Aws.PARTITION}:s3:::{place}"
        variables = {settings.MIRROR: url, settings.MIRROR_SECRET: arn}
        self.credentials = Credentials(arns, variables)


class SigningKey(Construct):
    """A secret with a random value, which signs what webhooks receive."""

    def __init__(self, scope: Construct, construct_id: str, *, encryption: Encryption) -> None:
        super().__init__(scope, construct_id)
        text = "Easel: the key that signs what webhooks receive"
        secret = _secret(self, encryption, text, NO_ROTATION_OF_SIGNATURES)
        secret.generate_secret_string = secretsmanager.CfnSecret.GenerateSecretStringProperty(
            password_length=64, exclude_punctuation=True
        )
        about = "The receivers of webhooks check the signature with its value"
        CfnOutput(Stack.of(self), "SigningKeySecret", value=secret.ref, description=about)
        arns, variables = (
            {Resource.SIGNING_SECRET: secret.ref},
            {settings.SIGNING_SECRET: secret.ref},
        )
        self.credentials = Credentials(arns, variables)


def _secret(
    scope: Construct, encryption: Encryption, description: str, reason: str
) -> secretsmanager.CfnSecret:
    """Return a secret without a value. `reason` is the reason why it is not rotated."""
    key = encryption.key
    secret = secretsmanager.CfnSecret(
        scope, "Secret", description=description, kms_key_id=key.key_arn if key else None
    )
    acknowledge(secret, "AwsSolutions-SMG4", reason)
    return secret
