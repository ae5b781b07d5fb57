"""What the table knows of runs and pictures. An image record is at once the claim, the lineage and the gallery's row.

claimed ─► staged ─► stored ◄─► deleted     claimed ─► refused (by OpenAI)     claimed ─► lost (paid, and S3 did not take it in time)
              └─► bad (what came is no picture; it stays in staging)                        └─► staged, where its last put arrived after all
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

from functions import keys
from functions.adapters import shelves
from functions.adapters.budget import Budget
from functions.adapters.claims import CLAIMED, Claim, Claims
from functions.adapters.shelves import Spot
from functions.adapters.table import Item, Table

WRITTEN = "written"
STORED, DELETED = shelves.STORED, shelves.DELETED
STAGED, REFUSED, LOST, BAD = "staged", "refused", "lost", "bad"
MOST_AT_ONCE = 100  # items that DynamoDB gives for one batched read
LINES_AT_ONCE = 25
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class PromptRecord:
    """What a run's first execution fixed for every later one. `choices` are the request's checked fields.

    `estimate_micro_usd` is the upper bound of chat call and pictures, None where a price is unknown; `execution` is the name of the latest.
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


@dataclass(frozen=True, kw_only=True)
class ChatRecord(Claim):
    """The chat call of a run: claimed, then written."""

    @property
    def sk(self) -> str:
        """One a run."""
        return "chat"

    @property
    def what(self) -> str:
        """What is bought, for a person."""
        return f"the prompt of run {self.run_id}"


@dataclass(frozen=True, kw_only=True)
class ImageRecord(Claim):
    """One picture. `order` is the order of OpenAI's Batch API that it was claimed in, None where it is bought by a call of its own."""

    n: int
    order: str | None = None
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

    def is_ordered(self, order: str) -> bool:
        """Whether it is claimed in this order, and nobody has given it up since."""
        return self.status == CLAIMED and self.order == order and self.lease_until != 0

    def is_missed(self, mirror: str | None) -> bool:
        """Whether it is stored, and not yet in the mirror that there is now."""
        return bool(mirror) and self.status == STORED and self.mirrored != f"{mirror}/{quote(self.key or '')}"

    @property
    def sk(self) -> str:
        """One a variation."""
        return f"image#{self.n}"

    @property
    def what(self) -> str:
        """What is bought, for a person."""
        return f"picture {self.n} of run {self.run_id}"


RunRecords = tuple[PromptRecord | None, ChatRecord | None, list[ImageRecord]]
NO_RECORDS: RunRecords = (None, None, [])


