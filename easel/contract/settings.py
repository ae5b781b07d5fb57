"""The environment of the functions. Each class is a group of variables that a function declares.

The stack sets exactly the variables of the groups in a function's row of the catalogue
(infra/functions/catalogue.py). services.py reads a group when something needs it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from easel.contract.channels import Channel, read_channels
from easel.contract.errors import ConfigError
from easel.contract.money import micro_dollars

BUCKET = "EASEL_BUCKET"
BUCKET_OWNER = "EASEL_BUCKET_OWNER"
TABLE = "EASEL_TABLE"
MONTHLY_BUDGET = "EASEL_MONTHLY_BUDGET_USD"
RECOVERABLE_DAYS = "EASEL_RECOVERABLE_DAYS"
FOLDER = "EASEL_FOLDER_NAME"
TOPICS = "EASEL_TOPICS"
CHAT_MODEL = "EASEL_CHAT_MODEL"
IMAGE_MODEL = "EASEL_IMAGE_MODEL"
CHAT_SEES_REFERENCES = "EASEL_CHAT_SEES_REFERENCES"
UNPRICED_MODELS = "EASEL_UNPRICED_MODELS"
SECRET = "EASEL_OPENAI_SECRET"  # noqa: S105 - the name of the variable with the secret's name
WORKLOAD_IDENTITY = "EASEL_OPENAI_WORKLOAD_IDENTITY"  # set instead of SECRET if there is no key
# This is the openai package's own variable, so the same name works for the stack and for a program
# on a developer's machine.
OPENAI_BASE_URL = "OPENAI_BASE_URL"
OPENAI_OMIT = "EASEL_OPENAI_OMIT"
IMAGE_SECONDS = "EASEL_IMAGE_SECONDS"
CHAT_SECONDS = "EASEL_CHAT_SECONDS"
IMAGES_PER_MINUTE = "EASEL_IMAGES_PER_MINUTE"
MAX_PARALLEL_IMAGES = "EASEL_MAX_PARALLEL_IMAGES"
TOLERATED_FAILURES = "EASEL_TOLERATED_FAILURE_PERCENTAGE"
MAX_BATCH_LINES = "EASEL_MAX_BATCH_LINES"
STATE_MACHINE = "EASEL_STATE_MACHINE"
BATCH_STATE_MACHINE = "EASEL_BATCH_STATE_MACHINE"
CHANNELS = "EASEL_CHANNELS"
PRESETS = "EASEL_PRESETS"
SCHEDULE_GROUP = "EASEL_SCHEDULE_GROUP"
SCHEDULE_ROLE = "EASEL_SCHEDULE_ROLE"
SCHEDULE_QUEUE = "EASEL_SCHEDULE_QUEUE"
SIGNING_SECRET = "EASEL_SIGNING_SECRET"  # noqa: S105 - the name of the variable
PAGE_URL = "EASEL_PAGE_URL"
PUBLIC_PAGE_URL = "EASEL_PUBLIC_PAGE_URL"
READER_ROLE = "EASEL_READER_ROLE"
UPLOADER_ROLE = "EASEL_UPLOADER_ROLE"
UPLOAD_DAYS = "EASEL_UPLOAD_DAYS"
USER_POOL = "EASEL_USER_POOL"
PAGE_CLIENT = "EASEL_PAGE_CLIENT"
SIGN_IN_URL = "EASEL_SIGN_IN_URL"
DELIVERY_BUCKET = "EASEL_DELIVERY_BUCKET"
DELIVERY_URL = "EASEL_DELIVERY_URL"
MIRROR = "EASEL_MIRROR"
MIRROR_SECRET = "EASEL_MIRROR_SECRET"  # noqa: S105 - the name of the variable
REGION = "AWS_REGION"  # set by Lambda
# Only the local stack sets these: its sign-in and its token exchange run on this machine.
LOCAL_SIGN_IN_URL = "EASEL_LOCAL_SIGN_IN_URL"
LOCAL_TOKEN_URL = "EASEL_LOCAL_TOKEN_URL"  # noqa: S105 - an address

TOPIC_SEPARATOR = "\n"
LIST_SEPARATOR = ","
# The parameters of a call that a server may lack. Without them, the call asks for the same.
OMITTABLE = (
    "max_completion_tokens",
    "moderation",
    "output_format",
    "quality",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "size",
)
NO_PAGE = "none"
OWNER_DECIDES = "owner"
NO_LIMIT = "none"


def _variable(name: str, read: Callable[[str], Any] = str, *, optional: bool = False) -> Any:
    """Return the field of one variable. An optional one is None if it is missing or empty."""
    return field(metadata={"variable": name, "read": read, "optional": optional})


def write_presets(presets: Mapping[str, Any]) -> str:
    """Return presets as a function's environment has them."""
    return json.dumps(presets, ensure_ascii=False, separators=(",", ":"))


