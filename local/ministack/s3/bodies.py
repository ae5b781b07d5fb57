"""Gap: in a bucket with versions each object's bytes stay in memory for good, although they are on disk and read from there.

Where the disk is full, MiniStack only warns when it sets an overwritten version aside: that version is gone then, on a local stack alone.
"""

import functools
from typing import Any

from ministack.services import s3

from local.ministack.edits import replace


def apply() -> None:
    """Drop them once they are on disk, as MiniStack does in a bucket without versions."""
    replace(s3, "_persist_object", _dropping)


def _dropping(persist: Any) -> Any:
    @functools.wraps(persist)
    def persisting(bucket: str, key: str, obj: Any) -> None:
        persist(bucket, key, obj)
        if isinstance(obj, dict) and obj["body"] is None:  # what could not be written is still there
            for version in s3._object_versions.get((bucket, key), ()):
                if version["version_id"] == obj.get("version_id"):
                    version["data"] = None

    return persisting
