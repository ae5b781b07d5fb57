"""The secret of the OpenAI key. Its value is never here: `make secret` sets it."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.acknowledged import acknowledge


class OpenAIKey(Construct):
    """A secret with no value. CDK's own Secret would make a random one, which looks like a key and is none."""

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey | None = None) -> None:
        super().__init__(scope, construct_id)
        about = "Easel: the OpenAI API key, plain; set by make secret"
        self._secret = secretsmanager.CfnSecret(self, "Secret", description=about, kms_key_id=key.key_arn if key else None)
        said = "OpenAI has no way to change a key by program: a person makes a new one there, and make secret puts it here"
        acknowledge(self._secret, "AwsSolutions-SMG4", said)
        # A secret's Ref is its ARN on AWS.
        self.name = self._secret.ref

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Let one function read the value."""
        iam.Grant.add_to_principal(grantee=grantee, actions=["secretsmanager:GetSecretValue"], resource_arns=[self._secret.ref])
