"""Which execution was a batch's latest start."""

from dataclasses import asdict, dataclass

from functions.adapters.table import Table

SK = "batch"


@dataclass(frozen=True, kw_only=True)
class BatchStart:
    """One start of a batch: the execution's name, the manifest with its version, and when (ISO 8601 in UTC)."""

    name: str
    execution: str
    manifest: str
    version_id: str
    started: str


class Batches:
    """The batches that were ever started."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def latest(self, name: str) -> BatchStart | None:
        """A batch's latest start, None where there was none."""
        item = self._table.get(f"batch#{name}", SK)
        return BatchStart(**{field: item[field] for field in BatchStart.__dataclass_fields__}) if item else None

    def note(self, start: BatchStart) -> None:
        """Keep a start as the batch's latest."""
        self._table.write(self._table.put({"pk": f"batch#{start.name}", "sk": SK} | asdict(start)))
