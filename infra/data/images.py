"""The bucket: private, TLS only, versioned; what was deleted can be had back for 30 days.

It tells EventBridge what comes in, and logs who asks for what.
"""

from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.data.access_log import AccessLog

STAGING_DAYS = 30  # longer than Step Functions' redrive window of 14 days, which begins when a run ends
DELETED_DAYS = 30


class ImageStore(Construct):
    """A bucket of our own, or one that exists: then its owner keeps its rules."""

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str | None, existing: bool, retain: bool, key: kms.IKey | None = None
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket: s3.IBucket
        if existing and name:
            self.bucket = s3.Bucket.from_bucket_name(self, "Bucket", name)
            return
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            # S3 asks the key once for many objects, not for each.
            bucket_key_enabled=True if key else None,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            server_access_logs_bucket=AccessLog(self, "AccessLog", retain=retain).bucket,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY,
            auto_delete_objects=not retain,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="staging",
                    prefix="staging/",
                    expiration=Duration.days(STAGING_DAYS),
                    noncurrent_version_expiration=Duration.days(1),
                ),
                s3.LifecycleRule(id="unfinished-uploads", abort_incomplete_multipart_upload_after=Duration.days(1)),
                s3.LifecycleRule(
                    id="deleted-versions",
                    noncurrent_version_expiration=Duration.days(DELETED_DAYS),
                    expired_object_delete_marker=True,
                ),
            ],
        )
        self.bucket = bucket
        # The construct's own switch would add a function with rights of its own, to set one property of the bucket.
        resource = cast("s3.CfnBucket", bucket.node.default_child)
        events = s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(event_bridge_configuration=events)
