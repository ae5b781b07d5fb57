"""What the table knows of runs and pictures. An image record is at once the claim, the lineage and the gallery's row.

claimed ─► staged ─► stored ─► deleted       claimed ─► refused        claimed ─► lost (paid, but S3 did not take it until the deadline)
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from functions.adapters.budget import Budget
from functions.adapters.table import Item, Table
from functions.errors import StorageBusyError

CLAIMED, STAGED, STORED, DELETED, REFUSED, LOST = "claimed", "staged", "stored", "deleted", "refused", "lost"
CLAIM_TRIES = 20
R = TypeVar("R", "PromptRecord", "ImageRecord")


@dataclass(frozen=True, kw_only=True)
class PromptRecord:
    """What a run's first execution fixed for every later one. `choices` are the request's checked fields.

    `estimate_micro_usd` is the upper bound of chat call and pictures, None where a price is unknown.
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


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One picture. `lease_until` (epoch seconds) is 0 once a purchase's outcome is unknown and counted as possibly paid."""

    run_id: str
    n: int
    status: str
    purchase: int
    possibly_paid: int
    lease_until: int
    month: str
    reserved_micro_usd: int | None
    staged_key: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    usage: dict[str, Any] | None = None
    cost_micro_usd: int | None = None
    refusal: str | None = None
    key: str | None = None


