"""How the functions prove to OpenAI whose they are: by the key in a secret, or by their own identity and no key at all."""

from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from easel.contract import settings
from infra.nag import acknowledge

# As https://developers.openai.com/api/docs/guides/workload-identity-federation/aws has it.
AUDIENCE, TOKEN_SECONDS = "https://api.openai.com/v1", 300


class OpenAIKey(Construct):
    """A secret with no value, which `make secret` sets. CDK's own Secret would make a random one, which looks like a key and is none."""

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey | None = None) -> None:
        super().__init__(scope, construct_id)
        about = "Easel: the OpenAI API key, plain; set by make secret"
        self._secret = secretsmanager.CfnSecret(self, "Secret", description=about, kms_key_id=key.key_arn if key else None)
        said = "OpenAI has no way to change a key by program: a person makes a new one there, and make secret puts it here"
        acknowledge(self._secret, "AwsSolutions-SMG4", said)
        # A secret's Ref is its ARN on AWS.
        self.environment = {settings.SECRET: self._secret.ref}
        self.outputs = (("OpenAIKeySecret", self._secret.ref, "Set its value with make secret"),)

    def grant(self, grantee: iam.IGrantable) -> None:
        """Let one function read the value."""
        iam.Grant.add_to_principal(grantee=grantee, actions=["secretsmanager:GetSecretValue"], resource_arns=[self._secret.ref])


@dataclass(frozen=True)
class OpenAIIdentity:
    """No secret: each function's role is what OpenAI's service account is mapped to. `name` is the setting."""

    name: str

    @property
    def environment(self) -> dict[str, str]:
        """What a function needs to know."""
        return {settings.WORKLOAD_IDENTITY: self.name}

    @property
    def outputs(self) -> tuple[tuple[str, str, str], ...]:
        """What people need to know."""
        return (("OpenAIWorkloadIdentity", self.name, "Provider and service account at OpenAI; there is no key"),)

    def grant(self, grantee: iam.IGrantable) -> None:
        """Let one function have its identity signed, for OpenAI alone; the action knows no resource."""
        statement = iam.PolicyStatement(
            actions=["sts:GetWebIdentityToken"],
            resources=["*"],
            conditions={
                "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": AUDIENCE},
                "NumericLessThanEquals": {"sts:DurationSeconds": TOKEN_SECONDS},
            },
        )
        grantee.grant_principal.add_to_principal_policy(statement)
