"""The fields of a run's request, in one table. `{}` is a complete request.

Any mistake raises an InputError before anything is paid.
"""

import hashlib
import json
import random
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from easel.contract import naming
from easel.contract.errors import MISSING, InputError, summarize
from easel.contract.settings import RequestSettings
from easel.request import models, names, sizes
from easel.request.fields import (
    CheckedText,
    Choice,
    Flag,
    Text,
    Texts,
    WholeNumber,
    check_fields,
    column,
    drop_nulls,
    table_of,
)
from easel.request.model_choices import check_model
from easel.request.notify import NOTIFY, select_channels
from easel.request.output_sizes import (
    CROPS,
    FORMATS,
    OutputSize,
    OutputSizes,
    check_format,
    generation_size,
)
from easel.request.references import (
    NO_INPUTS,
    Inputs,
    OneReference,
    ReferenceName,
    References,
    check_mask,
    check_reference,
)

CREATE = ("create",)
REMOVALS = ("delete_image", "delete_folder")
RESTORES = ("restore_image", "restore_folder")
SHARE, UNSHARE = "share_image", "unshare_image"
BY_CLEANUP = (*REMOVALS, *RESTORES, SHARE, UNSHARE)
ACTIONS = (*CREATE, *BY_CLEANUP)
ON_IMAGES = ("delete_image", "restore_image", SHARE, UNSHARE)
IN_FOLDERS = (*CREATE, "delete_folder", "restore_folder")
MAX_COUNT = 10
NOT_SHARED = "this deployment shares no images; deploy it with -c delivery=true"
OWN_IDEA = "own idea"  # the topic of a request with a description or a prompt, and no topic
# Requests that differ only in these fields count as the same request.
NOT_IN_DIGEST = ("request_id", "dry_run", "safety_identifier", "notify")
CHOICES = (
    "folder_name",
    "file_name",
    "style",
    "count",
    "model",
    "size",
    "quality",
    "output_format",
    "output_compression",
    "background",
    "moderation",
    "safety_identifier",
    "share",
    "output_sizes",
    "crop",
    "sizes_format",
)
TOPIC = Text(200, private=True)
SAFETY_IDENTIFIER = Text(64, private=True)  # OpenAI's own limit


