"""The deploy-time settings: cdk.json's context, each of which `-c name=value` overrides, as one checked dataclass."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from easel.contract import naming
from easel.contract.errors import InputError

# The calls that go on stand in one item of the table (functions/adapters/pace.py), which takes 1,000 units a second: with more, its size
# would use them up.
MAX_PARALLEL = 400
OPENAI_HOST = r"https://([a-z0-9-]+\.)*openai\.com(/|$)"


class SettingError(ValueError):
    """A setting is wrong; the message names it, its value and what is allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"setting {name} is {value!r}; allowed: {allowed}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a deployment can choose; cdk.json says what each is for."""

    aws_region: str
    bucket_name: str | None
    existing_bucket: bool
    folder_name: str
    topics: tuple[str, ...]
    chat_model: str
    image_model: str
    openai_base_url: str | None
    openai_workload_identity: str | None
    mirror: str | None
    schedule: str | None
    schedule_alarm_days: int
    alarm_email: str | None
    monthly_budget_usd: float
    unpriced_models: str
    images_per_minute: int | None
    max_parallel_images: int
    tolerated_failure_percentage: float
    max_batch_lines: int
    public_page: bool
    retain_images: bool
    customer_key: bool
    layers: bool


def read(get: Callable[[str], Any]) -> Config:
    """The settings in a CDK context; values given by `-c` are text. Raises SettingError."""
    config = Config(
        aws_region=_pattern(get, "aws_region", r"[a-z]{2}(-[a-z]+)+-\d", "a region such as ap-southeast-1"),
        bucket_name=_optional(get, "bucket_name", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "3 to 63 of a-z 0-9 . -, or nothing"),
        existing_bucket=_flag(get, "existing_bucket"),
        folder_name=_folder(get("folder_name")),
        topics=_topics(get("topics")),
        chat_model=_pattern(get, "chat_model", r"[\w.:/-]+", "a model's name"),
        image_model=_pattern(get, "image_model", r"[\w.:/-]+", "a model's name"),
        openai_base_url=_optional(get, "openai_base_url", r"https?://\S+", "an http(s) URL, or nothing"),
        openai_workload_identity=_optional(
            get, "openai_workload_identity", r"[\w.-]+/[\w.-]+", "an identity provider's id / a service account's id, or nothing"
        ),
        mirror=_mirror(get),
        schedule=_optional(get, "schedule", r"(rate|cron)\(.+\)", "rate(…), cron(…), or nothing"),
        schedule_alarm_days=_whole(get, "schedule_alarm_days", 0, 7),
        alarm_email=_optional(get, "alarm_email", r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address, or nothing"),
        monthly_budget_usd=_number(get, "monthly_budget_usd", 0, 1_000_000),
        unpriced_models=_pattern(get, "unpriced_models", r"refuse|allow", "refuse | allow"),
        images_per_minute=None if get("images_per_minute") in (None, "") else _whole(get, "images_per_minute", 1, 1_000_000),
        max_parallel_images=_whole(get, "max_parallel_images", 1, MAX_PARALLEL),
        tolerated_failure_percentage=_number(get, "tolerated_failure_percentage", 0, 100),
        max_batch_lines=_whole(get, "max_batch_lines", 1, 1_000_000),
        public_page=_flag(get, "public_page"),
        retain_images=_flag(get, "retain_images"),
        customer_key=_flag(get, "customer_key"),
        layers=_flag(get, "layers"),
    )
    if config.existing_bucket and not config.bucket_name:
        raise SettingError("bucket_name", None, "the name of your bucket, with existing_bucket")
    if config.openai_workload_identity and config.openai_base_url and not re.match(OPENAI_HOST, config.openai_base_url):
        # Its token is good for the account, and would be shown to whoever serves that address.
        raise SettingError("openai_base_url", config.openai_base_url, "an address of OpenAI's own, with openai_workload_identity")
    return config


def _pattern(get: Callable[[str], Any], name: str, pattern: str, allowed: str) -> str:
    value = get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise SettingError(name, value, allowed)
    return value


def _optional(get: Callable[[str], Any], name: str, pattern: str, allowed: str) -> str | None:
    return None if get(name) in (None, "") else _pattern(get, name, pattern, allowed)


def _flag(get: Callable[[str], Any], name: str) -> bool:
    value = get(name)
    flags = {True: True, False: False, "true": True, "false": False, "on": True, "off": False}
    if not isinstance(value, bool | str) or value not in flags:
        raise SettingError(name, value, "true | false")
    return flags[value]


def _number(get: Callable[[str], Any], name: str, least: float, most: float) -> float:
    try:
        value = float(get(name))
    except (TypeError, ValueError):
        value = float("nan")
    if not least <= value <= most:
        raise SettingError(name, get(name), f"a number from {least:,} to {most:,}")
    return value


def _whole(get: Callable[[str], Any], name: str, least: int, most: int) -> int:
    value = _number(get, name, least, most)
    if value != int(value):
        raise SettingError(name, get(name), f"a whole number from {least:,} to {most:,}")
    return int(value)


def _folder(value: object) -> str:
    try:
        return naming.check_folder(value)
    except InputError as error:
        raise SettingError("folder_name", value, error.allowed) from error


def _mirror(get: Callable[[str], Any]) -> str | None:
    part = r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*"
    return _optional(
        get,
        "mirror",
        rf"(gs|az|s3)://[a-z0-9][a-z0-9._-]{{1,61}}[a-z0-9](/{part})*",
        "gs://bucket/prefix | az://container/prefix | s3://bucket/prefix, or nothing",
    )


def _topics(value: object) -> tuple[str, ...]:
    topics = value.split(",") if isinstance(value, str) else value
    if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) and topic.strip() for topic in topics):
        raise SettingError("topics", value, "a list of topics, or text with commas between")
    return tuple(topic.strip() for topic in topics)