class Records:
    """Prompt and image records, and the money that moves with them in the same transaction."""

    def __init__(self, table: Table, budget: Budget) -> None:
        self._table = table
        self._budget = budget

    def prompt(self, run_id: str) -> PromptRecord | None:
        """The run's prompt record, None before the prompt step."""
        item = self._table.get(f"run#{run_id}", "prompt")
        return _read(PromptRecord, item) if item else None

    def keep_prompt(self, record: PromptRecord, *, month: str, reserved: int | None) -> bool:
        """Write the prompt record unless there is one, and settle what its chat call had reserved; False where there is one."""
        put = self._table.put_if_absent(_item(record, "prompt"))
        if not record.chat_model:
            return all(self._table.write(put))
        settlement = self._budget.settlement(month, estimate=reserved, actual=record.chat_cost_micro_usd)
        kept, _ = self._table.write(put, settlement)
        if not kept:  # another execution's prompt stands; this call was paid all the same
            self._table.write(settlement)
        return kept

    def image(self, run_id: str, n: int) -> ImageRecord | None:
        """One picture's record, None before its claim."""
        item = self._table.get(f"run#{run_id}", f"image#{n}")
        return _read(ImageRecord, item) if item else None

    def run(self, run_id: str) -> tuple[PromptRecord | None, list[ImageRecord]]:
        """All records of a run, pictures by number."""
        items = self._table.query(f"run#{run_id}")
        prompts = [_read(PromptRecord, item) for item in items if item["sk"] == "prompt"]
        images = [_read(ImageRecord, item) for item in items if item["sk"].startswith("image#")]
        return (prompts[0] if prompts else None), sorted(images, key=lambda image: image.n)

    def claim(self, claim: ImageRecord, *, after: ImageRecord | None) -> bool:
        """Claim a picture and reserve its estimate, or neither; False where somebody else was first.

        `after` is the earlier purchase with an unknown outcome, if any. Raises BudgetExceededError.
        """
        if after is None:
            action = self._table.put_if_absent(_item(claim, f"image#{claim.n}"))
        else:
            action = self._change(
                after,
                "SET #purchase = :purchase, #lease_until = :lease, #month = :month, #reserved_micro_usd = :reserved",
                condition="#status = :claimed AND #purchase = :mine AND #lease_until = :none",
                values={
                    ":purchase": claim.purchase,
                    ":lease": claim.lease_until,
                    ":month": claim.month,
                    ":reserved": claim.reserved_micro_usd,
                    ":none": 0,
                },
            )
        for _ in range(CLAIM_TRIES):
            state = self._budget.read(claim.month)
            self._budget.check(state, claim.reserved_micro_usd, purpose=f"picture {claim.n} of run {claim.run_id}")
            ours, fits = self._table.write(action, self._budget.reservation(state, claim.reserved_micro_usd))
            if not ours:
                return False
            if fits:
                return True
        raise StorageBusyError(f"the budget of {claim.month} keeps changing")

    def release(self, claim: ImageRecord) -> bool:
        """Undo a claim whose call was certainly not charged; an earlier unknown purchase stays counted."""
        if claim.purchase == 1:
            undo = self._table.delete(
                f"run#{claim.run_id}",
                f"image#{claim.n}",
                condition="#status = :claimed AND #purchase = :mine",
                names={"#status": "status", "#purchase": "purchase"},
                values={":claimed": CLAIMED, ":mine": claim.purchase},
            )
        else:
            values = {":before": claim.purchase - 1, ":none": 0}
            undo = self._change(claim, "SET #purchase = :before, #lease_until = :none", values=values)
        return self._with_money(undo, claim, committed=-(claim.reserved_micro_usd or 0), spent=0)

    def mark_unknown(self, claim: ImageRecord) -> bool:
        """End a claim's lease and count it as possibly paid: its estimate is spent from now on."""
        change = self._change(
            claim,
            "SET #lease_until = :none ADD #possibly_paid :one",
            condition="#status = :claimed AND #purchase = :mine AND #lease_until = :lease",
            values={":none": 0, ":one": 1, ":lease": claim.lease_until},
        )
        return self._with_money(change, claim, committed=0, spent=claim.reserved_micro_usd or 0)

    def stage(self, claim: ImageRecord, staged: ImageRecord) -> bool:
        """Settle a claim whose bytes lie in staging; an unknown cost counts as its estimate. False where it was taken over."""
        change = self._change(
            claim,
            "SET #status = :staged, #staged_key = :key, #bytes = :bytes, #sha256 = :sha256, #usage = :usage, #cost_micro_usd = :cost",
            values={
                ":staged": STAGED,
                ":key": staged.staged_key,
                ":bytes": staged.bytes,
                ":sha256": staged.sha256,
                ":usage": json.dumps(staged.usage) if staged.usage is not None else None,
                ":cost": staged.cost_micro_usd,
            },
        )
        reserved = claim.reserved_micro_usd or 0
        spent = reserved if staged.cost_micro_usd is None else staged.cost_micro_usd
        already = reserved if claim.lease_until == 0 else 0
        return self._with_money(change, claim, committed=spent - reserved, spent=spent - already)

    def refuse(self, claim: ImageRecord, *, category: str) -> bool:
        """Mark a picture as refused by OpenAI, at no cost."""
        change = self._change(claim, "SET #status = :to, #refusal = :category", values={":to": REFUSED, ":category": category})
        return self._with_money(change, claim, committed=-(claim.reserved_micro_usd or 0), spent=0)

    def lose(self, claim: ImageRecord) -> bool:
        """Mark a paid picture as lost: its estimate counts as spent."""
        change = self._change(claim, "SET #status = :to", values={":to": LOST})
        return self._with_money(change, claim, committed=0, spent=claim.reserved_micro_usd or 0)

    def finish(self, image: ImageRecord, *, key: str, prompt: PromptRecord, stored_at: str) -> bool:
        """Mark a staged picture as stored and put it into the gallery; False where that was done already."""
        shelf = _shelf(STORED, folder=prompt.choices["folder_name"], topic=prompt.topic)
        change = self._table.update(
            f"run#{image.run_id}",
            f"image#{image.n}",
            "SET #status = :stored, #key = :key, #title = :title, #alt_text = :alt, #model = :model, #folder = :folder, #topic = :topic, "
            "#stored_at = :at, #at_id = :at_id, #shelf = :shelf, #shelf_folder = :shelf_folder, #shelf_topic = :shelf_topic",
            condition="#status = :staged",
            values={
                ":staged": STAGED,
                ":stored": STORED,
                ":key": key,
                ":title": prompt.title,
                ":alt": prompt.alt_text,
                ":model": prompt.choices["model"],
                ":folder": prompt.choices["folder_name"],
                ":topic": prompt.topic,
                ":at": stored_at,
                ":at_id": f"{stored_at}#{image.run_id}#{image.n}",
            }
            | shelf,
        )
        return all(self._table.write(change))

    def mark_deleted(self, run_id: str, n: int, *, key: str) -> bool:
        """Move a stored picture to the shelf of the deleted; False where this key is not that picture's."""
        item = self._table.get(f"run#{run_id}", f"image#{n}")
        if not item or item.get("key") != key or item["status"] != STORED:
            return False
        change = self._table.update(
            f"run#{run_id}",
            f"image#{n}",
            "SET #status = :deleted, #shelf = :shelf, #shelf_folder = :shelf_folder, #shelf_topic = :shelf_topic",
            condition="#status = :stored",
            values={":stored": STORED, ":deleted": DELETED} | _shelf(DELETED, folder=item["folder"], topic=item["topic"]),
        )
        return all(self._table.write(change))

    def _change(self, claim: ImageRecord, expression: str, *, values: dict[str, Any], condition: str | None = None) -> Item:
        condition = condition or "#status = :claimed AND #purchase = :mine"
        values = values | {":claimed": CLAIMED, ":mine": claim.purchase}
        return self._table.update(f"run#{claim.run_id}", f"image#{claim.n}", expression, condition=condition, values=values)

    def _with_money(self, action: Item, claim: ImageRecord, *, committed: int, spent: int) -> bool:
        return all(self._table.write(action, self._budget.change(claim.month, committed=committed, spent=spent)))


def _shelf(status: str, *, folder: str, topic: str) -> dict[str, str]:
    """The keys of the indexes by_time, by_folder and by_topic."""
    return {":shelf": status, ":shelf_folder": f"{status}#{folder}", ":shelf_topic": f"{status}#{topic}"}


def _item(record: PromptRecord | ImageRecord, sk: str) -> Item:
    given = {name: value for name, value in asdict(record).items() if value is not None}
    for name in ("usage", "choices"):
        if name in given:
            given[name] = json.dumps(given[name])
    return {"pk": f"run#{record.run_id}", "sk": sk} | given


def _read(kind: type[R], item: Item) -> R:
    known: dict[str, Any] = {field.name: item.get(field.name) for field in fields(kind)}
    for name in ("usage", "choices"):
        if known.get(name):
            known[name] = json.loads(known[name])
    return kind(**known)
