"""The uploader: a role that may put manifests of batches and nothing else, with whose credentials the API signs links.

Not into the inbox, where a manifest starts its batch by itself: a link gives no right to start one. Nor among a batch's own files.
"""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.nag import acknowledge_wildcard
from infra.api.reader import SESSION

MANIFESTS = ("batches/*.jsonl", "batches/*.csv")
BELOW = "batches/*/*"  # IAM's asterisk takes slashes, too


class Uploader(Construct):
    """Assumed by one function's role only."""

    def __init__(self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, by: iam.IRole) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ArnPrincipal(by.role_arn),
            max_session_duration=SESSION,
            description="Easel: signs links for manifests",
        )
        manifests = [bucket.arn_for_objects(key) for key in MANIFESTS]
        self.role.add_to_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=manifests))
        for manifest in manifests:
            acknowledge_wildcard(self.role, manifest, "A manifest is named by who sends it; one in a folder below is denied")
        below = [bucket.arn_for_objects(BELOW)]
        self.role.add_to_policy(iam.PolicyStatement(effect=iam.Effect.DENY, actions=["s3:PutObject"], resources=below))
        by.add_to_principal_policy(iam.PolicyStatement(actions=["sts:AssumeRole"], resources=[self.role.role_arn]))
