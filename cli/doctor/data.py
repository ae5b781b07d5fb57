"""Checks of the stored data: the bucket's and the table's protection."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from cli.doctor.deployment import Deployment
from cli.doctor.finding import Finding, ok, problem, warning
from easel.aws.client import error_code

RULES = "docs/deploy.md#use-a-bucket-that-already-exists"
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
STAGING = "staging/"


def bucket_versions(deployment: Deployment) -> Finding:
    """Check that deleted images can be restored."""
    bucket = deployment.output("Bucket")
    status = deployment.client("s3").get_bucket_versioning(Bucket=bucket).get("Status", "off")
    if status == "Enabled":
        return ok(f"{bucket} keeps versions")
    fix = deployment.aws(
        f"s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
    )
    return _fault(deployment, f"versioning of {bucket} is {status}: a delete is final", fix)


def bucket_privacy(deployment: Deployment) -> Finding:
    """Check that nobody can make the bucket public."""
    bucket = deployment.output("Bucket")
    blocked = _unless(
        "NoSuchPublicAccessBlockConfiguration",
        lambda: deployment.client("s3").get_public_access_block(Bucket=bucket),
    ).get("PublicAccessBlockConfiguration", {})
    open_ways = [name for name in BLOCKS if not blocked.get(name)]
    if not open_ways:
        return ok(f"{bucket} blocks public access")
    fix = deployment.aws(
        f"s3api put-public-access-block --bucket {bucket} --public-access-block-configuration "
        + ",".join(f"{name}=true" for name in BLOCKS)
    )
    return _fault(deployment, f"{bucket} does not set {', '.join(open_ways)}", fix)


def bucket_lifecycle(deployment: Deployment) -> Finding:
    """Check that the bucket forgets what nobody needs."""
    bucket = deployment.output("Bucket")
    rules = _unless(
        "NoSuchLifecycleConfiguration",
        lambda: deployment.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket),
    ).get("Rules", [])
    enabled = [rule for rule in rules if rule["Status"] == "Enabled"]
    whole = [rule for rule in enabled if not _prefix(rule)]
    staging = [rule for rule in enabled if STAGING.startswith(_prefix(rule))]
    lacking = [
        purpose
        for purpose, has in (
            (f"delete {STAGING}", any("Days" in rule.get("Expiration", {}) for rule in staging)),
            ("delete old versions", _any_has(whole, "NoncurrentVersionExpiration")),
            ("end unfinished uploads", _any_has(whole, "AbortIncompleteMultipartUpload")),
        )
        if not has
    ]
    if not lacking:
        return ok(f"{bucket} has {len(enabled)} lifecycle rules")
    return _fault(deployment, f"{bucket} has no rule to {', '.join(lacking)}", f"add it: {RULES}")


def table(deployment: Deployment) -> Finding:
    """Check that the table works and cannot be deleted by mistake."""
    name = deployment.output("Table")
    about = deployment.client("dynamodb").describe_table(TableName=name)["Table"]
    if about["TableStatus"] != "ACTIVE":
        return problem(f"{name} is {about['TableStatus']}", "wait until it is ACTIVE")
    if about.get("DeletionProtectionEnabled"):
        return ok(f"{name} is ACTIVE and protected from deletion")
    fix = f"dynamodb update-table --table-name {name} --deletion-protection-enabled"
    return warning(f"{name} is not protected from deletion", deployment.aws(fix))


def table_recovery(deployment: Deployment) -> Finding:
    """Check that the table can be restored to an earlier second."""
    name = deployment.output("Table")
    answer = deployment.client("dynamodb").describe_continuous_backups(TableName=name)
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        return ok(f"{name} can be restored to an earlier second")
    fix = deployment.aws(
        f"dynamodb update-continuous-backups --table-name {name} "
        "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
    )
    return problem(f"{name} has no point-in-time recovery", fix)


def _fault(deployment: Deployment, seen: str, fix: str) -> Finding:
    """Return a problem, or only a warning if the bucket is someone else's."""
    own = {bucket.id for bucket in deployment.of_kind("AWS::S3::Bucket")}
    return (problem if deployment.output("Bucket") in own else warning)(seen, fix)


def _unless(code: str, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the answer of a call, or {} if AWS answers with this code."""
    try:
        return read()
    except ClientError as error:
        if error_code(error) != code:
            raise
        return {}


def _prefix(rule: dict[str, Any]) -> str:
    conditions = rule.get("Filter", {})
    prefix = (
        rule.get("Prefix") or conditions.get("Prefix") or conditions.get("And", {}).get("Prefix")
    )
    return str(prefix or "")


def _any_has(rules: list[dict[str, Any]], action: str) -> bool:
    return any(action in rule for rule in rules)
