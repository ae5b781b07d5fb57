"""Reads and writes the records of runs. Each change of an image's status is one transaction."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from easel.aws.table import MAX_BATCH, Item, Table
from easel.contract import naming
from easel.contract.errors import ConflictError
from easel.contract.status import ChatStatus, Status
from easel.ledger.budget import Budget
from easel.ledger.claims import Claims
from easel.ledger.gallery import INDEX_NAMES, SET_INDEX_KEYS, Place
from easel.ledger.owners import KeyOwners
from easel.ledger.records import (
    ChatRecord,
    ImageRecord,
    PromptRecord,
    RunRecords,
    StoredFiles,
    from_item,
    run_key,
    to_item,
    write_sizes,
)

LINES_AT_ONCE = 25


class Ledger:
    """The records of all runs, with the claims of their paid calls, the budget, and the keys."""

    def __init__(self, table: Table, budget: Budget) -> None:
        self._table = table
        self.budget = budget
        self.claims = Claims(table, budget)
        self.owners = KeyOwners(table)

    def prompt(self, run_id: str) -> PromptRecord | None:
        """Return the run's prompt record, or None if the prompt is not written yet."""
        item = self._table.get(*run_key(run_id, "prompt"))
        return from_item(PromptRecord, item) if item else None

    def chat(self, run_id: str) -> ChatRecord | None:
        """Return the run's chat call, or None before its claim or if the caller gave the prompt."""
        item = self._table.get(*run_key(run_id, "chat"))
        return from_item(ChatRecord, item) if item else None

    def image(self, run_id: str, n: int) -> ImageRecord | None:
        """Return one image's record, or None before its claim."""
        item = self._table.get(*run_key(run_id, f"image#{n}"))
        return from_item(ImageRecord, item) if item else None

    def run(self, run_id: str) -> RunRecords:
        """Return all records of a run."""
        return RunRecords.of_items(self._table.query(f"run#{run_id}"))

    def runs(self, counts: Mapping[str, int]) -> dict[str, RunRecords]:
        """Return the records of many runs. `counts` maps each run id to its number of images."""
        record_keys = [
            run_key(run_id, sk)
            for run_id, count in counts.items()
            for sk in ("prompt", "chat", *(f"image#{n}" for n in range(1, count + 1)))
        ]
        items_by_run: dict[str, list[Item]] = {run_id: [] for run_id in counts}
        for start in range(0, len(record_keys), MAX_BATCH):
            for item in self._table.get_many(record_keys[start : start + MAX_BATCH]):
                items_by_run[item["pk"].removeprefix("run#")].append(item)
        return {run_id: RunRecords.of_items(items) for run_id, items in items_by_run.items()}

    def join_records(
        self, lines: Iterable[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], RunRecords]]:
        """Yield lines with a `run_id` and a number of `pictures`, each with its run's records."""
        rest = iter(lines)
        while group := list(islice(rest, LINES_AT_ONCE)):
            known = self.runs({line["run_id"]: line["pictures"] for line in group})
            yield from ((line, known[line["run_id"]]) for line in group)

    def keep_prompt(self, record: PromptRecord, *, paid: ChatRecord | None) -> bool:
        """Write the prompt record and settle the chat call that was paid for it, or do neither.

        Return False if there is a prompt record already.
        """
        put = self._table.put_if_absent(to_item(record))
        if paid is None:
            return all(self._table.write(put))
        cost = record.chat_cost_micro_usd
        values = {":written": ChatStatus.WRITTEN, ":cost": cost}
        change = "SET #status = :written, #cost_micro_usd = :cost"
        # What an earlier answer cost is already settled.
        rest = None if cost is None else cost - (paid.wasted_micro_usd or 0)
        return self.claims.settle(paid, change, values, put, cost=rest)

    def edit_prompt(self, prompt: PromptRecord, text: str) -> PromptRecord:
        """Replace the text of a prompt from which nothing is painted yet. Return the new record.

        Raises ConflictError if an image of the run is claimed, or somebody else edited it.
        """
        edited = replace(prompt, text=text, written_text=prompt.written_text or prompt.text)
        count = prompt.choices["count"]
        before, after = prompt.image_bound(), edited.image_bound()
        known = None not in (before, after, prompt.estimate_micro_usd)
        estimate = prompt.estimate_micro_usd
        if known:
            estimate = (estimate or 0) + count * ((after or 0) - (before or 0))
        edited = replace(edited, estimate_micro_usd=estimate)
        change = self._table.update(
            run_key(prompt.run_id, "prompt"),
            "SET #text = :text, #written_text = :written, #estimate_micro_usd = :estimate",
            condition="#text = :before",
            values={
                ":text": text,
                ":written": edited.written_text,
                ":estimate": estimate,
                ":before": prompt.text,
            },
        )
        unclaimed = [
            self._table.absent(run_key(prompt.run_id, f"image#{n}")) for n in range(1, count + 1)
        ]
        if not all(self._table.write(change, *unclaimed)):
            raise ConflictError(
                f"images of run {prompt.run_id} are painted from another prompt already; start a "
                "new run with the edited one"
            )
        return edited

    def note_execution(self, prompt: PromptRecord, execution: str) -> None:
        """Record the run's latest execution, so that it can be found by the run's id."""
        change = self._table.update(
            run_key(prompt.run_id, "prompt"),
            "SET #execution = :execution",
            condition="#digest = :digest",
            values={":execution": execution, ":digest": prompt.digest},
        )
        self._table.write(change)

    def mark_staged(self, claim: ImageRecord, staged: ImageRecord) -> bool:
        """End a claim whose bytes are in staging. Return False if the claim has changed."""
        values = {
            ":staged": Status.STAGED,
            ":key": staged.staged_key,
            ":bytes": staged.bytes,
            ":sha256": staged.sha256,
            ":usage": json.dumps(staged.usage) if staged.usage is not None else None,
            ":cost": staged.cost_micro_usd,
        }
        change = (
            "SET #status = :staged, #staged_key = :key, #bytes = :bytes, #sha256 = :sha256, "
            "#usage = :usage, #cost_micro_usd = :cost"
        )
        cost = staged.cost_micro_usd
        return self.claims.settle(claim, change, values, cost=cost)

    def mark_refused(self, claim: ImageRecord, *, category: str) -> bool:
        """End a claim that OpenAI refused, at no cost. Return False if the claim has changed."""
        values = {":to": Status.REFUSED, ":category": category}
        change = "SET #status = :to, #refusal = :category"
        return self.claims.settle(claim, change, values, cost=0)

    def mark_lost(self, claim: ImageRecord) -> bool:
        """End a claim that was paid and lost. Its bound counts as spent, shown by a lease of 0."""
        values = {":to": Status.LOST, ":over": 0}
        change = "SET #status = :to, #lease_until = :over"
        return self.claims.settle(claim, change, values, cost=None)

    def mark_bad(self, image: ImageRecord, *, problem: str) -> bool:
        """Mark a staged image as one that cannot be stored. Return False if it is not staged."""
        change = self._table.update(
            image.item_key,
            "SET #status = :bad, #problem = :problem",
            condition="#status = :staged AND #staged_key = :key",
            values={
                ":staged": Status.STAGED,
                ":key": image.staged_key,
                ":bad": Status.BAD,
                ":problem": problem,
            },
        )
        return all(self._table.write(change))

    def mark_stored(
        self,
        image: ImageRecord,
        *,
        files: StoredFiles,
        prompt: PromptRecord,
        stored_at: str,
    ) -> bool:
        """Mark a staged image as stored and put it into the gallery.

        Return False if it was stored before.
        """
        place = Place(
            status=Status.STORED,
            folder=prompt.choices["folder_name"],
            topic=prompt.topic,
            at=stored_at,
            run_id=image.run_id,
            n=image.n,
        )
        values = {
            "key": files.key,
            "width": files.width,
            "height": files.height,
            "previews": list(files.previews),
            "sizes": write_sizes(files.sizes),
            "title": prompt.title,
            "alt_text": prompt.alt_text,
            "model": prompt.choices["model"],
            "folder": place.folder,
            "topic": place.topic,
            "stored_at": stored_at,
        }
        tags = prompt.choices.get("tags")
        values |= {"tags": set(tags)} if tags else {}
        change = self._table.update(
            image.item_key,
            f"SET #status = :stored, {', '.join(f'#{name} = :{name}' for name in values)}, "
            f"{SET_INDEX_KEYS}",
            condition="#status = :staged",
            values={":staged": Status.STAGED, ":stored": Status.STORED}
            | {f":{name}": value for name, value in values.items()}
            | place.index_values(),
        )
        folder_count = place.count(self._table, images=1, size=image.bytes or 0)
        # An image's id contains only a hash of the run id, so this item maps the hash to the run
        # id.
        image_id = naming.image_id(image.run_id, image.n)
        link = {"pk": f"picture#{image_id}", "sk": image.run_id, "n": image.n}
        return all(self._table.write(change, folder_count, self._table.put(link)))

    def note_mirrored(self, run_id: str, n: int, *, url: str) -> None:
        """Record the address of an image's copy."""
        change = self._table.update(
            run_key(run_id, f"image#{n}"),
            "SET #mirrored = :url",
            condition="attribute_exists(#status)",
            values={":url": url},
        )
        self._table.write(change)

    def mark_deleted(self, run_id: str, n: int, *, key: str) -> bool:
        """Change a stored image to deleted. Return False if it does not have this key."""
        item = self._with_key(run_id, n, key=key, statuses=(Status.STORED,))
        return item is not None and self._move(item, to=Status.DELETED, at=_now())

    def mark_restored(self, run_id: str, n: int, *, key: str) -> bool:
        """Change a deleted image back to stored. Return False if it has another key."""
        item = self._with_key(run_id, n, key=key, statuses=(Status.DELETED,))
        return item is not None and self._move(item, to=Status.STORED, at=item["stored_at"])

    def mark_purged(self, run_id: str, n: int, *, key: str) -> bool:
        """Remove an image from the gallery permanently. Return False if it has another key."""
        item = self._with_key(run_id, n, key=key, statuses=(Status.STORED, Status.DELETED))
        if item is None:
            return False
        before = Status(item["status"])
        change = self._table.update(
            (item["pk"], item["sk"]),
            f"SET #status = :purged, #purged_from = :before REMOVE {INDEX_NAMES}",
            condition="#status = :before",
            values={":purged": Status.PURGED, ":before": before},
        )
        place, sign = _place(item, status=before, at=item["stored_at"]), -1
        counts = self._count(place, sign, item) if before == Status.STORED else ()
        return all(self._table.write(change, *counts))

    def unmark_purged(self, run_id: str, n: int, *, key: str) -> bool:
        """Undo `mark_purged` for an image that S3 kept. Return False if it was not purged."""
        item = self._with_key(run_id, n, key=key, statuses=(Status.PURGED,))
        if item is None:
            return False
        before = Status(item["purged_from"])
        at = item["stored_at"] if before == Status.STORED else item["deleted_at"]
        place = _place(item, status=before, at=at)
        change = self._table.update(
            (item["pk"], item["sk"]),
            f"REMOVE #purged_from SET #status = :shelf, {SET_INDEX_KEYS}",
            condition="#status = :purged",
            values={":purged": Status.PURGED} | place.index_values(),
        )
        counts = self._count(place, 1, item) if before == Status.STORED else ()
        return all(self._table.write(change, *counts))

    def is_elsewhere(self, key: str) -> bool:
        """Return whether the image that owns this key was moved to another one."""
        owner = self.owners.find(key)
        image = self.image(*owner) if owner else None
        return image is not None and image.key not in (None, key)

    def _with_key(
        self, run_id: str, n: int, *, key: str, statuses: tuple[Status, ...]
    ) -> Item | None:
        item = self._table.get(*run_key(run_id, f"image#{n}"))
        return item if item and item.get("key") == key and item["status"] in statuses else None

    def _move(self, item: Item, *, to: Status, at: str) -> bool:
        place, deleted = _place(item, status=to, at=at), to == Status.DELETED
        time = "SET #deleted_at = :deleted_at," if deleted else "REMOVE #deleted_at SET"
        change = self._table.update(
            (item["pk"], item["sk"]),
            f"{time} #status = :shelf, {SET_INDEX_KEYS}",
            condition="#status = :before",
            values={":before": item["status"]}
            | ({":deleted_at": at} if deleted else {})
            | place.index_values(),
        )
        return all(self._table.write(change, *self._count(place, -1 if deleted else 1, item)))

    def _count(self, place: Place, sign: int, item: Item) -> tuple[Item]:
        """Return the action that adds an image to its folder's counts, or removes it."""
        return (place.count(self._table, images=sign, size=sign * item["bytes"]),)


def _place(item: Item, *, status: Status, at: str) -> Place:
    return Place(
        status=status,
        folder=item["folder"],
        topic=item["topic"],
        at=at,
        run_id=item["run_id"],
        n=item["n"],
    )


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
