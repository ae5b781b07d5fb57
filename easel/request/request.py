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
from easel.contract.errors import InputError, summarize
from easel.contract.settings import RequestSettings
from easel.request import models, names, sizes
from easel.request.actions import (
    ACTIONS,
    BY_CLEANUP,
    CREATE,
    IN_FOLDERS,
    MAX_IMAGES,
    MOVE,
    ON_IMAGES,
    REMOVALS,
    SHARE,
    ImageIds,
    check_action,
)
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
from easel.request.presets import NAME as PRESET_NAME
from easel.request.presets import check_preset_name
from easel.request.references import (
    NO_INPUTS,
    Inputs,
    OneReference,
    ReferenceName,
    References,
    check_mask,
    check_reference,
)
from easel.request.tags import Tags

MAX_COUNT = 10
NOT_SHARED = "this deployment shares no images; deploy it with -c delivery=true"
OWN_IDEA = "own idea"  # the topic of a request with a description or a prompt, and no topic
# Requests that differ only in these fields count as the same request.
NOT_IN_DIGEST = (
    *("request_id", "dry_run", "safety_identifier", "notify", "person", "trigger"),
    *("only_prompt", "edited_prompt"),
)
# The record of a run keeps the request without these.
NOT_KEPT = (*NOT_IN_DIGEST, "action", "aws_region")
TRIGGERS = ("page", "api", "batch", "schedule", "console")
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
    "tags",
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
    avoid: tuple[str, ...] | None = column(
        Texts(Text(100, private=True), 20),
        "1 to 20 things that must not be in the image, passed to the chat model",
        actions=CREATE,
    )
    preset: str | None = column(
        CheckedText(check_preset_name, {"pattern": f"^{PRESET_NAME.pattern}$"}),
        "a [preset](presets.md): fields that this request has unless it has its own",
        actions=CREATE,
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
    tags: tuple[str, ...] | None = column(
        Tags(),
        "1 to 20 tags of each image, such as a campaign's name; the spending is also listed by tag",
        actions=CREATE,
    )
    person: str | None = column(
        CheckedText(names.check_person, {"pattern": f"^{names.PERSON.pattern}$"}),
        "the caller's id, for spending and the caller's budget; the API and the page set it to the "
        "signed-in user",
        actions=CREATE,
        in_batch=False,
    )
    trigger: str | None = column(
        Choice(TRIGGERS),
        "where the run was started, for the list of spending; set by the API, the page, batches "
        "and schedules",
        actions=CREATE,
        in_batch=False,
    )
    only_prompt: bool = column(
        Flag(),
        "write the prompt and stop, to read and edit it first; the same request_id paints it",
        default=False,
        actions=CREATE,
        in_batch=False,
    )
    edited_prompt: str | None = column(
        Text(32_000, private=True),
        "what to paint instead of the prompt that `only_prompt` wrote",
        actions=CREATE,
        in_batch=False,
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
    image_ids: tuple[str, ...] | None = column(
        ImageIds(MAX_IMAGES),
        "instead of `image_key`: the ids of 1 to 1,000 images",
        actions=ON_IMAGES,
        in_batch=False,
    )
    to_folder: str | None = column(
        CheckedText(names.check_folder, {"minLength": 1, "maxLength": 1024}),
        "the folder to move an image to; it keeps its name there",
        actions=(MOVE,),
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
        """Return what a request acts on: an image's key, a number of images, or a folder."""
        if self.image_ids:
            return f"{len(self.image_ids)} images"
        return self.image_key or self.folder_name

    @property
    def possible_topics(self) -> tuple[str, ...]:
        """Return the topics that a run may get: the caller's own, or else the list's."""
        if self.topic:
            return (self.topic,)
        return (OWN_IDEA,) if self.description or self.prompt else self.topics

    def started_by(self, run_id: str) -> str:
        """Return where a run was started: one of TRIGGERS."""
        return self.trigger or ("schedule" if naming.is_scheduled(run_id) else "console")

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
            "avoid": list(self.avoid or ()),
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
    check_action(fields, TABLE["action"].read(fields, settings), TABLE)
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


def digest(
    raw: dict[str, Any], inputs: Inputs = NO_INPUTS, *, preset: dict[str, Any] | None = None
) -> str:
    """Return a digest. Two requests under one run id must have the same digest.

    It covers all fields except the id itself, `dry_run`, the caller, and the channels to notify.
    It also covers the bytes of the input images, and the fields of the preset as they were.
    """
    fields = {name: value for name, value in drop_nulls(raw).items() if name not in NOT_IN_DIGEST}
    if inputs:
        fields["inputs"] = inputs.contents
    if preset is not None:
        fields["preset"] = preset
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def kept_request(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the caller's request as it is stored with the images."""
    return {name: value for name, value in drop_nulls(raw).items() if name not in NOT_KEPT}


def choices(request: Request) -> dict[str, Any]:
    """Return the fields that later steps need. The run's first execution fixes them."""
    values = asdict(request)
    return {name: values[name] for name in CHOICES}
