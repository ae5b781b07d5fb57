"""What the mirror step needs beside the function: a secret for the other store's credentials, and the right to write to one S3 bucket."""

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from easel.contract import settings
from infra.nag import acknowledge, acknowledge_wildcard
from infra.functions.function import StepFunction


class Mirror(Construct):
    """A secret with no value: a JSON object that people set by hand. An S3 bucket needs none where the function's role may write there."""

    def __init__(
        self, scope: Construct, construct_id: str, *, url: str, step: StepFunction, pictures: s3.IBucket, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        self.secret = secretsmanager.CfnSecret(
            self,
            "Secret",
            description="Easel: the mirror's credentials, as JSON; empty for an own bucket",
            kms_key_id=key.key_arn if key else None,
        )
        acknowledge(self.secret, "AwsSolutions-SMG4", "Another store's credentials, which only a person can change there")
        step.function.add_environment(settings.MIRROR, url)
        step.function.add_environment(settings.MIRROR_SECRET, self.secret.ref)
        kind, _, place = url.partition("://")
        allowed = [
            ("secretsmanager:GetSecretValue", self.secret.ref),
            ("s3:GetObject", pictures.arn_for_objects("*")),
            # Without the right to list, S3 answers 403 and not 404 for an object that is not there.
            ("s3:ListBucket", pictures.bucket_arn),
            *((action, f"arn:{Aws.PARTITION}:s3:::{place}/*") for action in ("s3:PutObject", "s3:GetObject") if kind == "s3"),
        ]
        acknowledge_wildcard(step.role, pictures.arn_for_objects("*"), "It reads what it is told was stored, in whichever folder that is")
        if kind == "s3":
            acknowledge_wildcard(step.role, f"arn:{Aws.PARTITION}:s3:::{place}/*", "What it writes stands below the mirror's own prefix")
        for action, resource in allowed:
            step.role.add_to_principal_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
