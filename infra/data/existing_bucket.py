"""The check of an existing bucket at deploy time: synth looks nothing up, so the stack itself has to."""

from aws_cdk import Aws, CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.functions.function import StepFunction


class ExistingBucketCheck(Construct):
    """A custom resource that fails unless the bucket is this account's, in this region, and versioned."""

    def __init__(self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, key: kms.IKey | None = None) -> None:
        super().__init__(scope, construct_id)
        check = StepFunction(
            self,
            "Function",
            step="bucket_check",
            timeout=Duration.seconds(60),
            memory_mb=256,
            environment={},
            layers=[],
            no_dead_letters="CloudFormation calls it, waits for its answer, and fails the deploy where none comes",
            key=key,
        )
        check.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["s3:GetBucketLocation", "s3:GetBucketVersioning"], resources=[bucket.bucket_arn])
        )
        resource = CustomResource(
            self,
            "Check",
            service_token=check.function.function_arn,
            service_timeout=Duration.seconds(120),
            resource_type="Custom::ExistingBucket",
            properties={"Bucket": bucket.bucket_name, "Owner": Aws.ACCOUNT_ID, "Region": Aws.REGION},
        )
        # Without its rights the check would only find out that it has none.
        resource.node.add_dependency(check.role)
