"""Exact sizes are stored with their image, and go and come back with it."""

import hashlib
import io
import json
from dataclasses import asdict
from typing import Any

import pytest
from obstore.store import MemoryStore
from PIL import Image

from easel.contract import naming
from easel.contract.status import Status
from easel.images.ai_mark import AI_MADE, PARTLY_AI_MADE
from easel.ledger.records import StoredSize
from easel.request.references import Inputs, Reference
from functions.events.images import image_event
from functions.mirror import handler as mirror
from functions.mirror.store import MirrorStore
from tests.support.image_marks import xmp_of
from tests.support.images import png
from tests.support.memory_aws import keys_in
from tests.support.records import prompt_record
from tests.support.services import BUCKET, FakeServices
from tests.support.steps import CleanupStep

WANTED = [
    {"name": "open-graph", "width": 1200, "height": 630},
    {"name": None, "width": 64, "height": 96},
]
CHOICES = {"output_sizes": WANTED, "crop": "focus", "sizes_format": "auto", "file_name": "kite"}
KEY = "my_s3_folder/kite.png"
OPEN_GRAPH, SMALL = f"{KEY}.1200x630.jpg", f"{KEY}.64x96.jpg"
FILES = {
    KEY,
    f"{KEY}.json",
    OPEN_GRAPH,
    SMALL,
    *(f"thumbnails/{KEY}{edge}.webp" for edge in ("", ".640", ".1280")),
}
UPLOADED = Reference(
    key=f"references/{'0' * 32}.png",
    version_id="v",
    sha256="0" * 64,
    bytes=1,
    width=64,
    height=48,
    content_type="image/png",
    alt_text="mine.png",
)


@pytest.fixture
def step(services: FakeServices) -> CleanupStep:
    step = CleanupStep(services)
    services.ledger.keep_prompt(prompt_record(run_id="run-2", choices=CHOICES), paid=None)
    return step


def store(step: CleanupStep, data: bytes | None = None) -> str:
    data = data or png(1536, 864)
    return str(step.upload.run(step.upload.staged(data, run_id="run-2")).key)


