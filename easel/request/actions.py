"""The actions of a request, and which of its fields each action needs or refuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from easel.contract.errors import MISSING, InputError, summarize
from easel.request import names
from easel.request.fields import Field, Kind, Schema

Table = Mapping[str, Field]
CREATE = ("create",)
REMOVALS = ("delete_image", "delete_folder")
RESTORES = ("restore_image", "restore_folder")
SHARE, UNSHARE = "share_image", "unshare_image"
MOVE = "move_image"
BY_CLEANUP = (*REMOVALS, *RESTORES, SHARE, UNSHARE, MOVE)
ACTIONS = (*CREATE, *BY_CLEANUP)
ON_IMAGES = ("delete_image", "restore_image", SHARE, UNSHARE, MOVE)
MAX_IMAGES = 1_000
IN_FOLDERS = (*CREATE, "delete_folder", "restore_folder")


@dataclass(frozen=True)
class ImageIds(Kind):
    """A list of 1 to `most` ids of images."""

    most: int

    def check(self, name: str, value: Any) -> tuple[str, ...]:
        """Return the ids, each of them once."""
        if not isinstance(value, list) or not 1 <= len(value) <= self.most:
            raise InputError(name, summarize(value), f"a list of 1 to {self.most:,} ids of images")
        return tuple(dict.fromkeys(names.check_image_id(each, name) for each in value))

    def schema(self) -> Schema:
        """Return the schema of a list of ids."""
        item = {"type": "string", "pattern": f"^{names.IMAGE_ID.pattern}$"}
        return {"type": "array", "items": item, "minItems": 1, "maxItems": self.most}


def check_action(fields: dict[str, Any], action: str, table: Table) -> None:
    """Raise InputError for a field that the action does not accept, or for a missing one."""
    if action != "create":
        _check_target(fields, action, table)
    for name, value in fields.items():
        actions = table[name].actions
        if actions and action not in actions:
            allowed = f"with action {' or '.join(actions)}"
            reason = f"action {action} does not accept it"
            shown = table[name].kind.shown(value)
            raise InputError(name, shown, allowed, but=reason)
    if "prompt" in fields:
        for name in ("description", "style", "avoid"):
            if name in fields:
                allowed = f"prompt or {name}"
                shown = summarize(fields[name])
                raise InputError(name, shown, allowed, but="prompt is used as it is")
    if "edited_prompt" in fields and fields.get("only_prompt") is True:
        reason = "only_prompt paints nothing"
        shown = table["edited_prompt"].kind.shown(fields["edited_prompt"])
        raise InputError("edited_prompt", shown, "without only_prompt", but=reason)
    for name in ("crop", "sizes_format"):
        if name in fields and "output_sizes" not in fields:
            reason = "the request has no output_sizes"
            raise InputError(name, fields[name], "only with output_sizes", but=reason)
    if "mask" in fields and "reference_images" not in fields:
        reason = "it marks what may change in the first reference image, and there is none"
        shown = table["mask"].kind.shown(fields["mask"])
        raise InputError("mask", shown, "only with reference_images", but=reason)
    # A restore removes no image, so it needs no confirmation.
    is_confirmed = fields.get("confirm") is True or fields.get("dry_run") is True
    if action in REMOVALS and not is_confirmed:
        allowed = (
            f"true, since {action} deletes images; or dry_run: true to see what would be deleted"
        )
        raise InputError("confirm", fields.get("confirm", MISSING), allowed)


def _check_target(fields: dict[str, Any], action: str, table: Table) -> None:
    """Raise InputError unless a request names what a delete, restore, share or move acts on."""
    required = ["image_key" if action in ON_IMAGES else "folder_name"]
    if action in ON_IMAGES and "image_ids" in fields:
        for name in ("image_key", "image_id"):
            if name in fields:
                raise InputError(name, fields[name], "image_ids or image_key")
        required = []
    required += ["to_folder"] if action == MOVE else []
    for name in required:
        if name not in fields:
            raise InputError(name, MISSING, table[name].note, but=f"{action} requires it")
