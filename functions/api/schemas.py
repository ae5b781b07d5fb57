"""The shapes of the responses. The API's description is made from them.

Money is in dollars, or null if unknown. Times are ISO 8601 in UTC. Some responses use the type of a
message or of a client unchanged: BatchReport, CheckedManifest, LineCounts, Links.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from easel.contract.messages import api_field
from easel.contract.states import Step
from easel.contract.status import Status
from easel.ledger.uploads import UploadStatus
from easel.request.actions import ACTIONS
from functions.api.links import Links

ExecutionStatus = Literal["running", "succeeded", "failed", "timed_out", "aborted"]
StepStatus = Literal[
    "waiting", "running", "retrying", "succeeded", "refused", "failed", "stopped", "skipped"
]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error as problem details: a title for people, the error's name, and what to do next.

    `nearest` are the sizes that are most similar to a refused one.
    """

    type: str
    title: str
    status: int
    detail: str
    error: str
    what_to_do: str
    field: str | None = None
    allowed: str | None = None
    nearest: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class GatewayMessage:
    """An error of the gateway: no valid token (401), no scope (403) or too many requests (429)."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The reason why a call of a step failed."""

    error: str
    title: str
    message: str


@dataclass(frozen=True, kw_only=True)
class RunFailure(Failure):
    """The reason why a run failed, and what to do."""

    what_to_do: str


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """One step of a run. `done` variations out of `of` are complete.

    A step is `refused` if OpenAI refused some images, and `skipped` if there was nothing to do.
    """

    step: Step
    status: StepStatus
    started: datetime | None
    ended: datetime | None
    attempts: int = api_field("calls of the function; more than `of` means that some were retried")
    done: int
    of: int
    error: Failure | None = api_field("of the latest failed call, until the step succeeds")


@dataclass(frozen=True, kw_only=True)
class Share:
    """The public address of an image, and since when it has been public."""

    url: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class ExactSize:
    """A file of an exact size that was cut out of an image. Its links expire with the image's."""

    name: str | None = api_field("the name in the request, such as open-graph")
    width: int
    height: int
    key: str
    content_type: str
    bytes: int
    sha256: str
    enlarged: bool = api_field("whether the image has fewer pixels than this file")
    picture: str
    download: str
    public_url: str | None = api_field("its public address, if the image is shared")


@dataclass(frozen=True, kw_only=True)
class RunPicture:
    """One image of a run."""

    n: int
    id: str
    status: Status
    key: str | None
    alt_text: str
    width: int | None
    height: int | None
    cost_usd: float | None
    possibly_paid: int
    refusal: str | None
    problem: str | None
    links: Links | None
    share: Share | None
    sizes: list[ExactSize]


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """A run in the list."""

    id: str
    run_id: str = api_field("the id in its images' records; usually the same as id")
    action: str = api_field(" | ".join(ACTIONS))
    person: str | None = api_field(
        "who started it, as in the filter `person`; null for a schedule, the console and the "
        "command line"
    )
    dry_run: bool
    title: str | None = api_field(
        "the images' title, or else the beginning of what was requested; for a delete or restore, "
        "the folder or the image's key"
    )
    status: ExecutionStatus
    started: datetime
    ended: datetime | None
    count: int | None = api_field("how many images were requested, once the prompt is written")
    refused: int = api_field("how many images OpenAI refused")
    thumbnail: str | None = api_field("a link to the thumbnail of the first stored image")
    cost_usd: float | None = api_field("so far; null if part of it is unknown")
    error: RunFailure | None
    can_redrive: bool = api_field("whether resuming the run can have another result")
    url: str
    console_url: str | None = api_field("null on the local stack, which has no console")


@dataclass(frozen=True, kw_only=True)
class Run(ListedRun):
    """The current state of a run."""

    topic: str | None
    prompt: str | None = api_field("its first 1,000 characters")
    request: dict[str, Any] | None = api_field("once the run has ended: the request as it was sent")
    steps: list[RunStep]
    pictures: list[RunPicture]
    written_prompt: str | None = api_field(
        "the whole prompt, if the run has only written it: POST /runs/{id}/paint paints it"
    )
    paint_usd: float | None = api_field("the maximum cost of painting it")
    estimate_usd: float | None
    possibly_paid: int
    objects: int | None = api_field(
        "for a delete or restore that has ended: the number of objects found"
    )
    can_stop: bool


@dataclass(frozen=True, kw_only=True)
class Runs:
    """A page of runs, newest first."""

    runs: list[ListedRun]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Redrive:
    """What a call to resume many runs did with one of them."""

    id: str
    resumed: bool
    execution: str | None = api_field("the id of the run that continues it; null if not resumed")
    error: RunFailure | None = api_field("why it was not resumed")


