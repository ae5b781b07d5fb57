"""S3 as presigned links name it: the bucket as the host, in the bucket's own region."""

from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from easel.aws.client import translate_errors


def regional_s3(region: str, *, access_key: str, secret_key: str, token: str) -> Any:
    """Return a client whose links name the bucket's own region.

    S3 may redirect requests for any other host, and then the signature would not match.
    """
    options: Any = {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    return boto3.client(
        "s3",
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        config=Config(signature_version="s3v4", s3=options),
    )


def origin(bucket: str, *, region: str) -> str:
    """Return the scheme, host and port of all links to a bucket, without a network call."""
    anonymous = regional_s3(region, access_key="none", secret_key="none", token="none")  # noqa: S106
    with translate_errors("signing a link"):
        link = anonymous.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "any"}, ExpiresIn=1
        )
    address = urlsplit(str(link))
    return f"{address.scheme}://{address.netloc}"
