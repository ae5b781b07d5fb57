"""How the functions prove to OpenAI, and to a second store, whose they are.

Secrets are made without a value, which someone sets by hand. OpenAI can also be reached by the
functions' own identity, without any key.
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
    "OpenAI's API cannot rotate a key: someone makes a new one there, and make secret stores it"
    " here"
)
THEIRS = "Credentials of another store, which only its owner changes"


@dataclass(frozen=True)
class Credentials:
    """What the functions may use, and the settings by which they find it."""

    arns: Mapping[Resource, str]
    variables: Mapping[str, str]


def openai_identity(stack: Stack, name: str) -> Credentials:
    """Return the credentials without a key: OpenAI maps its service account to the roles.

    `name` is the setting, an identity provider's and a service account's id.
    """
    about = "The identity provider and service account at OpenAI; there is no key"
    CfnOutput(stack, "OpenAIWorkloadIdentity", value=name, description=about)
    # The action that signs the identity knows no resource.
    return Credentials({Resource.OPENAI_IDENTITY: "*"}, {settings.WORKLOAD_IDENTITY: name})


class OpenAIKey(Construct):
    """A secret that `make secret` sets.

    CDK's own Secret would generate a random value, which looks like a key and is not one.
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

    An S3 bucket needs none if the function's role may write there.
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


def _secret(
    scope: Construct, encryption: Encryption, description: str, because: str
) -> secretsmanager.CfnSecret:
    """Return a secret without a value; `because` is why it is not rotated."""
    key = encryption.key
    secret = secretsmanager.CfnSecret(
        scope, "Secret", description=description, kms_key_id=key.key_arn if key else None
    )
    acknowledge(secret, "AwsSolutions-SMG4", because)
    return secret
