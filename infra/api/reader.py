"""The reader: a role that may read finished pictures and nothing else, with whose credentials the API signs links.

A link dies with the credentials that signed it. Those of a function's own role end at a time that nobody is told; those that this
role gives end when they say.
"""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.nag import acknowledge_wildcard

SESSION = Duration.hours(1)  # the most that a role gives which is assumed by another
UNFINISHED = ("staging/*", "batches/*")


class Reader(Construct):
    """Assumed by one function's role only."""

    def __init__(self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, by: iam.IRole) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ArnPrincipal(by.role_arn),
            max_session_duration=SESSION,
            description="Easel: signs links to pictures",
        )
        self.role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[bucket.arn_for_objects("*")]))
        acknowledge_wildcard(self.role, bucket.arn_for_objects("*"), "Requests choose the folders; what is unfinished is denied below")
        unfinished = [bucket.arn_for_objects(prefix) for prefix in UNFINISHED]
        self.role.add_to_policy(iam.PolicyStatement(effect=iam.Effect.DENY, actions=["s3:GetObject"], resources=unfinished))
        by.add_to_principal_policy(iam.PolicyStatement(actions=["sts:AssumeRole"], resources=[self.role.role_arn]))