@dataclass(frozen=True, kw_only=True)
class Request:
    """A checked request, with all defaults filled in."""

    action: str = column(Choice(ACTIONS), "what to do", default="create", in_batch=False)
    request_id: str | None = column(
        CheckedText(names.check_run_id, {"pattern": f"^{naming.RUN_ID.pattern}$"}),
        "the run's id, 1 to 80 characters from `A-Z a-z 0-9 _ . -`; the execution's name by "
        "default; sending the same id again finishes that run and pays only for what is missing",
    )
    folder_name: str = column(
        CheckedText(
            names.check_folder,
            {"minLength": 1, "maxLength": 1024, "examples": ["campaign/spring"]},
        ),
        "the folder in the bucket, such as `campaign/spring`",
        setting="folder_name",
        actions=IN_FOLDERS,
    )
    topic: str | None = column(
        TOPIC,
        "the subject of the image; by default one of `topics`, chosen randomly; a retry uses the "
        "same one",
        actions=CREATE,
    )
    topics: tuple[str, ...] = column(
        Texts(TOPIC, 100), "the list to choose a topic from", setting="topics", actions=CREATE
    )
    description: str | None = column(
        Text(4_000, private=True),
        "your own idea; the chat model turns it into a prompt",
        actions=CREATE,
    )
    prompt: str | None = column(
        Text(32_000, private=True),
        "a finished prompt, used as it is without a chat call; not with `description` or `style`",
        actions=CREATE,
    )
    style: str | None = column(
        Text(200, private=True), "a style, passed to the chat model", actions=CREATE
    )
    reference_images: tuple[ReferenceName, ...] | None = column(
        References(OneReference(check_reference)),
        "1 to 16 keys of images in the bucket that the new image is made from: images of Easel, or "
        '[uploads](references.md); `{"key": …, "sha256": …}` insists on one version',
        actions=CREATE,
    )
    mask: ReferenceName | None = column(
        OneReference(check_mask),
        "the key of an uploaded PNG, as large as the first reference image; only where it is fully "
        "transparent may that image change",
        actions=CREATE,
    )
    count: int = column(
        WholeNumber(1, MAX_COUNT),
        "the number of variations; each is an image with its own price",
        default=1,
        actions=CREATE,
    )
    model: str = column(Text(100), "the image model", setting="image_model", actions=CREATE)
    size: str = column(
        CheckedText(sizes.check_form, {"pattern": r"^(auto|\d{1,5}x\d{1,5})$"}),
        "`auto`, or width x height in pixels; OpenAI's models make 655,360 to 8,294,400 pixels, "
        "with both sides divisible by 16 and at most 3840, and a ratio between 1:3 and 3:1; with "
        "`output_sizes`, by default the cheapest size that covers them",
        default="1024x1024",
        actions=CREATE,
    )
    quality: str = column(
        Choice(("auto", *models.QUALITIES)),
        "`xhigh` and `max` only if the model supports them",
        default="medium",
        actions=CREATE,
    )
    output_format: str = column(
        Choice(("png", "jpeg", "webp")), "the image's file format", default="png", actions=CREATE
    )
    output_compression: int | None = column(
        WholeNumber(0, 100),
        "only with jpeg and webp; OpenAI's default if not given",
        actions=CREATE,
    )
    background: str = column(
        Choice(("auto", "opaque", "transparent")),
        "`transparent` only with png and webp",
        default="auto",
        actions=CREATE,
    )
    output_sizes: tuple[OutputSize, ...] | None = column(
        OutputSizes(),
        "1 to 8 exact sizes that are cut out of each image, such as `1080x1350`, or "
        "[names](sizes.md) such as `open-graph`",
        actions=CREATE,
    )
    crop: str = column(
        Choice(CROPS),
        "for `output_sizes`: keep the part with the most detail, or the center",
        default="focus",
        actions=CREATE,
    )
    sizes_format: str = column(
        Choice(FORMATS),
        "the file format of `output_sizes`; `auto` is JPEG, or WebP for a transparent image",
        default="auto",
        actions=CREATE,
    )
    moderation: str = column(
        Choice(("auto", "low")), "how strictly OpenAI moderates", default="auto", actions=CREATE
    )
    safety_identifier: str | None = column(
        SAFETY_IDENTIFIER,
        "a hashed id of the end user; OpenAI receives it, so that one user's misuse is not "
        "attributed to you; the API and the page set it to the signed-in user",
        actions=CREATE,
    )
    file_name: str = column(
        CheckedText(names.check_file_name, {"minLength": 1, "maxLength": 1024}),
        "a template with `{date} {time} {run8} {n} {topic}`",
        default=names.DEFAULT_FILE_NAME,
        actions=CREATE,
    )
    share: bool = column(
        Flag(),
        "give each image a [public address](sharing.md) as soon as it is stored",
        default=False,
        actions=CREATE,
    )
    dry_run: bool = column(Flag(), "check and estimate; buy nothing", default=False, in_batch=False)
    notify: tuple[str, ...] | None = column(
        NOTIFY,
        "the channels to notify when the run has ended: the names or URLs of this deployment's "
        "webhooks, or "
        "`mail` ([guide](notify.md))",
        actions=CREATE,
        in_batch=False,
    )
    aws_region: str = column(Text(100), "only the stack's own region", setting="region")
    image_key: str | None = column(
        CheckedText(names.check_image_key, {"minLength": 1, "maxLength": 1024}),
        "the image's key, for an action on one image",
        actions=ON_IMAGES,
        in_batch=False,
    )
    image_id: str | None = column(
        CheckedText(names.check_image_id, {"pattern": f"^{names.IMAGE_ID.pattern}$"}),
        "with `image_key`: refuse to act if the key now belongs to another image",
        actions=ON_IMAGES,
        in_batch=False,
    )
    confirm: bool = column(
        Flag(), "must be true for a delete", default=False, actions=BY_CLEANUP, in_batch=False
    )
    purge: bool = column(
        Flag(),
        "for a delete: remove every version permanently",
        default=False,
        actions=REMOVALS,
        in_batch=False,
    )

    @property
    def target(self) -> str:
        """Return the target of a delete or a restore: an image's key or a folder."""
        return self.image_key or self.folder_name

    @property
    def possible_topics(self) -> tuple[str, ...]:
        """Return the topics that a run may get: the caller's own, or else the list's."""
        if self.topic:
            return (self.topic,)
        return (OWN_IDEA,) if self.description or self.prompt else self.topics

    def pick_topic(self, run_id: str) -> str:
        """Choose a topic. The run id is the seed, so that a retry chooses the same one."""
        topics = self.possible_topics
        return random.Random(run_id).choice(topics)  # noqa: S311 - not a secret

    def user_message(self, topic: str, inputs: Inputs = NO_INPUTS) -> str:
        """Return the request as data for the chat model, never as an instruction."""
        fields: dict[str, Any] = {
            "topic": None if topic == OWN_IDEA else topic,
            "description": self.description,
            "style": self.style,
            "reference_images": [image.alt_text for image in inputs.images],
        }
        present = {name: text for name, text in fields.items() if text}
        return json.dumps(present, ensure_ascii=False)


