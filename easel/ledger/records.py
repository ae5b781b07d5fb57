"""The records of a run: its prompt, its chat call, its images.

An image record is also the claim, the lineage and the gallery's entry. For the status see
easel/contract/status.py.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self, TypeVar
from urllib.parse import quote

from easel.aws.table import Item, Key
from easel.contract import naming
from easel.contract.status import ChatStatus, Status
from easel.ledger.attribution import Attribution
from easel.request import models, time_limits
from easel.request.references import NO_INPUTS, Inputs

R = TypeVar("R")


def run_key(run_id: str, sk: str) -> Key:
    """Return the key of one record of a run."""
    return f"run#{run_id}", sk


@dataclass(frozen=True, kw_only=True)
class Claim(ABC):
    """One paid call. If `purchase` is 0, it was never claimed.

    `lease_until` (epoch seconds) is the end of the function that makes the call, and 0 once the
    estimate counts as spent. `reserved_micro_usd` is that estimate, or None if the price is
    unknown. `month` is the budget month in which it was reserved. A claim of an older version has
    no `attribution`.
    """

    run_id: str
    status: str = Status.CLAIMED
    purchase: int = 0
    possibly_paid: int = 0
    lease_until: int = 0
    month: str = ""
    reserved_micro_usd: int | None = None
    cost_micro_usd: int | None = None
    attribution: Attribution | None = None

    @property
    def is_counted(self) -> bool:
        """Return whether its estimate already counts as spent, whatever the call's result."""
        return self.lease_until == 0

    @property
    @abstractmethod
    def sk(self) -> str:
        """Return the sort key of the record."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Return a description of the purchase, for people."""

    @property
    def item_key(self) -> Key:
        """Return the record's key in the table."""
        return run_key(self.run_id, self.sk)

    def next_claim(
        self, *, until: int, month: str, bound: int | None, attribution: Attribution
    ) -> Self:
        """Return the claim of the next purchase, with its lease."""
        return replace(
            self,
            purchase=self.purchase + 1,
            lease_until=until,
            month=month,
            reserved_micro_usd=bound,
            attribution=attribution,
        )


@dataclass(frozen=True, kw_only=True)
class ChatRecord(Claim):
    """The chat call of a run: claimed, then written.

    `wasted_micro_usd` is the cost of an answer without a prompt, after which it was asked again.
    """

    status: ChatStatus = ChatStatus.CLAIMED
    wasted_micro_usd: int | None = None

    @property
    def sk(self) -> str:
        """Return the sort key, which is constant because a run has one chat call."""
        return "chat"

    @property
    def label(self) -> str:
        """Return a description of the purchase, for people."""
        return f"the prompt of run {self.run_id}"


@dataclass(frozen=True, kw_only=True)
class StoredSize:
    """A file of an exact size next to its image. `enlarged` is whether the image was smaller."""

    key: str
    name: str | None
    width: int
    height: int
    content_type: str
    bytes: int
    sha256: str
    enlarged: bool


