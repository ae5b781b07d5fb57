"""Gaps in S3: conditional copies, versions in events, and objects that stay in memory.

- CopyObject ignores `If-None-Match`, which PutObject honours.
- The event of a new object lacks the id of its version.
- In a bucket with versions, the bytes of each object stay in memory forever, although they are on
  disk and are read from there. If the disk is full when MiniStack saves an overwritten version, it
  only logs a warning, and the version is lost. This can happen on a local stack only.
"""

import functools
from typing import Any

from ministack.services import s3

from local.ministack.edits import edit, replace

_PRIOR = '    dest_prior_obj = dest_bucket["objects"].get(dest_key)\n'
# The check is atomic, because there is no await between the check and the copy.
_PRIOR_CHECKED = f"""{_PRIOR}    refused = _check_put_preconditions(headers, dest_prior_obj)
    if refused is not None:
        return refused
"""

_OBJECT = '"etag": clean_etag, "sequencer": sequencer or "0"},'
_OBJECT_WITH_VERSION = (
    '"etag": clean_etag, "sequencer": sequencer or "0",'
    ' **({"version-id": version_id} if version_id else {})},'
)


def apply() -> None:
    """Refuse a copy over an existing object, report versions, and drop bytes that are on disk."""
    edit(s3, "_copy_object", [(_PRIOR, _PRIOR_CHECKED)])
    edit(s3, "_fire_s3_event", [(_OBJECT, _OBJECT_WITH_VERSION)])
    replace(s3, "_persist_object", _dropping_bytes)


def _dropping_bytes(persist: Any) -> Any:
    """Drop the bytes of a version, as MiniStack does in a bucket without versions."""

    @functools.wraps(persist)
    def persisting(bucket: str, key: str, obj: Any) -> None:
        persist(bucket, key, obj)
        # MiniStack keeps the bytes of an object if it could not write them.
        if isinstance(obj, dict) and obj["body"] is None:
            for version in s3._object_versions.get((bucket, key), ()):
                if version["version_id"] == obj.get("version_id"):
                    version["data"] = None

    return persisting
