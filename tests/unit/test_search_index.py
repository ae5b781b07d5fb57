"""The index of the search: documents, leaves, splits, and writers at the same time."""

import random
import threading
from contextlib import suppress
from typing import Any

import pytest

from easel.aws.table import Table
from easel.contract.errors import StorageBusyError
from easel.search.document import MAX_BYTES, Position, tokens
from easel.search.indexing import Indexing
from easel.search.leaf import END, MAX_TEXT, MOST, START, Leaf, LeafText, divide, pack
from easel.search.leaves import SHARDS, Leaves, shard_of
from tests.support.memory_aws import Clients, DyingClient
from tests.support.searchable import Searchable, at, image_item, prompt_item
from tests.support.services import TABLE

LEAF = 8  # documents, so that a few dozen fill several leaves


@pytest.fixture
def index(table: Table) -> Searchable:
    return Searchable(table, leaf_size=LEAF)


def runs_of_one_shard(count: int) -> list[str]:
    """Return run ids whose images are all in shard 0."""
    names = (f"run-{n}" for n in range(100_000))
    of_shard = (n for n in names if shard_of(Position(at=at(0), run_id=n, n=1)) == 0)
    return [next(of_shard) for _ in range(count)]


def test_document_has_words_and_facts() -> None:
    image = image_item("run-1", favourite=True, tags=["Winter Sport"], share="s", shared_at="t")
    prompt = prompt_item(
        "run-1", request='{"description": "Ein Drachen"}', person="1f0c9a2e", trigger="batch"
    )

    known = tokens(image, prompt)

    assert known is not None
    assert {"kite", "drachen", "school", "winter", "wind", "cats", "watercolour"} <= known
    assert {":is:favourite", ":is:shared", ":is:batch", ":who:1f0c9a2e"} <= known
    assert {":model:gpt-image-2", ":folder:cats", ":tag:winter%20sport", ":tag:wind"} <= known
    assert ":is:hidden" not in known


def test_removed_tags_of_request_do_not_count() -> None:
    # The image got the tags of its request when it was stored. A set without members is absent.
    prompt = prompt_item("run-1", choices='{"tags": ["Spring"]}')

    tagged = tokens(image_item("run-1", tags={"Spring"}), prompt)
    removed = tokens(image_item("run-1"), prompt)

    assert tagged is not None
    assert removed is not None
    assert {":tag:spring", "spring"} <= tagged
    assert not {":tag:spring", "spring"} & removed


@pytest.mark.parametrize("status", ["deleted", "purged", "staged"])
def test_only_stored_image_has_document(status: str) -> None:
    assert tokens(image_item("run-1", status=status), prompt_item("run-1")) is None


def test_record_of_older_version_has_document() -> None:
    known = tokens(image_item("run-1", folder=None, model=None), None)

    assert known is not None
    assert "kite" in known


def test_long_prompt_is_cut_at_the_limit() -> None:
    text = " ".join(f"word{n}" for n in range(10_000))

    known = tokens(image_item("run-1"), prompt_item("run-1", text=text))

    assert known is not None
    assert "word0" in known
    words = {word for word in known if not word.startswith(":")}
    assert MAX_BYTES * 0.9 < sum(len(word) + 1 for word in words) <= MAX_BYTES


def test_leaf_keeps_documents_of_any_script() -> None:
    documents = {
        f"{at(n)}#run-{n}#1": frozenset({f"w{n}", "kite", "हिन्दी", "é\u0301", ":is:hidden"})
        for n in range(MOST)
    }

    leaf = Leaf(start=START, until=END, version=1, data=pack(documents))

    assert leaf.documents() == documents
    assert LeafText(leaf.data).having(b":is:hidden") == {*range(0x80, 0x100)}
    assert LeafText(leaf.data).having_word(b"w12") == {0x80 + n for n in (12, *range(120, 128))}


def test_newer_documents_fill_leaves() -> None:
    documents = {f"{n:04}": frozenset({"a"}) for n in range(MOST + 1)}

    parts = divide(documents, before=list(documents)[:-1])

    assert [len(part) for part in parts] == [MOST, 1]