@dataclass(frozen=True, kw_only=True)
class Redrives:
    """The outcome of a call to resume many runs, in the order of the call."""

    runs: list[Redrive]
    resumed: int = api_field("how many were resumed")


@dataclass(frozen=True, kw_only=True)
class UploadTo:
    """A link to upload a file as the request's body. It needs no sign-in, and it expires.

    S3 accepts these headers and the size that was sent, and nothing else.
    """

    method: Literal["PUT"]
    url: str
    headers: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class NewUpload:
    """An image that can be uploaded now."""

    id: str
    url: str = api_field("where to ask whether it is ready")
    upload: UploadTo


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An uploaded image, which `reference_images` and `mask` may name once it is ready.

    It may differ from the file: turned upright, or converted to PNG.
    """

    id: str
    status: UploadStatus
    name: str
    key: str | None
    width: int | None
    height: int | None
    bytes: int | None
    sha256: str | None
    has_transparency: bool | None = api_field("whether a pixel is fully transparent, as in a mask")
    problem: str | None = api_field("why it was refused")
    picture: str | None = api_field("a link to the image")
    thumbnail: str | None
    expires_at: datetime | None = api_field(
        "when it is deleted; null once an image is made from it, or if the bucket's owner decides"
    )


@dataclass(frozen=True, kw_only=True)
class ReferenceImage:
    """An image that another one was made from. `id` is null for an upload."""

    key: str
    id: str | None
    is_mask: bool
    sha256: str
    thumbnail: str | None


@dataclass(frozen=True, kw_only=True)
class MadeImage:
    """An image that was made from another one."""

    id: str
    key: str
    title: str
    thumbnail: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image in the gallery."""

    id: str
    run_id: str
    n: int
    status: Status
    key: str
    folder: str
    topic: str
    title: str
    alt_text: str
    model: str
    width: int
    height: int
    bytes: int
    cost_usd: float | None
    stored_at: datetime
    deleted_at: datetime | None
    recoverable_until: datetime | None
    prompt: str
    prompt_cut: bool = api_field("whether the prompt was cut to 1,000 characters")
    run_url: str
    console_url: str | None
    links: Links | None
    share: Share | None = api_field("where everyone can see it; null if it is private")
    reference_count: int = api_field("how many reference images it was made from")
    favourite: bool
    hidden: bool = api_field("whether somebody rejected it")
    tags: list[str] = api_field("the tags of the model and of people")
    own_tags: list[str] = api_field("people's tags, which can be removed")


@dataclass(frozen=True, kw_only=True)
class Lineage(Image):
    """An image with everything known about it."""

    references: list[ReferenceImage]
    used_in: list[MadeImage] = api_field("up to 20 stored images that were made from it")
    used_in_count: int = api_field(
        "how many there are; if 20 or more runs used it, how many they requested"
    )
    sizes: list[ExactSize] = api_field("its files of exact sizes; empty if it is deleted")
    request: dict[str, Any] | None = api_field(
        "the request as its caller sent it; null for an image of an older version"
    )
    person: str | None = api_field("who asked for it, an id of GET /people")
    trigger: str | None = api_field("page | api | batch | schedule | console")
    style: str | None
    size: str
    quality: str
    background: str
    output_format: str
    usage: dict[str, Any] | None
    sha256: str
    chat_model: str | None
    chat_cost_usd: float | None
    possibly_paid: int
    run_started: datetime


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The marks of an image."""

    id: str
    favourite: bool
    hidden: bool
    own_tags: list[str]


@dataclass(frozen=True, kw_only=True)
class FailedChange:
    """An image that was not changed, and why."""

    id: str
    error: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class ChangedImages:
    """The result of a change of many images. All others were changed."""

    changed: int
    failed: list[FailedChange]


@dataclass(frozen=True, kw_only=True)
class Images:
    """A page of the gallery."""

    images: list[Image]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder, with the count and the bytes of its stored images."""

    name: str
    count: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Folders:
    """A page of the folders that hold images, sorted by name."""

    folders: list[Folder]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The month's budget."""

    month: str
    cap_usd: float
    spent_usd: float
    reserved_usd: float
    left_usd: float


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes that a model makes. `step` divides each side, and `ratio` is the largest ratio."""

    least_pixels: int
    most_pixels: int
    longest_edge: int
    ratio: int
    step: int


@dataclass(frozen=True, kw_only=True)
class Model:
    """An image model with a known price."""

    name: str
    qualities: list[str]
    backgrounds: list[str]
    sizes: Sizes
    reference_images: int = api_field("the maximum number of reference images")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The maximum cost of a request."""

    estimate_usd: float | None
    prompt_usd: float | None = api_field("the part of it for `only_prompt`: writing the prompt")
    fits: bool = api_field("whether it fits into the rest of the month's budget")
    budget: Budget
    request: dict[str, Any] = api_field("the request with all its defaults")
    models: list[Model]