class Records:
    """Prompt, chat and image records; `claims` are those of the paid calls among them."""

    def __init__(self, table: Table, budget: Budget) -> None:
        self._table = table
        self.claims = Claims(table, budget)

    def prompt(self, run_id: str) -> PromptRecord | None:
        """The run's prompt record, None before the prompt step."""
        item = self._table.get(f"run#{run_id}", "prompt")
        return read(PromptRecord, item) if item else None

    def chat(self, run_id: str) -> ChatRecord | None:
        """The run's chat call, None before its claim, and where the caller gave the prompt."""
        item = self._table.get(f"run#{run_id}", "chat")
        return read(ChatRecord, item) if item else None

    def keep_prompt(self, record: PromptRecord, *, paid: ChatRecord | None) -> bool:
        """Write the prompt record and settle the chat call that it was `paid` for, or neither; False where another one stands."""
        put = self._table.put_if_absent(_item(record))
        if paid is None:
            return all(self._table.write(put))
        values = {":written": WRITTEN, ":cost": record.chat_cost_micro_usd}
        settled = self.claims.settled(paid, "SET #status = :written, #cost_micro_usd = :cost", values, cost=record.chat_cost_micro_usd)
        return all(self._table.write(put, *settled))

    def note_execution(self, prompt: PromptRecord, execution: str) -> None:
        """Keep the name of the run's latest execution, for people who look for it by the run's id."""
        values = {":execution": execution, ":digest": prompt.digest}
        change = self._table.update(
            f"run#{prompt.run_id}", "prompt", "SET #execution = :execution", condition="#digest = :digest", values=values
        )
        self._table.write(change)

    def image(self, run_id: str, n: int) -> ImageRecord | None:
        """One picture's record, None before its claim."""
        item = self._table.get(f"run#{run_id}", f"image#{n}")
        return read(ImageRecord, item) if item else None

    def run(self, run_id: str) -> RunRecords:
        """All records of a run, pictures by number."""
        return _of_run(self._table.query(f"run#{run_id}"))

    def runs(self, wanted: Mapping[str, int]) -> dict[str, RunRecords]:
        """The records of many runs, each with so many pictures at most; pictures by number."""
        these = [(f"run#{run_id}", sk) for run_id, most in wanted.items() for sk in ("prompt", "chat", *_pictures(most))]
        found: dict[str, list[Item]] = {run_id: [] for run_id in wanted}
        for start in range(0, len(these), MOST_AT_ONCE):
            for item in self._table.get_many(these[start : start + MOST_AT_ONCE]):
                found[item["pk"].removeprefix("run#")].append(item)
        return {run_id: _of_run(items) for run_id, items in found.items()}

    def of_lines(self, lines: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], RunRecords]]:
        """Lines with a `run_id` and a number of `pictures`, each with the records of its run."""
        these = iter(lines)
        while group := list(islice(these, LINES_AT_ONCE)):
            known = self.runs({line["run_id"]: line["pictures"] for line in group})
            yield from ((line, known[line["run_id"]]) for line in group)

    def stage(self, claim: ImageRecord, staged: ImageRecord) -> bool:
        """End a claim whose bytes lie in staging; False where the record has changed since it was read."""
        values = {
            ":staged": STAGED,
            ":key": staged.staged_key,
            ":bytes": staged.bytes,
            ":sha256": staged.sha256,
            ":usage": json.dumps(staged.usage) if staged.usage is not None else None,
            ":cost": staged.cost_micro_usd,
        }
        change = "SET #status = :staged, #staged_key = :key, #bytes = :bytes, #sha256 = :sha256, #usage = :usage, #cost_micro_usd = :cost"
        return all(self._table.write(*self.claims.settled(claim, change, values, cost=staged.cost_micro_usd)))

    def refuse(self, claim: ImageRecord, *, category: str) -> bool:
        """Mark a picture as refused by OpenAI, at no cost."""
        values = {":to": REFUSED, ":category": category}
        return all(self._table.write(*self.claims.settled(claim, "SET #status = :to, #refusal = :category", values, cost=0)))

    def lose(self, claim: ImageRecord) -> bool:
        """Mark a paid picture as lost: its estimate counts as spent, as a lease of 0 says."""
        values = {":to": LOST, ":over": 0}
        return all(self._table.write(*self.claims.settled(claim, "SET #status = :to, #lease_until = :over", values, cost=None)))

    def spoil(self, image: ImageRecord, *, problem: str) -> bool:
        """Mark a staged picture as none that can be stored, and why; False where that was done already."""
        change = self._table.update(
            f"run#{image.run_id}",
            image.sk,
            "SET #status = :bad, #problem = :problem",
            condition="#status = :staged",
            values={":staged": STAGED, ":bad": BAD, ":problem": problem},
        )
        return all(self._table.write(change))

    def finish(self, image: ImageRecord, *, key: str, size: tuple[int, int], prompt: PromptRecord, stored_at: str) -> bool:
        """Mark a staged picture as stored and put it into the gallery; False where that was done already. `size` is width and height."""
        folder, topic = prompt.choices["folder_name"], prompt.topic
        change = self._table.update(
            f"run#{image.run_id}",
            f"image#{image.n}",
            "SET #status = :stored, #key = :key, #width = :width, #height = :height, #title = :title, #alt_text = :alt, #model = :model, "
            f"#folder = :folder, #topic = :topic, #stored_at = :at, {shelves.PUT_ON_SHELF}",
            condition="#status = :staged",
            values={
                ":staged": STAGED,
                ":stored": STORED,
                ":key": key,
                ":width": size[0],
                ":height": size[1],
                ":title": prompt.title,
                ":alt": prompt.alt_text,
                ":model": prompt.choices["model"],
                ":folder": folder,
                ":topic": topic,
                ":at": stored_at,
            }
            | shelves.values(Spot(status=STORED, folder=folder, topic=topic, at=stored_at, run_id=image.run_id, n=image.n)),
        )
        id_ = keys.picture_id(image.run_id, image.n)
        counted = shelves.counted(self._table, folder=folder, picture_id=id_, pictures=1, size=image.bytes or 0)
        # A picture's id holds a hash of its run's, so this is what leads from the one to the other.
        named = {"pk": f"picture#{id_}", "sk": image.run_id, "n": image.n}
        return all(self._table.write(change, counted, self._table.put(named)))

    def note_mirrored(self, run_id: str, n: int, *, url: str) -> None:
        """Keep where a picture's copy is."""
        pk, sk = f"run#{run_id}", f"image#{n}"
        known = "attribute_exists(#status)"
        self._table.write(self._table.update(pk, sk, "SET #mirrored = :url", condition=known, values={":url": url}))

    def mark_deleted(self, run_id: str, n: int, *, key: str) -> bool:
        """Move a stored picture to the shelf of the deleted; False where this key is not that picture's."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        return self._move(run_id, n, key=key, before=STORED, after=DELETED, deleted_at=now)

    def mark_restored(self, run_id: str, n: int, *, key: str) -> bool:
        """Move a deleted picture back to the shelf of the stored; False where this key is not that picture's."""
        return self._move(run_id, n, key=key, before=DELETED, after=STORED, deleted_at=None)

    def _move(self, run_id: str, n: int, *, key: str, before: str, after: str, deleted_at: str | None) -> bool:
        item = self._table.get(f"run#{run_id}", f"image#{n}")
        if not item or item.get("key") != key or item["status"] != before:
            return False
        folder = item["folder"]
        spot = Spot(status=after, folder=folder, topic=item["topic"], at=deleted_at or item["stored_at"], run_id=run_id, n=n)
        time = "SET #deleted_at = :deleted_at," if deleted_at else "REMOVE #deleted_at SET"
        change = self._table.update(
            f"run#{run_id}",
            f"image#{n}",
            f"{time} #status = :shelf, {shelves.PUT_ON_SHELF}",
            condition="#status = :before",
            values={":before": before} | ({":deleted_at": deleted_at} if deleted_at else {}) | shelves.values(spot),
        )
        one = 1 if after == STORED else -1
        id_ = keys.picture_id(run_id, n)
        counted = shelves.counted(self._table, folder=folder, picture_id=id_, pictures=one, size=one * item["bytes"])
        return all(self._table.write(change, counted))


def _of_run(items: Iterable[Item]) -> RunRecords:
    by_key = {item["sk"]: item for item in items}
    prompt, chat = by_key.get("prompt"), by_key.get("chat")
    images = [read(ImageRecord, item) for sk, item in by_key.items() if sk.startswith("image#")]
    return (
        read(PromptRecord, prompt) if prompt else None,
        read(ChatRecord, chat) if chat else None,
        sorted(images, key=lambda image: image.n),
    )


def _pictures(most: int) -> list[str]:
    return [f"image#{n}" for n in range(1, most + 1)]


def _item(record: PromptRecord) -> Item:
    given = {name: value for name, value in asdict(record).items() if value is not None}
    return {"pk": f"run#{record.run_id}", "sk": "prompt"} | given | {"choices": json.dumps(record.choices)}


def read(kind: type[R], item: Item) -> R:
    """What a dataclass holds of an item; what the item lacks is None."""
    known: dict[str, Any] = {field.name: item.get(field.name) for field in fields(kind)}  # type: ignore[arg-type]
    for name in ("usage", "choices"):
        if known.get(name):
            known[name] = json.loads(known[name])
    return kind(**known)
