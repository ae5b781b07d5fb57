"""Existing resources that the stack uses: a bucket, and the table of an earlier deployment.

They are checked at deploy time, because synth makes no network calls.
"""

from collections.abc import Mapping

from aws_cdk import Aws, CustomResource, Duration
from constructs import Construct

from infra.access.grants import Resource
from infra.config import Config
from infra.functions.catalogue import ADOPTION
from infra.functions.function import DeployedFunction, Deployment


class Adoption(Construct):
    """Custom resources that fail the deployment unless the existing resources are usable."""

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, config: Config
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        if config.existing_bucket:
            bucket = f"arn:{Aws.PARTITION}:s3:::{config.bucket_name}"
            deployment.arns[Resource.EXISTING_BUCKET] = bucket
        if config.adopts_table:
            table = f"arn:{Aws.PARTITION}:dynamodb:{Aws.REGION}:{Aws.ACCOUNT_ID}:table"
            deployment.arns[Resource.EXISTING_TABLE] = f"{table}/{config.existing_table}"
        self._check = DeployedFunction(
            self, "Function", spec=ADOPTION, deployment=deployment
        ).build()

    def check_bucket(self) -> None:
        """Require that the bucket is in this account and region, has versions, and is readable."""
        config = self._config
        properties = {
            "Bucket": config.bucket_name,
            "Owner": Aws.ACCOUNT_ID,
            "Region": Aws.REGION,
            "Keys": [*config.bucket_keys, *filter(None, [config.existing_key])],
            # Images without their records would be paid for again.
            "ExistingTable": config.existing_table or "",
        }
        self._require("Bucket", properties)

    def check_table(self) -> str:
        """Require that the table is one of Easel's and is readable. Return its stream."""
        key = self._config.existing_key
        properties = {"Table": self._config.existing_table, "Keys": [key] if key else []}
        resource = self._require("Table", properties)
        return resource.get_att_string("StreamArn")

    def _require(self, kind: str, properties: Mapping[str, object]) -> CustomResource:
        resource = CustomResource(
            self,
            kind,
            service_token=self._check.function.function_arn,
            service_timeout=Duration.seconds(120),
            resource_type=f"Custom::Existing{kind}",
            properties=dict(properties),
        )
        # Without its permissions, the check would report an access error instead of its result.
        resource.node.add_dependency(self._check.role)
        return resource
