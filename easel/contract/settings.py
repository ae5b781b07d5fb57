"""The environment of the functions, read here only. The stack writes the names that stand here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from functions.errors import ConfigError

BUCKET = "EASEL_BUCKET"
BUCKET_OWNER = "EASEL_BUCKET_OWNER"
TABLE = "EASEL_TABLE"
SECRET = "EASEL_OPENAI_SECRET"  # noqa: S105 - the name of a variable that holds the secret's name, no secret
# In the secret's place, where the stack has no key.
WORKLOAD_IDENTITY = "EASEL_OPENAI_WORKLOAD_IDENTITY"
FOLDER = "EASEL_FOLDER_NAME"
TOPICS = "EASEL_TOPICS"
CHAT_MODEL = "EASEL_CHAT_MODEL"
IMAGE_MODEL = "EASEL_IMAGE_MODEL"
MONTHLY_BUDGET = "EASEL_MONTHLY_BUDGET_USD"
UNPRICED_MODELS = "EASEL_UNPRICED_MODELS"
RECOVERABLE_DAYS = "EASEL_RECOVERABLE_DAYS"
IMAGES_PER_MINUTE = "EASEL_IMAGES_PER_MINUTE"
MAX_PARALLEL_IMAGES = "EASEL_MAX_PARALLEL_IMAGES"
TOLERATED_FAILURES = "EASEL_TOLERATED_FAILURE_PERCENTAGE"
MAX_BATCH_LINES = "EASEL_MAX_BATCH_LINES"
# What the API needs on top.
STATE_MACHINE = "EASEL_STATE_MACHINE"
BATCH_STATE_MACHINE = "EASEL_BATCH_STATE_MACHINE"
PAGE_URL = "EASEL_PAGE_URL"
READER_ROLE = "EASEL_READER_ROLE"
UPLOADER_ROLE = "EASEL_UPLOADER_ROLE"
USER_POOL = "EASEL_USER_POOL"
PAGE_CLIENT = "EASEL_PAGE_CLIENT"
SIGN_IN_URL = "EASEL_SIGN_IN_URL"
# What the mirror needs, and those who tell what it still lacks, the first.
MIRROR = "EASEL_MIRROR"
MIRROR_SECRET = "EASEL_MIRROR_SECRET"  # noqa: S105 - the name of a variable that holds the secret's name, no secret
REGION = "AWS_REGION"  # Lambda sets it
# Set by the local stack alone: there the sign-in is at the emulator.
LOCAL_SIGN_IN_URL = "EASEL_LOCAL_SIGN_IN_URL"
# And there the stand-in for OpenAI gives the tokens, too.
LOCAL_TOKEN_URL = "EASEL_LOCAL_TOKEN_URL"  # noqa: S105 - an address
# Read by the openai package's own name, so that one variable serves the stack and a machine at home.
OPENAI_BASE_URL = "OPENAI_BASE_URL"

STACK_SETS = (
    BUCKET,
    BUCKET_OWNER,
    TABLE,
    SECRET,
    FOLDER,
    TOPICS,
    CHAT_MODEL,
    IMAGE_MODEL,
    MONTHLY_BUDGET,
    UNPRICED_MODELS,
    RECOVERABLE_DAYS,
    IMAGES_PER_MINUTE,
    MAX_PARALLEL_IMAGES,
    TOLERATED_FAILURES,
    MAX_BATCH_LINES,
)
API_SETS = (STATE_MACHINE, BATCH_STATE_MACHINE, PAGE_URL, READER_ROLE, UPLOADER_ROLE, USER_POOL, PAGE_CLIENT, SIGN_IN_URL)
EVENTS_SETS = (BATCH_STATE_MACHINE,)  # what the events need on top
MIRROR_SETS = (MIRROR, MIRROR_SECRET)
TOPIC_SEPARATOR = "\n"
NO_PAGE = "none"
OWNER_DECIDES = "owner"
NO_LIMIT = "none"


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentity:
    """What OpenAI knows this deployment by, without a key. `token_url` is None for OpenAI's own."""

    provider: str
    service_account: str
    token_url: str | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The stack's settings; money in micro-dollars.

    `recoverable_days` is how long a delete can be undone, None where the bucket's owner decides that. `images_per_minute` is None where
    OpenAI's own limit alone holds. Of `secret` and `workload_identity` one is there.
    """

    bucket: str
    bucket_owner: str
    table: str
    secret: str | None
    workload_identity: WorkloadIdentity | None
    folder_name: str
    topics: tuple[str, ...]
    chat_model: str
    image_model: str
    monthly_budget_micro_usd: int
    unpriced_models_allowed: bool
    recoverable_days: int | None
    images_per_minute: int | None
    max_parallel_images: int
    tolerated_failure_percentage: float
    max_batch_lines: int
    region: str
    openai_base_url: str | None
    mirror: str | None


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """What the API alone needs: ARNs, and the addresses of the page (it ends in a slash) and of the sign-in (it does not).

    `page_client` is None where the stack has no page.
    """

    state_machine: str
    batch_state_machine: str
    page_url: str
    reader_role: str
    uploader_role: str
    user_pool: str
    page_client: str | None
    sign_in_url: str


@dataclass(frozen=True, kw_only=True)
class MirrorSettings:
    """The second store, such as `gs://bucket/prefix`, and the secret that holds how it is reached."""

    url: str
    secret: str


def read(environment: Mapping[str, str]) -> Settings:
    """The settings in an environment; ConfigError names every variable that is missing or wrong."""
    identity = environment.get(WORKLOAD_IDENTITY)
    _check(environment, (*(name for name in STACK_SETS if not (identity and name == SECRET)), REGION))
    try:
        budget = float(environment[MONTHLY_BUDGET])
    except ValueError:
        raise ConfigError(f"{MONTHLY_BUDGET} is {environment[MONTHLY_BUDGET]!r}, not a number of dollars") from None
    return Settings(
        bucket=environment[BUCKET],
        bucket_owner=environment[BUCKET_OWNER],
        table=environment[TABLE],
        secret=None if identity else environment[SECRET],
        workload_identity=_workload_identity(identity, environment.get(LOCAL_TOKEN_URL)) if identity else None,
        folder_name=environment[FOLDER],
        topics=tuple(environment[TOPICS].split(TOPIC_SEPARATOR)),
        chat_model=environment[CHAT_MODEL],
        image_model=environment[IMAGE_MODEL],
        monthly_budget_micro_usd=round(budget * 1_000_000),
        unpriced_models_allowed=environment[UNPRICED_MODELS] == "allow",
        recoverable_days=None if environment[RECOVERABLE_DAYS] == OWNER_DECIDES else int(environment[RECOVERABLE_DAYS]),
        images_per_minute=None if environment[IMAGES_PER_MINUTE] == NO_LIMIT else int(environment[IMAGES_PER_MINUTE]),
        max_parallel_images=int(environment[MAX_PARALLEL_IMAGES]),
        tolerated_failure_percentage=float(environment[TOLERATED_FAILURES]),
        max_batch_lines=int(environment[MAX_BATCH_LINES]),
        region=environment[REGION],
        openai_base_url=environment.get(OPENAI_BASE_URL) or None,
        mirror=environment.get(MIRROR) or None,
    )


def read_api(environment: Mapping[str, str]) -> ApiSettings:
    """The API's own settings in an environment; ConfigError names every variable that is missing."""
    _check(environment, API_SETS)
    return ApiSettings(
        state_machine=environment[STATE_MACHINE],
        batch_state_machine=environment[BATCH_STATE_MACHINE],
        page_url=environment[PAGE_URL],
        reader_role=environment[READER_ROLE],
        uploader_role=environment[UPLOADER_ROLE],
        user_pool=environment[USER_POOL],
        page_client=None if environment[PAGE_CLIENT] == NO_PAGE else environment[PAGE_CLIENT],
        sign_in_url=environment.get(LOCAL_SIGN_IN_URL) or environment[SIGN_IN_URL],
    )


def read_mirror(environment: Mapping[str, str]) -> MirrorSettings:
    """The mirror's own settings in an environment; ConfigError names every variable that is missing."""
    _check(environment, MIRROR_SETS)
    return MirrorSettings(url=environment[MIRROR], secret=environment[MIRROR_SECRET])


def _workload_identity(said: str, token_url: str | None) -> WorkloadIdentity:
    provider, _, account = said.partition("/")
    return WorkloadIdentity(provider=provider, service_account=account, token_url=token_url or None)


def _check(environment: Mapping[str, str], names: tuple[str, ...]) -> None:
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise ConfigError(f"environment lacks {', '.join(missing)}; deploy the stack again, it sets them")


@cache
def settings() -> Settings:
    """This process's settings, read once."""
    return read(os.environ)


@cache
def batch_state_machine() -> str:
    """The ARN of the machine of batches."""
    _check(os.environ, EVENTS_SETS)
    return os.environ[BATCH_STATE_MACHINE]


@cache
def api_settings() -> ApiSettings:
    """This process's settings of the API, read once."""
    return read_api(os.environ)


@cache
def mirror_settings() -> MirrorSettings:
    """This process's settings of the mirror, read once."""
    return read_mirror(os.environ)
