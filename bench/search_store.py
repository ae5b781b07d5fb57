"""A process that answers in DynamoDB's protocol, from the leaves of made-up images in memory."""

import json
import math
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench import children
from bench.item_size import plain_size
from bench.search_images import records
from easel.aws.table import Item, _typed
from easel.search.document import Position, tokens
from easel.search.leaf import END, MOST, START, pack
from easel.search.leaves import SHARDS, shard_of

MAX_PAGE = 2**20


class Store:
    """Leaves and postings of a number of images, as DynamoDB would return them."""

    def __init__(self, count: int) -> None:
        self.numbers: dict[str, int] = {}
        shards: list[dict[str, frozenset[str]]] = [{} for _ in range(SHARDS)]
        self.postings: dict[str, list[str]] = {}
        spent = time.process_time()
        for number in range(count):
            image, prompt = records(number)
            self.numbers[image["pk"]] = number
            known = tokens(image, prompt)
            if known is not None:
                position = Position.of(image)
                shards[shard_of(position)][str(position)] = known
                for word in known & {"dawn", "dusk", "lake", "unique0"}:
                    self.postings.setdefault(word, []).append(str(position))
        self.spent = time.process_time() - spent
        documents = [known for shard in shards for known in shard.values()]
        self.words = sum(map(len, documents)) / count
        self.partitions = {f"search#{n}": _leaves(n, shard) for n, shard in enumerate(shards)}
        for word, positions in self.postings.items():
            items = [_encoded({"pk": f"word#{word}", "sk": position}) for position in positions]
            self.partitions[f"word#{word}"] = sorted(items, reverse=True)

    def facts(self) -> dict[str, float]:
        """Return sizes, for the prices."""
        leaves = [size for n in range(SHARDS) for _, size, _ in self.partitions[f"search#{n}"]]
        return {
            "leaves": len(leaves),
            "bytes": sum(leaves),
            "ms": 1000 * self.spent,
            "words": self.words,
        }

    def query(self, request: dict[str, Any]) -> bytes:
        """Answer a query in descending order."""
        values = request["ExpressionAttributeValues"]
        below = values[":below"]["S"]
        items: list[bytes] = []
        size = 0
        for sk, length, text in self.partitions.get(values[":pk"]["S"], []):
            if sk >= below:
                continue
            if len(items) == request.get("Limit", math.inf) or size + length > MAX_PAGE:
                break
            items.append(text)
            size += length
        return b'{"Count":%d,"Items":[%s]}' % (len(items), b",".join(items))

    def batch(self, request: dict[str, Any]) -> bytes:
        """Answer a batched read."""
        ((name, read),) = request["RequestItems"].items()
        items = []
        for key in read["Keys"]:
            image, prompt = records(self.numbers[key["pk"]["S"]])
            items.append(_typed(prompt if key["sk"]["S"] == "prompt" else image))
        return json.dumps({"Responses": {name: items}, "UnprocessedKeys": {}}).encode()


Row = tuple[str, int, bytes]


def _leaves(number: int, documents: dict[str, frozenset[str]]) -> list[Row]:
    """Return the leaves of a shard, newest first, as they are after images came one by one."""
    ordered = sorted(documents)
    parts = [ordered[begin : begin + MOST] for begin in range(0, len(ordered), MOST)] or [[]]
    starts = [START, *(part[0] for part in parts[1:])]
    ends = [*starts[1:], END]
    rows = [
        _encoded(
            {
                "pk": f"search#{number}",
                "sk": start,
                "until": end,
                "version": 1,
                "data": pack({position: documents[position] for position in part}),
            }
        )
        for start, end, part in zip(starts, ends, parts, strict=True)
    ]
    return rows[::-1]


def _encoded(item: Item) -> Row:
    size = plain_size(item)
    typed = _typed(item)
    for value in typed.values():
        if "B" in value:
            value["B"] = b64encode(value["B"]).decode()
    return item["sk"], size, json.dumps(typed).encode()


def serve(count: int) -> None:
    """Build the images, and answer until the process is ended."""
    store = Store(count)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 2**16  # headers and body in one piece, or the client waits 40 ms for the second

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].partition(".")[2]
            body = store.query(request) if operation == "Query" else store.batch(request)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(json.dumps(store.facts() | {"port": server.server_port}), flush=True)
    server.serve_forever()


@contextmanager
def serving(count: int) -> Iterator[dict[str, float]]:
    """Start the other process, yield its port and its sizes, and end it."""
    arguments = [str(count)]
    with children.running("bench.search_store", arguments, stdout=subprocess.PIPE) as process:
        yield json.loads(process.stdout.readline()) if process.stdout else {}


if __name__ == "__main__":
    serve(int(sys.argv[1]))
