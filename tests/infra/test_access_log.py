"""Promises of the access log of the images' bucket."""

from tests.support.template import ACCESS_LOG, EXISTING, PICTURES, Synth, Template


def test_image_requests_are_logged_and_expire(template: Template) -> None:
    (log,) = (name for name in template.of("AWS::S3::Bucket") if name.startswith(ACCESS_LOG))
    assert template.resource("AWS::S3::Bucket", PICTURES)["LoggingConfiguration"] == {
        "DestinationBucketName": {"Ref": log}
    }

    bucket = template.resource("AWS::S3::Bucket", ACCESS_LOG)
    assert 90 in [
        rule.get("ExpirationInDays") for rule in bucket["LifecycleConfiguration"]["Rules"]
    ]
    assert "VersioningConfiguration" not in bucket
    assert "LoggingConfiguration" not in bucket  # a log of the log would never end


def test_only_s3_writes_the_access_log(template: Template) -> None:
    statements = template.resource("AWS::S3::BucketPolicy", ACCESS_LOG)["PolicyDocument"][
        "Statement"
    ]
    (allowed,) = (statement for statement in statements if statement["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert allowed["Action"] == "s3:PutObject"

    (source,) = allowed["Condition"]["ArnLike"].values()
    assert source["Fn::GetAtt"][0].startswith(PICTURES)
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_existing_bucket_gets_no_log(synth: Synth) -> None:
    assert synth(*EXISTING).of("AWS::S3::Bucket") == {}
