"""Gap: CopyObject ignores `If-None-Match`, which PutObject honours."""

from ministack.services import s3

from local.ministack.edits import edit

_FOUND = '    dest_prior_obj = dest_bucket["objects"].get(dest_key)\n'
_CHECKED = f"""{_FOUND}    refused = _check_put_preconditions(headers, dest_prior_obj)
    if refused is not None:
        return refused
"""


def apply() -> None:
    """Refuse with 412 to copy over an existing object; atomic, since nothing between check and copy awaits."""
    edit(s3, "_copy_object", [(_FOUND, _CHECKED)])
