"""Gaps: CloudFormation leaves out properties that protect stored data.

- A bucket has none of its lifecycle rules.
- A table has no point-in-time recovery.
"""

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ministack.services import dynamodb, s3
from ministack.services.cloudformation import provisioners

from local.ministack.edits import PatchError, edit, replace

_RULES = "LifecycleConfiguration"
_RECOVERY = "PointInTimeRecovery"
_CREATED = "    _dynamodb._tables[name] = table\n"
_UPDATED = '    data = {"TableName": name}\n'


def apply() -> None:
    """Let CloudFormation set both. Raise PatchError if it already does."""
    replace(provisioners, "_S3_BUCKET_CONFIGURATIONS", _with_rules)
    recover = "    _easel_recover(name, {}props)\n"
    edit(provisioners, "_ddb_create", [(_CREATED, _CREATED + recover.format(""))])
    edit(
        provisioners,
        "_ddb_update",
        [(_UPDATED, _UPDATED + recover.format("new_"))],
        _easel_recover=_recover,
    )


def _with_rules(configurations: Any) -> Any:
    if any(configuration[0] == _RULES for configuration in configurations):
        raise PatchError(_RULES, "is known")
    rules = (_RULES, _rules_xml, s3._put_bucket_lifecycle, s3._delete_bucket_lifecycle)
    return (*configurations, rules)


def _rules_xml(configuration: dict[str, Any]) -> bytes:
    """Return the body of PutBucketLifecycleConfiguration for the kinds of rules that Easel has."""
    root = Element("LifecycleConfiguration", xmlns=s3.S3_NS)
    for rule in configuration["Rules"]:
        entry = SubElement(root, "Rule")
        SubElement(entry, "ID").text = rule["Id"]
        SubElement(entry, "Status").text = rule["Status"]
        SubElement(SubElement(entry, "Filter"), "Prefix").text = rule.get("Prefix", "")
        expiration = {
            "Days": rule.get("ExpirationInDays"),
            "ExpiredObjectDeleteMarker": rule.get("ExpiredObjectDeleteMarker"),
        }
        for name, values in (
            ("Expiration", expiration),
            ("NoncurrentVersionExpiration", rule.get("NoncurrentVersionExpiration", {})),
            ("AbortIncompleteMultipartUpload", rule.get("AbortIncompleteMultipartUpload", {})),
        ):
            texts = {key: str(value).lower() for key, value in values.items() if value is not None}
            if texts:
                action = SubElement(entry, name)
                for key, text in texts.items():
                    SubElement(action, key).text = text
    return tostring(root)


def _recover(table: str, properties: dict[str, Any]) -> None:
    specification = properties.get(f"{_RECOVERY}Specification", {})
    enabled = specification.get(f"{_RECOVERY}Enabled")
    dynamodb._pitr_settings[table] = str(enabled).lower() == "true"