def _unless(word: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a reader that returns None for this word."""
    return lambda text: None if text == word else read(text)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A typed group of environment variables."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Return the group. Raises ConfigError with the names of missing or invalid variables."""
        missing = [name for name in cls.variables(REGION) if not environment.get(name)]
        if missing:
            lacking = ", ".join(missing)
            raise ConfigError(
                f"the function's environment lacks {lacking}; deploy the stack again to set it"
            )
        values: dict[str, Any] = {}
        for setting in fields(cls):
            text = environment.get(setting.metadata["variable"])
            try:
                values[setting.name] = setting.metadata["read"](text) if text else None
            except ValueError:
                name = setting.metadata["variable"]
                raise ConfigError(f"{name} is {text!r}, not a number") from None
        return cls(**values)

    @classmethod
    def variables(cls, *more: str) -> tuple[str, ...]:
        """Return the variables that the stack has to set. Variables set by Lambda go in `more`."""
        return tuple(
            setting.metadata["variable"]
            for setting in fields(cls)
            if not setting.metadata["optional"]
            and setting.metadata["variable"] not in {REGION} - {*more}
        )


@dataclass(frozen=True, kw_only=True)
class StorageSettings(Settings):
    """The places of images and records, and the month's budget in micro-dollars.

    `recoverable_days` is how long a delete can be undone, or None if the bucket's owner decides.
    """

    bucket: str = _variable(BUCKET)
    bucket_owner: str = _variable(BUCKET_OWNER)
    table: str = _variable(TABLE)
    region: str = _variable(REGION)
    monthly_budget_micro_usd: int = _variable(
        MONTHLY_BUDGET, lambda text: micro_dollars(float(text))
    )
    recoverable_days: int | None = _variable(RECOVERABLE_DAYS, _unless(OWNER_DECIDES, int))


@dataclass(frozen=True, kw_only=True)
class RequestSettings(Settings):
    """The defaults for fields that a request leaves out, and the chat model.

    `chat_sees_references` is whether the chat model sees thumbnails of the reference images.
    `delivery_url` is None if nothing can be shared. A request may ask to notify the `channels`.
    `presets` are the fields of each declared preset, by its name.
    """

    folder_name: str = _variable(FOLDER)
    topics: tuple[str, ...] = _variable(TOPICS, lambda text: tuple(text.split(TOPIC_SEPARATOR)))
    chat_model: str = _variable(CHAT_MODEL)
    image_model: str = _variable(IMAGE_MODEL)
    chat_sees_references: bool = _variable(CHAT_SEES_REFERENCES, lambda text: text == "true")
    unpriced_models_allowed: bool = _variable(UNPRICED_MODELS, lambda text: text == "allow")
    region: str = _variable(REGION)
    delivery_url: str | None = _variable(DELIVERY_URL, optional=True)
    channels: tuple[Channel, ...] = _variable(CHANNELS, read_channels)
    presets: Mapping[str, Any] = _variable(PRESETS, json.loads)


@dataclass(frozen=True, kw_only=True)
class OpenAISettings(Settings):
    """The access to OpenAI: a key in a secret, or a workload identity without a key.

    `workload_identity` is an identity provider's id, a slash, and a service account's id.
    `token_url` is None for OpenAI's own token exchange. The parameters in `omitted` are not sent.
    """

    secret: str | None = _variable(SECRET, optional=True)
    workload_identity: str | None = _variable(WORKLOAD_IDENTITY, optional=True)
    base_url: str | None = _variable(OPENAI_BASE_URL, optional=True)
    omitted: tuple[str, ...] | None = _variable(
        OPENAI_OMIT, lambda text: tuple(text.split(LIST_SEPARATOR)), optional=True
    )
    token_url: str | None = _variable(LOCAL_TOKEN_URL, optional=True)

    def __post_init__(self) -> None:
        if not self.secret and not self.workload_identity:
            raise ConfigError(
                f"the function's environment lacks {SECRET}; deploy the stack again to set it"
            )


@dataclass(frozen=True, kw_only=True)
class RateSettings(Settings):
    """How many image calls may start per minute (None: no limit) and run concurrently."""

    images_per_minute: int | None = _variable(IMAGES_PER_MINUTE, _unless(NO_LIMIT, int))
    max_parallel_images: int = _variable(MAX_PARALLEL_IMAGES, int)


@dataclass(frozen=True, kw_only=True)
class TimeSettings(Settings):
    """How many seconds a call may take. If `image_seconds` is None, they depend on the image."""

    chat_seconds: int = _variable(CHAT_SECONDS, int)
    image_seconds: int | None = _variable(IMAGE_SECONDS, _unless(NO_LIMIT, int))


@dataclass(frozen=True, kw_only=True)
class BatchSettings(Settings):
    """The limits of a batch, of which its start may ask for lower ones, and the channels."""

    max_parallel_images: int = _variable(MAX_PARALLEL_IMAGES, int)
    tolerated_failure_percentage: float = _variable(TOLERATED_FAILURES, float)
    max_batch_lines: int = _variable(MAX_BATCH_LINES, int)
    channels: tuple[Channel, ...] = _variable(CHANNELS, read_channels)


@dataclass(frozen=True, kw_only=True)
class MirrorSettings(Settings):
    """The second store, such as `gs://bucket/prefix`, and the secret with its credentials."""

    url: str = _variable(MIRROR)
    secret: str = _variable(MIRROR_SECRET)


@dataclass(frozen=True, kw_only=True)
class MirroredSettings(Settings):
    """The second store, or None, for functions that report which images are not mirrored."""

    mirror: str | None = _variable(MIRROR, optional=True)


@dataclass(frozen=True, kw_only=True)
class DeliverySettings(Settings):
    """The public address of shared images, ending in a slash, or None if nothing can be shared."""

    url: str | None = _variable(DELIVERY_URL, optional=True)


@dataclass(frozen=True, kw_only=True)
class SharingSettings(DeliverySettings):
    """The bucket of what is public as well, for the function that shares images."""

    bucket: str | None = _variable(DELIVERY_BUCKET, optional=True)


@dataclass(frozen=True, kw_only=True)
class EventSettings(Settings):
    """The batch machine, to distinguish batches from runs, and what notifications need.

    `public_page_url` is the address of the page, or None without a page. `signing_secret` is
    None if no webhook needs a signature.
    """

    batch_state_machine: str = _variable(BATCH_STATE_MACHINE)
    channels: tuple[Channel, ...] = _variable(CHANNELS, read_channels)
    public_page_url: str | None = _variable(PUBLIC_PAGE_URL, optional=True)
    signing_secret: str | None = _variable(SIGNING_SECRET, optional=True)


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings(Settings):
    """The group of schedules, the role that starts their runs, and the queue of failed starts."""

    group: str = _variable(SCHEDULE_GROUP)
    role: str = _variable(SCHEDULE_ROLE)
    queue: str = _variable(SCHEDULE_QUEUE)


@dataclass(frozen=True, kw_only=True)
class ApiSettings(Settings):
    """Settings of the API only. The page's URL ends in a slash, the sign-in's does not.

    `upload_days` is how long an upload is kept that no image was made from. `page_client` is None
    if the stack has no page.
    """

    state_machine: str = _variable(STATE_MACHINE)
    batch_state_machine: str = _variable(BATCH_STATE_MACHINE)
    page_url: str = _variable(PAGE_URL)
    reader_role: str = _variable(READER_ROLE)
    uploader_role: str = _variable(UPLOADER_ROLE)
    upload_days: int = _variable(UPLOAD_DAYS, int)
    user_pool: str = _variable(USER_POOL)
    page_client: str | None = _variable(PAGE_CLIENT, _unless(NO_PAGE, str))
    deployed_sign_in_url: str = _variable(SIGN_IN_URL)
    local_sign_in_url: str | None = _variable(LOCAL_SIGN_IN_URL, optional=True)

    @property
    def sign_in_url(self) -> str:
        """Return the URL where people sign in."""
        return self.local_sign_in_url or self.deployed_sign_in_url
