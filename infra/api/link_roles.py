"""The roles that sign the API's links: one reads images, one puts manifests and uploads.

A link expires with the credentials that signed it. The expiry of a function's own credentials is
unknown, but an assumed role's credentials have a known expiry.
"""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from easel.contract import settings
from easel.contract.naming import REFERENCE_INBOX
from infra.access.grants import Grant, Resource, read_images
from infra.functions.function import DeployedFunction, Deployment

SESSION = Duration.hours(1)  # the maximum for a role that another role assumes
ANY_UPLOAD = "Each upload has a random name"
ANY_NAME = "Senders name their manifests; manifests in a folder below are denied"


@dataclass(frozen=True)
class LinkRole:
    """The permissions of one kind of link, and the names of its role."""

    description: str
    resource: Resource
    variable: str
    grants: tuple[Grant, ...]


READER = LinkRole(
    "Easel: signs links to images",
    Resource.READER_ROLE,
    settings.READER_ROLE,
    read_images("s3:GetObject", reason="Requests name the folders; other files are denied"),
)
# The pattern excludes the inbox, because a manifest there starts a batch, and a link must not. It
# also excludes a batch's own files. In IAM an asterisk also matches slashes.
UPLOADER = LinkRole(
    "Easel: signs links for manifests and uploads",
    Resource.UPLOADER_ROLE,
    settings.UPLOADER_ROLE,
    (
        Grant(("s3:PutObject",), Resource.BUCKET, "/batches/*.jsonl", reason=ANY_NAME),
        Grant(("s3:PutObject",), Resource.BUCKET, "/batches/*.csv", reason=ANY_NAME),
        Grant(("s3:PutObject",), Resource.BUCKET, "/batches/*/*", deny=True),
        Grant(("s3:PutObject",), Resource.BUCKET, f"/{REFERENCE_INBOX}*", reason=ANY_UPLOAD),
    ),
)


def add_link_roles(stack: Construct, function: DeployedFunction, deployment: Deployment) -> None:
    """Create both roles. Only the function can assume them."""
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