def test_older_document_halves_full_leaf() -> None:
    documents = {f"{n:04}": frozenset({"a"}) for n in range(MOST + 1)}

    parts = divide(documents, before=list(documents)[1:])

    assert [len(part) for part in parts] == [MOST // 2, MOST // 2, 1]


def test_long_documents_share_fewer_leaves() -> None:
    words = frozenset(f"word{n:08}" for n in range(MAX_BYTES // 13))
    documents = {f"{n:04}": words for n in range(40)}

    parts = divide(documents, before=())

    sizes = [sum(len(word) + 2 for words in part.values() for word in words) for part in parts]
    assert len(parts) > 1
    assert max(sizes) <= MAX_TEXT


def test_random_changes_keep_every_document_once(index: Searchable) -> None:
    chance = random.Random(7)  # noqa: S311 - not a secret
    runs = runs_of_one_shard(40)
    stored: dict[str, Position] = {}
    for _ in range(12):
        changed = chance.sample(runs, 8)
        for run_id in changed:
            status = "deleted" if run_id in stored and chance.random() < 0.4 else "stored"
            second = runs.index(run_id) * 37 % 40
            stored[run_id] = index.put(run_id, status=status, stored_at=at(second))
        index.indexing.refresh(stored[run_id] for run_id in changed)

    items = index.table.get_many([position.key for position in stored.values()])
    expected = [str(Position.of(item)) for item in items if item["status"] == "stored"]
    assert index.documents() == sorted(expected)
    leaves = sorted(index.all_leaves(), key=lambda leaf: leaf.start)
    assert (leaves[0].start, leaves[-1].until) == (START, END)
    assert [leaf.until for leaf in leaves[:-1]] == [leaf.start for leaf in leaves[1:]]
    assert all(leaf.covers(position) for leaf in leaves for position in leaf.documents())
    assert len(leaves) > 3


def test_same_event_twice_writes_once(index: Searchable) -> None:
    position = index.store("run-1")
    before = index.all_leaves()

    index.indexing.refresh([position, position])

    assert index.all_leaves() == before
    assert [leaf.version for leaf in before] == [1]


def test_late_event_does_not_restore_old_state(index: Searchable) -> None:
    position = index.put("run-1")
    index.put("run-1", status="deleted")

    # The event of the first write comes after the second write.
    index.indexing.refresh([position])

    assert index.documents() == []


def test_images_of_a_batch_share_writes(index: Searchable, aws: Clients) -> None:
    positions = [index.put(f"run-{n}", stored_at=at(n)) for n in range(60)]
    calls: list[str] = []
    client = Counting(aws.dynamodb, calls)

    Indexing(Table(client, name=TABLE)).refresh(positions)

    assert calls.count("transact_write_items") == SHARDS
    assert calls.count("query") == SHARDS
    assert calls.count("batch_get_item") == 2


class Counting:
    """A client that notes its calls."""

    def __init__(self, client: Any, calls: list[str]) -> None:
        self._client, self._calls = client, calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**parameters: Any) -> Any:
            self._calls.append(name)
            return method(**parameters)

        return call


def test_writers_at_the_same_time_lose_nothing(index: Searchable) -> None:
    runs = runs_of_one_shard(5 * LEAF)
    positions = [index.put(run_id, stored_at=at(n)) for n, run_id in enumerate(runs)]
    failures: list[Exception] = []

    def write(part: list[Position]) -> None:
        indexing = index.writer()
        for position in part:
            while True:
                try:
                    indexing.refresh([position])
                    break
                except StorageBusyError:
                    continue  # Lambda would repeat the batch
                except Exception as error:
                    failures.append(error)
                    return

    threads = [threading.Thread(target=write, args=(positions[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert index.documents() == sorted(map(str, positions))


def test_record_is_read_after_its_leaf(index: Searchable) -> None:
    position = index.store("run-1", title="Kite")
    indexing = index.indexing
    read = indexing._documents

    def change_in_between(images: Any) -> Any:
        indexing._documents = read  # type: ignore[method-assign]
        old = read(images)
        # Another writer changes record and document after this one has read the record.
        index.put("run-1", title="Balloon")
        index.writer().refresh([position])
        return old

    indexing._documents = change_in_between  # type: ignore[method-assign]
    index.put("run-1", title="Boat")
    indexing.refresh([position])

    assert index.find("balloon") == ["run-1"]
    assert index.find("boat") == []


@pytest.mark.parametrize("dies_at", range(1, 9))
def test_death_at_any_call_is_repaired_by_retry(
    index: Searchable, aws: Clients, dies_at: int
) -> None:
    runs = runs_of_one_shard(2 * LEAF)
    positions = [index.put(run_id, stored_at=at(n)) for n, run_id in enumerate(runs)]
    index.indexing.refresh(positions[:LEAF])
    dying = Table(DyingClient(aws.dynamodb, dies_at), name=TABLE)

    with suppress(RuntimeError):
        index.writer(dying).refresh(positions)
    index.indexing.refresh(positions)

    assert index.documents() == sorted(map(str, positions))


def test_half_visible_split_is_read_again(index: Searchable, table: Table) -> None:
    runs = runs_of_one_shard(LEAF + 1)
    positions = [index.put(run_id, stored_at=at(n)) for n, run_id in enumerate(runs)]
    index.indexing.refresh(positions[:LEAF])
    index.indexing.refresh(positions[LEAF:])
    newest = index.all_leaves()[0]
    pauses: list[float] = []

    class Lagging(Leaves):
        def page(self, shard: int, **call: Any) -> list[Leaf]:
            found = super().page(shard, **call)
            return found if pauses else super().page(shard, **call | {"below": newest.start})

    leaf = Lagging(table, sleep=pauses.append).covering(0, str(positions[-1]))

    assert leaf == newest
    assert len(pauses) == 1
