"""Gap: what EventBridge is told of a new object lacks the id of its version."""

from ministack.services import s3

from local.ministack.edits import edit

_OBJECT = '"etag": clean_etag, "sequencer": sequencer or "0"},'
_WITH_VERSION = '"etag": clean_etag, "sequencer": sequencer or "0", **({"version-id": version_id} if version_id else {})},'


def apply() -> None:
    """Tell it, as AWS does for a bucket with versions."""
    edit(s3, "_fire_s3_event", [(_OBJECT, _WITH_VERSION)])
