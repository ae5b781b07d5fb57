"""The deploy-time settings, as one checked dataclass.

They are the context of cdk.json. `-c name=value` overrides a setting.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from easel.contract import settings
from easel.contract.channels import MAIL, Channel, Form, When, write_channels
from easel.contract.errors import InputError
from easel.request import models, time_limits
from easel.request.names import check_folder
from easel.schedules.schedule import Schedule
from infra.presets import read_presets
from infra.schedule_settings import read_schedule, read_schedules
from infra.setting_values import SettingError, flag, matching, number, optional, whole
from infra.webhooks import Webhook, read_webhooks

# All running calls share one record of the table (easel/ledger/rate_limit.py), which allows 1,000
# write units a second. With more calls, the record's size would exceed that.
MAX_PARALLEL = 400
# The batch function has 512 MB of temporary storage and 15 minutes. A million lines do not fit into
# the first, and hardly into the second.
MAX_BATCH_LINES = 100_000
REGION = r"[a-z]{2}(-[a-z]+)+-\d"
# A dot in the name would break links over TLS, whose host begins with the bucket's name.
BUCKET = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
TABLE = r"[A-Za-z0-9_.-]{3,255}"
NEW = "new"
USERS = rf"{REGION}_[A-Za-z0-9]+"
KEY_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}"
KEY = rf"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{{12}}:key/({KEY_ID})"
KEYS = "ARNs of KMS keys, separated by commas, or nothing"
# Lambda gives a function 4 KB for its environment. The other variables need the rest.
MAX_TOPICS_BYTES = 1200
PART = r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*"
MIRROR = rf"(gs|az|s3)://[a-z0-9][a-z0-9._-]{{1,61}}[a-z0-9](/{PART})*"
MIRRORS = "gs://bucket/prefix | az://container/prefix | s3://bucket/prefix"
OPENAI_HOST = r"https://([a-z0-9-]+\.)*openai\.com(/|$)"
SEND_ALL = "none"
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = rf"({LABEL}\.)+[a-z][a-z0-9-]*[a-z0-9]"
DOMAINS = "a domain such as images.example.com, or nothing"
# CloudFront takes certificates of this region only, wherever the stack is.
CERTIFICATE = r"arn:aws[a-z-]*:acm:us-east-1:\d{12}:certificate/[0-9a-f-]{36}"
CERTIFICATES = "the ARN of a certificate in us-east-1, or nothing"
MAIL_ADDRESS = r"[^@\s]+@[^@\s]+\.[^@\s]+"


def setting(note: str) -> Any:
    """Return a field of Config with its note for the reference."""
    return field(metadata={"note": note})


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of a deployment. The defaults are in cdk.json."""

    aws_region: str = setting("the region of the stack and its bucket")
    bucket_name: str | None = setting("a name for the bucket; by default CloudFormation names it")
    existing_bucket: bool = setting(
        "use the bucket named in `bucket_name`, which must be yours and keep versions"
    )
    existing_table: str | None = setting(
        "use the table of an earlier deployment ([guide](deploy.md#come-back-after-a-destroy)); "
        "`new` begins without records in a bucket that holds images"
    )
    existing_users: str | None = setting("use the user pool of an earlier deployment, by its id")
    existing_key: str | None = setting(
        "use the KMS key of an earlier deployment with `customer_key`, by its ARN"
    )
    bucket_keys: tuple[str, ...] = setting(
        "ARNs of the KMS keys that encrypt your existing bucket or the mirror's bucket"
    )
    folder_name: str = setting("the default folder of a request")
    topics: tuple[str, ...] = setting("the default topics of a request")
    chat_model: str = setting("the model that writes prompts; synth warns if it shuts down soon")
    chat_sees_references: bool = setting(
        "show the chat model thumbnails of a request's reference images, if it sees images"
    )
    image_model: str = setting("the model that makes images; synth warns if it shuts down soon")
    openai_base_url: str | None = setting(
        "an OpenAI-compatible server; by default OpenAI ([guide](compatible-servers.md))"
    )
    openai_omit: tuple[str, ...] = setting(
        "parameters that are not sent, separated by commas; by default `safety_identifier` if "
        "`openai_base_url` is another server, or else none; `none` sends all"
    )
    chat_seconds: int = setting("the time limit of a chat call in seconds, 10 to 435")
    image_seconds: int | None = setting(
        "the time limit of an image call in seconds, 60 to 835; by default 180 to 835, by the "
        "image's quality and size"
    )
    openai_workload_identity: str | None = setting(
        "sign in to OpenAI without a key: `identity provider/service account` "
        "([guide](openai-without-a-key.md))"
    )
    mirror: str | None = setting(
        "a second store for a copy of each image: `gs://bucket/prefix`, `az://container/prefix` or "
        "`s3://bucket/prefix` ([guide](mirror.md))"
    )
    delivery: bool = setting(
        "deploy a CloudFront distribution for shared images, the page and the API "
        "([guide](sharing.md)); the local stack always has it"
    )
    delivery_domain: str | None = setting(
        "the distribution's own domain, such as `images.example.com`"
    )
    delivery_certificate: str | None = setting(
        "the ARN of that domain's certificate, in `us-east-1`"
    )
    schedule: str | None = setting("`rate(…)` or `cron(…)`, in UTC ([guide](schedule.md))")
    schedules: tuple[Schedule, ...] = setting(
        "schedules with time zones and requests of their own ([guide](schedule.md))"
    )
    schedule_alarm_days: int = setting(
        "ring an alarm after this many days without an image from the schedule, 1 to 6; 0 for no "
        "alarm"
    )
    alarm_email: str | None = setting("the address for alarms; AWS asks it to confirm")
    presets: Mapping[str, Any] = setting(
        "named styles of the house, which requests use by `preset`; see [presets](presets.md)"
    )
    webhooks: tuple[Webhook, ...] = setting(
        "addresses to notify when a run or a batch has ended ([guide](notify.md))"
    )
    notify_email: str | None = setting(
        "the address for mails about finished runs and batches; AWS asks it to confirm"
    )
    notify_email_when: str = setting(
        '`requested`: mail if a request has `notify: ["mail"]`; `always`: mail at each end'
    )
    monthly_budget_usd: float = setting(
        "the monthly cap: a paid call starts only if its upper bound fits; 0 stops all spending"
    )
    unpriced_models: str = setting(
        "`refuse` or `allow` models without a known price; the cap does not cover them"
    )
    images_per_minute: int | None = setting(
        "image calls per minute, for all runs and batches together; by default only OpenAI's limit"
    )
    max_parallel_images: int = setting(
        "image calls at the same time, for all runs and batches together, 1 to 400"
    )
    tolerated_failure_percentage: float = setting(
        "the percentage of a batch's lines that may fail before the batch stops"
    )
    max_batch_lines: int = setting("the maximum number of lines of a batch")
    upload_days: int = setting(
        "delete an uploaded image after this many days if no image was made from it, 1 to 365"
    )
    public_page: bool = setting(
        "deploy the web page with its sign-in; the local stack always has it"
    )
    program_sign_in: bool = setting(
        "let programs sign in to the API, for about $6 a month; the local stack always does"
    )
    retain_images: bool = setting("keep bucket, table and users when the stack is destroyed")
    customer_key: bool = setting(
        "encrypt with a KMS key of your account ([guide](deploy.md#use-your-own-kms-key))"
    )
    layers: bool = setting(
        "deploy the Lambda layers; off on the local stack, which uses the virtual environment"
    )

    @property
    def adopts_table(self) -> bool:
        """Return whether the stack uses an existing table."""
        return self.existing_table not in (None, NEW)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return the channels that requests may notify."""
        webhooks = tuple(webhook.channel for webhook in self.webhooks)
        if not self.notify_email:
            return webhooks
        return (*webhooks, Channel(name=MAIL, form=Form.MAIL, when=When(self.notify_email_when)))

    def variables(self) -> dict[str, str]:
        """Return the settings that the functions read from their environment."""
        variables = {
            settings.FOLDER: self.folder_name,
            settings.TOPICS: settings.TOPIC_SEPARATOR.join(self.topics),
            settings.CHAT_MODEL: self.chat_model,
            settings.IMAGE_MODEL: self.image_model,
            settings.CHAT_SEES_REFERENCES: str(self.chat_sees_references).lower(),
            settings.MONTHLY_BUDGET: str(self.monthly_budget_usd),
            settings.UNPRICED_MODELS: self.unpriced_models,
            settings.CHAT_SECONDS: str(self.chat_seconds),
            settings.IMAGE_SECONDS: str(self.image_seconds or settings.NO_LIMIT),
            settings.IMAGES_PER_MINUTE: str(self.images_per_minute or settings.NO_LIMIT),
            settings.MAX_PARALLEL_IMAGES: str(self.max_parallel_images),
            settings.TOLERATED_FAILURES: f"{self.tolerated_failure_percentage:g}",
            settings.MAX_BATCH_LINES: str(self.max_batch_lines),
            settings.UPLOAD_DAYS: str(self.upload_days),
            settings.CHANNELS: write_channels(self.channels),
            settings.PRESETS: settings.write_presets(self.presets),
        }
        if self.openai_base_url:
            variables[settings.OPENAI_BASE_URL] = self.openai_base_url
        if self.openai_omit:
            variables[settings.OPENAI_OMIT] = settings.LIST_SEPARATOR.join(self.openai_omit)
        return variables

    def request_settings(self) -> settings.RequestSettings:
        """Return the defaults of a request, as the functions read them."""
        return settings.RequestSettings(
            folder_name=self.folder_name,
            topics=self.topics,
            chat_model=self.chat_model,
            image_model=self.image_model,
            chat_sees_references=self.chat_sees_references,
            unpriced_models_allowed=self.unpriced_models == "allow",
            region=self.aws_region,
            # The distribution gets its address when it is deployed.
            delivery_url="https://" if self.delivery else None,
            channels=self.channels,
            presets=self.presets,
        )

    def timeouts(self) -> dict[str, int]:
        """Return the timeouts in seconds of the functions that make paid calls, by name."""
        return {
            "prompt": time_limits.prompt_function_seconds(self.chat_seconds),
            "image": time_limits.image_function_seconds(self.image_seconds),
        }

    def warnings(self) -> dict[str, str]:
        """Return warnings for whoever deploys, by the id of the warning."""
        warnings = {}
        if self.unpriced_models == "allow":
            warnings["easel:no-cap"] = (
                "unpriced_models is allow: models without a known price are not limited by the "
                "budget's cap"
            )
        if not self.alarm_email:
            warnings["easel:no-alarm-email"] = (
                "alarm_email is not set: alarms reach nobody; set it, or subscribe to the topic in "
                "the output AlarmTopic"
            )
        if self.bucket_name and not self.existing_bucket:
            warnings["easel:bucket-name"] = (
                "bucket_name cannot change later: a new name creates an empty bucket, and the "
                "images stay in the old one"
            )
        for model in (self.chat_model, self.image_model):
            end = models.shutdown(model)
            if end:
                warnings[f"easel:shutdown-{model}"] = (
                    f"{model} ends on {end[0]}: runs are refused from that day on; switch to "
                    f"{end[1]}"
                )
        return warnings


def read(get: Callable[[str], Any]) -> Config:
    """Return the settings in a CDK context. `-c` sets them as text. Raises SettingError."""
    identity = "an identity provider's id / a service account's id, or nothing"
    mail = "an e-mail address, or nothing"
    has_limit = get("image_seconds") not in (None, "")
    has_rate = get("images_per_minute") not in (None, "")
    config = Config(
        aws_region=matching(get, "aws_region", REGION, "a region such as ap-southeast-1"),
        bucket_name=optional(get, "bucket_name", BUCKET, "3 to 63 of a-z 0-9 -, or nothing"),
        existing_bucket=flag(get, "existing_bucket"),
        existing_table=optional(get, "existing_table", TABLE, "a table's name, new, or nothing"),
        existing_users=optional(get, "existing_users", USERS, "a user pool's id, or nothing"),
        existing_key=optional(get, "existing_key", KEY, "a KMS key's ARN, or nothing"),
        bucket_keys=_keys(get),
        folder_name=_folder(get("folder_name")),
        topics=_topics(get("topics")),
        chat_model=matching(get, "chat_model", r"[\w.:/-]+", "a model's name"),
        chat_sees_references=flag(get, "chat_sees_references"),
        image_model=matching(get, "image_model", r"[\w.:/-]+", "a model's name"),
        openai_base_url=optional(
            get, "openai_base_url", r"https?://\S+", "an http(s) URL, or nothing"
        ),
        openai_omit=_omitted(get),
        chat_seconds=whole(get, "chat_seconds", 10, time_limits.LONGEST_CHAT_CALL),
        image_seconds=whole(get, "image_seconds", 60, time_limits.LONGEST_IMAGE_CALL)
        if has_limit
        else None,
        openai_workload_identity=optional(
            get, "openai_workload_identity", r"[\w.-]+/[\w.-]+", identity
        ),
        mirror=optional(get, "mirror", MIRROR, f"{MIRRORS}, or nothing"),
        delivery=flag(get, "delivery"),
        delivery_domain=optional(get, "delivery_domain", DOMAIN, DOMAINS),
        delivery_certificate=optional(get, "delivery_certificate", CERTIFICATE, CERTIFICATES),
        schedule=read_schedule(get),
        schedules=(),
        presets={},
        schedule_alarm_days=whole(get, "schedule_alarm_days", 0, 6),
        alarm_email=optional(get, "alarm_email", MAIL_ADDRESS, mail),
        # Only the local stack has no layers, and only it may call this machine.
        webhooks=read_webhooks(get, local=not flag(get, "layers")),
        notify_email=optional(get, "notify_email", MAIL_ADDRESS, mail),
        notify_email_when=matching(
            get, "notify_email_when", "requested|always", "requested | always"
        ),
        monthly_budget_usd=number(get, "monthly_budget_usd", 0, 1_000_000),
        unpriced_models=matching(get, "unpriced_models", r"refuse|allow", "refuse | allow"),
        images_per_minute=whole(get, "images_per_minute", 1, 1_000_000) if has_rate else None,
        max_parallel_images=whole(get, "max_parallel_images", 1, MAX_PARALLEL),
        tolerated_failure_percentage=number(get, "tolerated_failure_percentage", 0, 100),
        max_batch_lines=whole(get, "max_batch_lines", 1, MAX_BATCH_LINES),
        upload_days=whole(get, "upload_days", 1, 365),
        public_page=flag(get, "public_page"),
        program_sign_in=flag(get, "program_sign_in"),
        retain_images=flag(get, "retain_images"),
        customer_key=flag(get, "customer_key"),
        layers=flag(get, "layers"),
    )
    if config.existing_bucket and not config.bucket_name:
        raise SettingError(
            "bucket_name", None, "the name of your bucket, because existing_bucket is true"
        )
    if config.existing_table and not config.existing_bucket:
        allowed = "a table with existing_bucket=true, because its records name that bucket's images"
        raise SettingError("existing_table", config.existing_table, allowed)
    if config.existing_key and config.customer_key:
        allowed = "false, because existing_key names the key that is used"
        raise SettingError("customer_key", config.customer_key, allowed)
    _check_delivery(config)
    url = config.openai_base_url
    if config.openai_workload_identity and url and not re.match(OPENAI_HOST, url):
        # The token is valid for the OpenAI account, and the operator of this address would see it.
        allowed = "an address of OpenAI's own, because openai_workload_identity is set"
        raise SettingError("openai_base_url", url, allowed)
    config = replace(config, presets=read_presets(get, config.request_settings()))
    return replace(config, schedules=read_schedules(get, config.request_settings()))


def _check_delivery(config: Config) -> None:
    """Raise SettingError for a domain that the distribution cannot have."""
    domain, certificate = config.delivery_domain, config.delivery_certificate
    if domain and not config.delivery:
        allowed = "nothing, because delivery is false and there is no distribution"
        raise SettingError("delivery_domain", domain, allowed)
    if domain and not certificate:
        raise SettingError("delivery_certificate", None, CERTIFICATES.removesuffix(", or nothing"))
    if certificate and not domain:
        raise SettingError("delivery_domain", None, "the domain of delivery_certificate")


def _folder(value: object) -> str:
    try:
        return check_folder(value)
    except InputError as error:
        raise SettingError("folder_name", value, error.allowed) from error


def _topics(value: Any) -> tuple[str, ...]:
    topics = value.split(",") if isinstance(value, str) else value
    is_list = isinstance(topics, list) and bool(topics)
    if not is_list or not all(isinstance(topic, str) and topic.strip() for topic in topics):
        raise SettingError("topics", value, "a list of topics, or text separated by commas")
    stripped = tuple(topic.strip() for topic in topics)
    size = len(settings.TOPIC_SEPARATOR.join(stripped).encode())
    if size > MAX_TOPICS_BYTES:
        raise SettingError("topics", f"{size:,} bytes", f"at most {MAX_TOPICS_BYTES:,} bytes")
    return stripped


def _keys(get: Callable[[str], Any]) -> tuple[str, ...]:
    text = optional(get, "bucket_keys", rf"{KEY}(,{KEY})*", KEYS)
    return tuple(text.split(",")) if text else ()


def _omitted(get: Callable[[str], Any]) -> tuple[str, ...]:
    text, url = get("openai_omit"), get("openai_base_url")
    if text in (None, ""):
        # Another server may refuse what it does not know, and the user's id is meant for OpenAI.
        is_openai = not url or re.match(OPENAI_HOST, str(url))
        return () if is_openai else ("safety_identifier",)
    names = tuple(name.strip() for name in str(text).split(settings.LIST_SEPARATOR))
    if names == (SEND_ALL,):
        return ()
    if not set(names) <= set(settings.OMITTABLE):
        raise SettingError(
            "openai_omit", text, f"{SEND_ALL}, or any of {', '.join(settings.OMITTABLE)}"
        )
    return names
