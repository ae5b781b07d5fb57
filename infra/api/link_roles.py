"""The roles with whose credentials the API signs links: one reads images, one puts manifests.

A link expires with the credentials that signed it. Nobody knows in advance when a function's own
credentials end; those of an assumed role come with their end.
"""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from easel.contract import settings
from infra.access.grants import Grant, Resource
from infra.functions.function import DeployedFunction, Deployment

SESSION = Duration.hours(1)  # the most for a role that is assumed by another role
ANY_FOLDER = "Requests name the folders; unfinished images are denied below"
ANY_NAME = "Senders name their manifests; manifests in a folder below are denied"


@dataclass(frozen=True)
class LinkRole:
    """What a link of one kind may do, and who knows the role by which name."""

    description: str
    resource: Resource
    variable: str
    grants: tuple[Grant, ...]


READER = LinkRole(
    "Easel: signs links to images",
    Resource.READER_ROLE,
    settings.READER_ROLE,
    (
        Grant(("s3:GetObject",), Resource.BUCKET, "/*", because=ANY_FOLDER),
        Grant(("s3:GetObject",), Resource.BUCKET, "/staging/*", deny=True),
        Grant(("s3:GetObject",), Resource.BUCKET, "/batches/*", deny=True),
    ),
)
# Not into the inbox, where a manifest starts its batch: a link does not allow to start one. Nor
# among a batch's own files. IAM's asterisk matches slashes, too.
UPLOADER = LinkRole(
    "Easel: signs links for manifests",
    Resource.UPLOADER_ROLE,
    settings.UPLOADER_ROLE,
    (
        Grant(("s3:PutObject",), Resource.BUCKET, "/batches/*.jsonl", because=ANY_NAME),
        Grant(("s3:PutObject",), Resource.BUCKET, "/batches/*.csv", because=ANY_NAME),
        Grant(("s3:PutObject",), Resource.BUCKET, "/batches/*/*", deny=True),
    ),
)


def add_link_roles(stack: Construct, function: DeployedFunction, deployment: Deployment) -> None:
    """Make both roles. Only the function can assume them."""
    for construct_id, link in (("Reader", READER), ("Uploader", UPLOADER)):
        role = iam.Role(
            Construct(stack, construct_id),
            "Role",
            assumed_by=iam.ArnPrincipal(function.role.role_arn),
            max_session_duration=SESSION,
            description=link.description,
        )
        deployment.allow(role, link.grants)
        deployment.add({link.resource: role.role_arn}, {link.variable: role.role_arn})