TABLE = table_of(Request)
FIELDS = tuple(TABLE)


def parse(raw: object, settings: RequestSettings, *, today: date) -> Request:
    """Check a caller's whole input.

    Raises InputError, ModelRetiredError, or ConfigError for a model without a known price.
    """
    if not isinstance(raw, dict):
        example = 'a JSON object, for example {} or {"topic": "Sport"}'
        raise InputError("the request", summarize(raw), example)
    check_fields(raw, FIELDS)
    fields = drop_nulls(raw)
    _check_action(fields, TABLE["action"].read(fields, settings))
    request = Request(**{name: field.read(fields, settings) for name, field in TABLE.items()})
    if request.aws_region != settings.region:
        allowed = f"{settings.region} (the bucket is in the stack's region)"
        raise InputError("aws_region", request.aws_region, allowed)
    topics = (request.topic,) if request.topic else (*request.topics, OWN_IDEA)
    names.check_key_length(request.folder_name, request.file_name, topics=topics)
    if request.share and not settings.delivery_url:
        raise InputError("share", True, "false", but=NOT_SHARED)
    if request.action == SHARE and not settings.delivery_url:
        raise InputError("action", SHARE, " | ".join(ACTIONS), but=NOT_SHARED)
    select_channels(request.notify, settings.channels)
    if request.action == "create":
        check_model(request, settings, today=today)
    if request.output_sizes:
        check_format(request.output_sizes, request.sizes_format)
        if "size" not in fields:
            size = generation_size(request.output_sizes, request.model, request.quality)
            return replace(request, size=size)
    return request


def digest(raw: dict[str, Any], inputs: Inputs = NO_INPUTS) -> str:
    """Return a digest. Two requests under one run id must have the same digest.

    It covers all fields except the id itself, `dry_run`, the user's safety_identifier, and whom to
    notify. It also covers the bytes of the input images.
    """
    fields = {name: value for name, value in drop_nulls(raw).items() if name not in NOT_IN_DIGEST}
    if inputs:
        fields["inputs"] = inputs.contents
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def choices(request: Request) -> dict[str, Any]:
    """Return the fields that later steps need. The run's first execution fixes them."""
    values = asdict(request)
    return {name: values[name] for name in CHOICES}


def _check_action(fields: dict[str, Any], action: str) -> None:
    """Raise InputError for a field that the action does not accept, or for a missing one."""
    if action != "create":
        required = "image_key" if action in ON_IMAGES else "folder_name"
        if required not in fields:
            raise InputError(required, MISSING, TABLE[required].note, but=f"{action} requires it")
    for name, value in fields.items():
        actions = TABLE[name].actions
        if actions and action not in actions:
            allowed = f"with action {' or '.join(actions)}"
            reason = f"action {action} does not accept it"
            shown = TABLE[name].kind.shown(value)
            raise InputError(name, shown, allowed, but=reason)
    if "prompt" in fields:
        for name in ("description", "style"):
            if name in fields:
                allowed = f"prompt or {name}"
                shown = summarize(fields[name])
                raise InputError(name, shown, allowed, but="prompt is used as it is")
    for name in ("crop", "sizes_format"):
        if name in fields and "output_sizes" not in fields:
            reason = "the request has no output_sizes"
            raise InputError(name, fields[name], "only with output_sizes", but=reason)
    if "mask" in fields and "reference_images" not in fields:
        reason = "it marks what may change in the first reference image, and there is none"
        shown = TABLE["mask"].kind.shown(fields["mask"])
        raise InputError("mask", shown, "only with reference_images", but=reason)
    # A restore removes no image, so it needs no confirmation.
    is_confirmed = fields.get("confirm") is True or fields.get("dry_run") is True
    if action in REMOVALS and not is_confirmed:
        allowed = (
            f"true, since {action} deletes images; or dry_run: true to see what would be deleted"
        )
        raise InputError("confirm", fields.get("confirm", MISSING), allowed)
