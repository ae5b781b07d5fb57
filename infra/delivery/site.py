"""The page's files in the distribution's bucket."""

import hashlib
from collections.abc import Mapping

from aws_cdk import Aws, CustomResource, Duration
from constructs import Construct

from easel.page.files import WEB
from infra import ROOT
from infra.functions.catalogue import SITE
from infra.functions.function import Functions


class Site(Construct):
    """A custom resource that puts the page into the bucket, and empties it at the end.

    `addresses` become the page's settings. They are empty if the stack has no page.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: Functions,
        bucket: str,
        addresses: Mapping[str, str],
    ) -> None:
        super().__init__(scope, construct_id)
        function = functions.begin(SITE).build()
        resource = CustomResource(
            self,
            "Files",
            service_token=function.function.function_arn,
            service_timeout=Duration.minutes(6),
            resource_type="Custom::Site",
            properties={
                "Bucket": bucket,
                "Owner": Aws.ACCOUNT_ID,
                **addresses,
                # A change of a file, or of the limits in the page's settings, is an update.
                "Content": _fingerprint(),
            },
        )
        resource.node.add_dependency(function.role)


def _fingerprint() -> str:
    folders = (WEB, ROOT / "easel" / "page", ROOT / "easel" / "request", ROOT / "functions")
    digest = hashlib.sha256()
    for file in sorted(file for folder in folders for file in folder.rglob("*") if file.is_file()):
        is_other = file.is_relative_to(ROOT / "functions") and file.name != "site.py"
        if file.suffix != ".pyc" and not is_other:
            digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return digest.hexdigest()
