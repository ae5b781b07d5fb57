"""Finds images by their words, with the search of the API, read from the table directly."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.target import Target
from easel.contract.text import printable, shorten
from easel.ledger.gallery import GalleryImage
from easel.request.fields import Flag
from easel.request.names import check_folder
from easel.search.indexing import Indexing, Rebuild
from easel.search.query import TABLE, Query, read_query
from easel.search.search import Search

PAGE, MAX_TITLE = 100, 60
WORDS = "q"
# The command has shorter words for these parameters of the API.
OPTIONS = {"person": "who"}
SHOWN = (
    *("id", "run_id", "n", "key", "folder", "topic", "title", "alt_text", "model"),
    *("width", "height", "bytes", "stored_at"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the words and an option for each parameter of the search."""
    parser.add_argument("words", nargs="*", metavar="WORD", help=TABLE[WORDS].note)
    for name, field in TABLE.items():
        if name == WORDS:
            continue
        option: dict[str, Any] = {"metavar": "TEXT"}
        if isinstance(field.kind, Flag):
            option = {"action": argparse.BooleanOptionalAction}
        elif "enum" in field.schema():
            option = {"choices": field.schema()["enum"]}
        parser.add_argument(
            f"--{OPTIONS.get(name, name)}", dest=name, default=None, help=field.note, **option
        )
    parser.add_argument("--folder", metavar="TEXT", help="in this folder, without its subfolders")
    parser.add_argument("--topic", metavar="TEXT", help="with this topic")
    parser.add_argument("--limit", type=_count, default=24, metavar="N", help="24 by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each image")


def find(target: Target, options: argparse.Namespace) -> int:
    """Print the images that match, newest first. Return 1 if there are none."""
    images = list(_images(Search(target.records), _query(options), limit=options.limit))
    if options.json:
        for image in images:
            print(json.dumps({name: getattr(image, name) for name in SHOWN}, ensure_ascii=False))
    elif images:
        Console().print(_table(images))
    else:
        Console(stderr=True).print("no image matches; docs/search.md explains what is searched")
    return 0 if images else 1


def reindex(target: Target, _options: argparse.Namespace) -> int:
    """Start to make all documents again."""
    Rebuild(target.records, Indexing(target.records)).start()
    print("the index is being made again; the search keeps working meanwhile")
    return 0


def _query(options: argparse.Namespace) -> Query:
    given = {name: getattr(options, name) for name in TABLE if name != WORDS}
    values = {name: value for name, value in given.items() if value is not None}
    if options.words:
        values[WORDS] = " ".join(options.words)
    folder = check_folder(options.folder, "folder") if options.folder is not None else None
    return read_query(values, folder=folder, topic=options.topic)


def _images(search: Search, query: Query, *, limit: int) -> Iterator[GalleryImage]:
    cursor = None
    while limit:
        page = search.page(query, after=cursor, limit=min(limit, PAGE))
        yield from page.images
        limit -= len(page.images)
        cursor = page.cursor
        if cursor is None:
            return


def _table(images: list[GalleryImage]) -> Table:
    table = Table("stored (UTC)", "title", box=None, pad_edge=False)
    table.add_column("key", overflow="fold")
    for image in images:
        title = printable(shorten(image.title, MAX_TITLE))
        table.add_row(image.stored_at[:16].replace("T", " "), title, printable(image.key))
    return table


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= 10_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}; allowed: a whole number from 1 to 10,000")
