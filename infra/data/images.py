"""The bucket: private, TLS only, versioned. A deleted object can be restored for 30 days.

It sends its events to EventBridge and logs each access.
"""

from typing import cast

from aws_cdk import Duration, Fn
from aws_cdk import aws_s3 as s3
from constructs import Construct

from easel.contract.naming import REFERENCE_INBOX, UNUSED_TAG
from infra.access.encryption import Encryption, removal
from infra.config import Config
from infra.data.private_bucket import private_bucket

# This must exceed Step Functions' redrive window of 14 days, which starts when a run ends.
STAGING_DAYS = 30
DELETED_DAYS = 30
LOGGED_DAYS = 90
PREFLIGHT_SECONDS = 3600  # how long a browser may remember what is allowed


class ImageStore(Construct):
    """The bucket of the images."""

    bucket: s3.IBucket

    def adopt(self, name: str) -> s3.IBucket:
        """Use an existing bucket. Its owner's rules stay in force."""
        self.bucket = s3.Bucket.from_bucket_name(self, "Bucket", name)
        return self.bucket

    def make(self, name: str | None, config: Config, *, encryption: Encryption) -> s3.IBucket:
        """Create a bucket."""
        retain = config.retain_images
        bucket = private_bucket(
            self,
            bucket_name=name,
            encryption=s3.BucketEncryption.KMS
            if encryption.key
            else s3.BucketEncryption.S3_MANAGED,
            encryption_key=encryption.key,
            # With a bucket key, S3 calls KMS once for many objects instead of once for each.
            bucket_key_enabled=True if encryption.key else None,
            versioned=True,
            server_access_logs_bucket=AccessLog(self, "AccessLog", retain=retain).bucket,
            removal_policy=removal(retain=retain),
            auto_delete_objects=not retain,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="staging",
                    prefix="staging/",
                    expiration=Duration.days(STAGING_DAYS),
                    noncurrent_version_expiration=Duration.days(1),
                ),
                _end_uploads(),
                s3.LifecycleRule(
                    id="reference-inbox",
                    prefix=REFERENCE_INBOX,
                    expiration=Duration.days(1),
                    noncurrent_version_expiration=Duration.days(1),
                ),
                *(
                    s3.LifecycleRule(
                        id=f"unused-{prefix.partition('/')[0]}",
                        prefix=prefix,
                        tag_filters=UNUSED_TAG,
                        expiration=Duration.days(config.upload_days),
                    )
                    for prefix in ("references/", "thumbnails/references/")
                ),
                s3.LifecycleRule(
                    id="deleted-versions",
                    noncurrent_version_expiration=Duration.days(DELETED_DAYS),
                    expired_object_delete_marker=True,
                ),
            ],
        )
        # The construct's own switch would add a function with permissions of its own, only to set
        # one property of the bucket.
        resource = cast("s3.CfnBucket", bucket.node.default_child)
        events = s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=events
        )
        self.bucket = bucket
        return bucket


def allow_page(bucket: s3.IBucket, *, page_url: str) -> None:
    """Let the page at this URL upload and read with presigned links.

    It reads images to put them into a ZIP file. An existing bucket is not changed.
    """
    if not isinstance(bucket, s3.Bucket):
        return
    scheme, host = (Fn.select(part, Fn.split("/", page_url)) for part in (0, 2))
    bucket.add_cors_rule(
        allowed_methods=[s3.HttpMethods.PUT, s3.HttpMethods.GET],
        allowed_origins=[f"{scheme}//{host}"],
        allowed_headers=["content-type"],
        max_age=PREFLIGHT_SECONDS,
    )


class AccessLog(Construct):
    """A private bucket. Only S3 may write to it, and only the access logs of one bucket."""

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool) -> None:
        super().__init__(scope, construct_id)
        self.bucket = private_bucket(
            self,
            # The customer's key is not used here, because S3 delivers access logs only to a bucket
            # with its own encryption:
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
            encryption=s3.BucketEncryption.S3_MANAGED,
            removal_policy=removal(retain=retain),
            auto_delete_objects=not retain,
            lifecycle_rules=[
                s3.LifecycleRule(id="forget", expiration=Duration.days(LOGGED_DAYS)),
                _end_uploads(),
            ],
        )


def _end_uploads() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id="unfinished-uploads", abort_incomplete_multipart_upload_after=Duration.days(1)
    )