def body(s3: Any, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def stored(s3: Any) -> set[str]:
    return {key for key in keys_in(s3) if not key.startswith("staging/")}


def sizes_of(step: CleanupStep) -> tuple[StoredSize, ...]:
    image = step.services.ledger.image("run-2", 1)
    assert image is not None
    return image.sizes or ()


def test_sizes_are_stored_next_to_the_image(step: CleanupStep, s3: Any) -> None:
    assert store(step) == KEY

    assert stored(s3) == FILES
    assert body(s3, KEY) == png(1536, 864)
    assert Image.open(io.BytesIO(body(s3, OPEN_GRAPH))).size == (1200, 630)
    assert s3.head_object(Bucket=BUCKET, Key=SMALL)["ContentType"] == "image/jpeg"


def test_record_sidecar_and_event_list_the_sizes(step: CleanupStep, s3: Any, aws: Any) -> None:
    store(step)

    sizes = sizes_of(step)
    assert [(size.key, size.name, size.enlarged) for size in sizes] == [
        (OPEN_GRAPH, "open-graph", False),
        (SMALL, None, False),
    ]
    for size in sizes:
        assert size.sha256 == hashlib.sha256(body(s3, size.key)).hexdigest()
        assert size.bytes == len(body(s3, size.key))
    sidecar = json.loads(body(s3, f"{KEY}.json"))
    assert sidecar["sizes"] == [asdict(size) for size in sizes]
    image = step.services.ledger.image("run-2", 1)
    assert image is not None
    assert image.previews == [640, 1280]
    record = {"run_id": "run-2", "n": 1, "status": "stored", "possibly_paid": 0}
    event = image_event(record | {"sizes": json.dumps(sidecar["sizes"])}, bucket=BUCKET)
    assert event is not None
    assert event.detail["sizes"] == sidecar["sizes"]


@pytest.mark.parametrize("key", sorted(FILES - {KEY, f"{KEY}.json"}))
def test_every_derived_file_is_marked(step: CleanupStep, s3: Any, key: str) -> None:
    store(step)

    xmp = xmp_of(body(s3, key))

    assert xmp["Xmp.iptcExt.DigitalSourceType"] == AI_MADE
    assert xmp["Xmp.iptc.AltTextAccessibility"] == {'lang="x-default"': "A kite"}
    assert json.loads(body(s3, f"{KEY}.json"))["digital_source_type"] == AI_MADE


@pytest.mark.parametrize(
    ("key", "mark"), [(UPLOADED.key, PARTLY_AI_MADE), ("my_s3_folder/a.png", AI_MADE)]
)
def test_masked_upload_is_partly_made_by_ai(
    step: CleanupStep, s3: Any, key: str, mark: str
) -> None:
    first = Reference(**asdict(UPLOADED) | {"key": key})
    inputs = Inputs(images=(first,), mask=UPLOADED)
    step.services.ledger.keep_prompt(prompt_record(run_id="run-3", inputs=inputs), paid=None)

    image = step.upload.run(step.upload.staged(png(), run_id="run-3"))

    thumbnail = body(s3, naming.thumbnail_key(str(image.key)))
    assert xmp_of(thumbnail)["Xmp.iptcExt.DigitalSourceType"] == mark


def test_enlarged_size_is_noted(step: CleanupStep) -> None:
    store(step, png(640, 480))
    assert [size.enlarged for size in sizes_of(step)] == [True, False]


def test_second_run_makes_no_new_sizes(step: CleanupStep, s3: Any) -> None:
    staged = step.upload.staged(png(1536, 864), run_id="run-2")
    first = step.upload.run(staged)

    assert step.upload.run(staged) == first
    assert len(s3.list_object_versions(Bucket=BUCKET)["Versions"]) == len(FILES) + 1


def test_sizes_of_an_interrupted_upload_are_kept(step: CleanupStep, s3: Any) -> None:
    staged = step.upload.staged(png(1536, 864), run_id="run-2")
    own = {
        naming.OWNER_RUN: "run-2",
        naming.OWNER_N: "1",
        "original-sha256": staged.sha256,
        "sha256": "ab" * 32,
    }
    step.bucket.put(OPEN_GRAPH, b"earlier", content_type="image/jpeg", metadata=own)

    step.upload.run(staged)

    assert body(s3, OPEN_GRAPH) == b"earlier"
    assert (sizes_of(step)[0].bytes, sizes_of(step)[0].sha256) == (7, "ab" * 32)


def test_callers_own_file_is_left_alone(step: CleanupStep, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=OPEN_GRAPH, Body=b"mine")

    key = store(step)

    assert body(s3, OPEN_GRAPH) == b"mine"
    own = f"{KEY}.1200x630_{naming.image_id('run-2', 1)}.jpg"
    assert sizes_of(step)[0].key == own
    step.delete(action="delete_image", image_key=key, confirm=True, purge=True)
    assert {name for name in stored(s3) if name.startswith(KEY)} == {OPEN_GRAPH}


def test_no_image_takes_the_key_of_a_size(step: CleanupStep) -> None:
    choices = {"file_name": "kite.png.1200x630"}
    step.services.ledger.keep_prompt(prompt_record(run_id="run-3", choices=choices), paid=None)

    image = step.upload.run(step.upload.staged(png(), run_id="run-3"))

    assert image.key == "my_s3_folder/kite.png.1200x630_2.png"


@pytest.mark.parametrize("action", ["delete_image", "delete_folder"])
def test_sizes_are_deleted_and_restored(step: CleanupStep, s3: Any, action: str) -> None:
    key = store(step)
    target = {"image_key": key} if "image" in action else {"folder_name": "my_s3_folder"}

    removed = step.delete(action=action, confirm=True, **target)
    assert (removed.deleted, stored(s3)) == (len(FILES), set())

    step.restore(action=action.replace("delete", "restore"), **target)
    assert stored(s3) == FILES
    image = step.services.ledger.image("run-2", 1)
    assert image is not None
    assert image.status == Status.STORED


def test_purge_leaves_no_version_of_a_size(step: CleanupStep, s3: Any) -> None:
    key = store(step)

    step.delete(action="delete_image", image_key=key, confirm=True, purge=True)

    versions = s3.list_object_versions(Bucket=BUCKET).get("Versions", [])
    assert [version["Key"] for version in versions if "kite" in version["Key"]] == []


def test_purge_finds_what_an_earlier_one_left(step: CleanupStep, s3: Any) -> None:
    key = store(step)
    (version,) = step.bucket.history(key)
    step.bucket.remove([(key, version.id)])

    step.delete(action="delete_image", image_key=key, confirm=True, purge=True)

    assert stored(s3) == set()


def test_mirror_has_every_file(step: CleanupStep, s3: Any) -> None:
    message = step.upload.run(step.upload.staged(png(1536, 864), run_id="run-2"))
    other = MemoryStore()

    mirror.run(message, step.services, MirrorStore(lambda: other, url="memory://other"))

    copies = {item["path"] for page in other.list() for item in page}
    assert copies == FILES


def test_run_of_an_older_version_has_no_sizes(step: CleanupStep) -> None:
    assert step.stored()
    image = step.services.ledger.image("run-1", 1)
    assert image is not None
    assert (image.sizes, image.previews) == (None, [])