@dataclass(frozen=True, kw_only=True)
class StoredFiles:
    """An image's key and size in pixels, the edges of its larger previews, and its exact sizes."""

    key: str
    width: int
    height: int
    previews: tuple[int, ...] = ()
    sizes: tuple[StoredSize, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageRecord(Claim):
    """One image.

    `order` is the order at OpenAI's Batch API in which it was claimed, or None if a separate call
    buys it. `order_number` counts how often that order's images were ordered. It is None in a claim
    of an older version. `previews` are the edges of the previews that it has besides its thumbnail.
    `tags` are people's tags; the prompt's record has the model's. `earlier_keys` are the keys
    before each move, the latest one last.
    """

    status: Status = Status.CLAIMED
    n: int
    order: str | None = None
    order_number: int | None = None
    staged_key: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    usage: dict[str, Any] | None = None
    refusal: str | None = None
    problem: str | None = None
    key: str | None = None
    width: int | None = None
    height: int | None = None
    mirrored: str | None = None
    share: str | None = None
    shared_at: str | None = None
    share_ending: str | None = None
    unshared_at: str | None = None
    previews: list[int] | None = None
    sizes: tuple[StoredSize, ...] | None = None
    tags: set[str] | None = None
    favourite: bool | None = None
    hidden: bool | None = None
    earlier_keys: list[str] | None = None

    @property
    def sk(self) -> str:
        """Return the sort key. A run has one per variation."""
        return f"image#{self.n}"

    @property
    def label(self) -> str:
        """Return a description of the purchase, for people."""
        return f"image {self.n} of run {self.run_id}"

    def next_claim(
        self, *, until: int, month: str, bound: int | None, attribution: Attribution
    ) -> Self:
        """Return the claim of the next purchase.

        A second purchase is a separate call, even if the first one was in an order.
        """
        claim = super().next_claim(until=until, month=month, bound=bound, attribution=attribution)
        return replace(claim, order=None, order_number=None) if self.purchase else claim

    @property
    def files(self) -> tuple[str, ...]:
        """Return the keys of the files that were made from it, without its sidecar."""
        if self.key is None:
            return ()
        edges = (naming.PREVIEW_EDGES[0], *(self.previews or ()))
        previews = [naming.thumbnail_key(self.key, edge) for edge in edges]
        return (*previews, *(size.key for size in self.sizes or ()))

    def is_ordered(self, order: str, *, upto: int | None = None) -> bool:
        """Return whether it is claimed in this order and the claim has not been given up."""
        return self.is_of(order, upto=upto) and not self.is_counted

    def is_of(self, order: str, *, upto: int | None = None) -> bool:
        """Return whether it is claimed in this order.

        A claim with a higher number than `upto` does not count. It belongs to a later batch.
        """
        is_later = upto is not None and (self.order_number or 0) > upto
        return self.status == Status.CLAIMED and self.order == order and not is_later

    def is_missing_from(self, mirror: str | None) -> bool:
        """Return whether it is stored, but not in this mirror."""
        if not mirror or self.status != Status.STORED:
            return False
        keys = (self.key or "", *(self.earlier_keys or ()))  # a mirror does not follow moves
        return self.mirrored not in {f"{mirror}/{quote(key)}" for key in keys}


@dataclass(frozen=True, kw_only=True)
class PromptRecord:
    """The choices that a run's first execution fixed for all later ones.

    `choices` are the request's checked fields, and `inputs` the images that it names.
    `estimate_micro_usd` is the upper bound of chat call and images, or None if a price is unknown.
    `execution` is the latest execution's name or ARN. `request` is the caller's request. Runs of
    older versions have neither it nor a `trigger`, and only the API knows a `person`. `preset` are
    the fields of the request's preset. `written_text` is what the chat model wrote, if somebody has
    edited the prompt.
    """

    run_id: str
    digest: str
    started: str
    text: str
    title: str
    alt_text: str
    tags: list[str]
    topic: str
    choices: dict[str, Any]
    estimate_micro_usd: int | None
    chat_model: str | None
    chat_cost_micro_usd: int | None
    execution: str
    inputs: Inputs = NO_INPUTS
    request: dict[str, Any] | None = None
    person: str | None = None
    trigger: str | None = None
    preset: dict[str, Any] | None = None
    written_text: str | None = None

    @property
    def attribution(self) -> Attribution:
        """Return the attribution of the run's images."""
        return Attribution(
            folder=self.choices["folder_name"],
            person=self.person,
            trigger=self.trigger,
            model=self.choices["model"],
            tags=tuple(self.choices.get("tags") or ()),
        )

    def image_bound(self, *, economy: bool = False) -> int | None:
        """Return the upper bound of one image in micro-dollars, or None if it is unknown."""
        return models.estimate_image(
            self.choices["model"],
            prompt=self.text,
            size=self.choices["size"],
            quality=self.choices["quality"],
            inputs=self.inputs.sizes,
            economy=economy,
        )

    def image_seconds(self, *, setting: int | None) -> int:
        """Return the time limit of one image call in seconds."""
        size, quality = self.choices["size"], self.choices["quality"]
        return time_limits.image_seconds(quality, size, setting=setting)

    def image_cost(self, usage: dict[str, Any] | None, *, economy: bool) -> int | None:
        """Return an image's cost in micro-dollars, or None if it is unknown."""
        return models.image_cost(self.choices["model"], usage, economy=economy)

    def image_call(self) -> dict[str, Any]:
        """Return the parameters of the image call, without those that are `auto` and the inputs.

        OpenAI applies its own default for them.
        """
        names = [
            "model",
            "size",
            "quality",
            "output_format",
            "output_compression",
            "background",
            "moderation",
            "safety_identifier",
        ]
        if self.inputs:
            names.remove("moderation")
        # A run of an older version has no safety_identifier.
        values = {name: self.choices.get(name) for name in names}
        parameters = {name: value for name, value in values.items() if value not in ("auto", None)}
        return {"prompt": self.text} | parameters


@dataclass(frozen=True, kw_only=True)
class RunRecords:
    """All records of a run, with the images sorted by number."""

    prompt: PromptRecord | None = None
    chat: ChatRecord | None = None
    images: tuple[ImageRecord, ...] = ()

    @classmethod
    def of_items(cls, items: Iterable[Item]) -> "RunRecords":
        """Read the records of one run."""
        by_key = {item["sk"]: item for item in items}
        prompt, chat = by_key.get("prompt"), by_key.get("chat")
        images = [
            from_item(ImageRecord, item) for sk, item in by_key.items() if sk.startswith("image#")
        ]
        return cls(
            prompt=from_item(PromptRecord, prompt) if prompt else None,
            chat=from_item(ChatRecord, chat) if chat else None,
            images=tuple(sorted(images, key=lambda image: image.n)),
        )

    @property
    def possibly_paid(self) -> int:
        """Return how many calls may have been paid without a result."""
        calls = (*self.images, *([self.chat] if self.chat else []))
        return sum(call.possibly_paid for call in calls)

    @property
    def image_costs(self) -> list[int | None]:
        """Return the cost of each image in micro-dollars. A refused image costs nothing."""
        return [image.cost_micro_usd for image in self.images if image.status != Status.REFUSED]


def to_item(record: Claim | PromptRecord) -> Item:
    """Return a record as the table stores it, without the fields that are None."""
    values = {name: value for name, value in asdict(record).items() if value is not None}
    if isinstance(record, PromptRecord):
        key = run_key(record.run_id, "prompt")
        values |= {
            name: json.dumps(values[name])
            for name in ("choices", "request", "preset")
            if name in values
        }
        values.pop("inputs")
        values |= {"inputs": record.inputs.to_json()} if record.inputs else {}
    else:
        key = record.item_key
    return {"pk": key[0], "sk": key[1]} | values


def from_item(kind: type[R], item: Item) -> R:
    """Return a dataclass with the fields in an item. Missing fields are None."""
    return kind(
        **{
            field.name: _read(field.name, field.type, item.get(field.name))
            for field in fields(kind)  # type: ignore[arg-type]
        }
    )


def _read(name: str, kind: Any, value: Any) -> Any:
    if name == "inputs":
        return Inputs.from_json(value)
    if name in ("usage", "choices", "request", "preset") and value:
        return json.loads(value)
    if name == "attribution":
        return Attribution.from_item(value) if value else None
    if name == "sizes":
        return read_sizes(value)
    is_enum = isinstance(kind, type) and issubclass(kind, StrEnum)
    return kind(value) if is_enum else value


def read_sizes(value: str | None) -> tuple[StoredSize, ...] | None:
    """Return the sizes of an item, or None if the image has none."""
    return tuple(StoredSize(**size) for size in json.loads(value)) if value else None


def write_sizes(sizes: Iterable[StoredSize]) -> str | None:
    """Return sizes as the table stores them, or None if there are none."""
    listed = [asdict(size) for size in sizes]
    return json.dumps(listed) if listed else None
