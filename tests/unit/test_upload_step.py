import hashlib
import io
import json
import random
from typing import Any

import pytest
from PIL import Image

from easel.aws.bucket import Bucket
from easel.contract import naming
from easel.contract.errors import BadImageError, ConfigError
from easel.contract.messages import StagedImage, StoredImage
from easel.contract.status import Status
from easel.images.image_file import MAX_PIXELS, verify
from easel.ledger.records import PromptRecord
from functions.upload.handler import MAX_NAME_ATTEMPTS
from tests.support.images import encoded, png
from tests.support.memory_aws import keys_in
from tests.support.records import prompt_record
from tests.support.services import BUCKET, FakeServices
from tests.support.steps import UploadStep

BASE = f"my_s3_folder/image_2026-11-24_031502_{naming.run8('run-1')}"


def same_name(run_id: str, name: str) -> PromptRecord:
    """Return the prompt record of a run with a fixed file name."""
    return prompt_record(run_id=run_id, choices={"file_name": name})


def prompt_name(stored: StoredImage) -> str:
    """Return an image's file name without its folder and ending."""
    return str(stored.key).rpartition("/")[2].removesuffix(".png")


@pytest.fixture
def step(services: FakeServices) -> UploadStep:
    return UploadStep(services)


def test_image_is_stored_with_companions(step: UploadStep, s3: Any) -> None:
    stored = step.run(step.staged(png(640, 480)))
    assert (stored.status, stored.key) == ("stored", f"{BASE}_1.png")
    there = s3.get_object(Bucket=BUCKET, Key=stored.key)
    assert there["Body"].read() == png(640, 480)
    assert there["ContentType"] == "image/png"

    small = Image.open(
        io.BytesIO(s3.get_object(Bucket=BUCKET, Key=f"thumbnails/{BASE}_1.png.webp")["Body"].read())
    )
    assert (small.format, small.size) == ("WEBP", (320, 240))
    sidecar = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{BASE}_1.png.json")["Body"].read())
    assert (sidecar["prompt"], sidecar["model"], sidecar["cost_usd"]) == (
        "A kite",
        "gpt-image-2.6-flare",
        0.013,
    )
    assert (sidecar["moderation"], "safety_identifier" in sidecar) == ("low", False)
    assert (sidecar["width"], sidecar["height"], sidecar["usage"]) == (
        640,
        480,
        {"output_tokens": 430},
    )


def test_image_appears_in_the_gallery_indexes(step: UploadStep, aws: Any) -> None:
    step.run(step.staged(png()))
    item = aws.dynamodb.get_item(
        TableName="records", Key={"pk": {"S": "run#run-1"}, "sk": {"S": "image#1"}}
    )["Item"]

    assert item["shelf"]["S"] == "stored"
    assert item["shelf_folder"]["S"] == "stored#my_s3_folder"
    assert item["shelf_topic"]["S"] == "stored#Sport"
    assert item["at_id"]["S"].startswith("2026-11-24T03:15:02")


@pytest.mark.parametrize(
    ("kind", "extension", "content_type"),
    [("PNG", "png", "image/png"), ("JPEG", "jpg", "image/jpeg"), ("WEBP", "webp", "image/webp")],
)
def test_extension_and_type_come_from_bytes(
    step: UploadStep, s3: Any, kind: str, extension: str, content_type: str
) -> None:
    stored = step.run(step.staged(encoded(kind)))
    assert stored.key == f"{BASE}_1.{extension}"
    assert s3.head_object(Bucket=BUCKET, Key=stored.key)["ContentType"] == content_type


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>busy</html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded("GIF"),
        encoded("BMP"),
        png()[:-20],
        png()[: len(png()) // 2],
        encoded("JPEG", 300, 300)[:-200],
        encoded("WEBP", 300, 300)[:-20],
        png()[:40] + b"\x00" + png()[41:],
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_invalid_image_stays_in_staging(step: UploadStep, s3: Any, data: bytes) -> None:
    staged = step.staged(data)
    for _ in range(2):
        with pytest.raises(BadImageError, match=r"staging/run-1/1/1\.bytes"):
            step.run(staged)
    assert keys_in(s3) == ["staging/run-1/1/1.bytes"]

    record = step.ledger.image("run-1", 1)
    assert record is not None
    assert (record.status, record.cost_micro_usd) == (Status.BAD, 13_000)


def test_oversized_image_is_refused_before_decoding(step: UploadStep) -> None:
    out = io.BytesIO()
    edge = int(MAX_PIXELS**0.5) + 10
    Image.new("1", (edge, edge)).save(out, "PNG")
    with pytest.raises(BadImageError, match="pixels"):
        step.run(step.staged(out.getvalue()))


def test_changed_bytes_are_refused(step: UploadStep) -> None:
    staged = step.staged(png())
    step.bucket.put(staged.key, png(colour="red"), content_type="x/y")
    with pytest.raises(BadImageError, match="sha256"):
        step.run(staged)


def test_second_run_makes_no_new_objects(step: UploadStep, s3: Any) -> None:
    staged = step.staged(png())
    assert step.run(staged) == step.run(staged)
    assert len(keys_in(s3)) == 4
    assert len(s3.list_object_versions(Bucket=BUCKET)["Versions"]) == 4


def test_crash_before_record_keeps_the_key(step: UploadStep, s3: Any) -> None:
    staged = step.staged(png())

    class Dying:
        def __getattr__(self, name: str) -> Any:
            if name == "mark_stored":
                raise RuntimeError("killed")
            return getattr(own, name)

    own, step.services.ledger = step.ledger, Dying()  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        step.run(staged)

    step.services.ledger = own
    assert step.run(staged).key == f"{BASE}_1.png"
    assert len(keys_in(s3)) == 4


def test_concurrent_finish_is_not_an_error(step: UploadStep, s3: Any) -> None:
    staged = step.staged(png())
    mine, others = step.bucket, Bucket(step.bucket._client, name=BUCKET, owner="123456789012")

    class Overtaken:
        def copy_if_absent(self, *_: Any, **__: Any) -> bool:
            step.bucket = others
            step.run(staged)
            others.remove([(staged.key, None)])
            raise LookupError(
                "there is no such object"
            )  # S3 does not document the order of its checks: it may look at the source first

        def __getattr__(self, name: str) -> Any:
            return getattr(mine, name)

    step.bucket = Overtaken()

    second = step.run(staged)

    assert (second.status, second.key) == (Status.STORED, f"{BASE}_1.png")
    assert len([key for key in keys_in(s3) if key.endswith(".png")]) == 1


def test_copy_without_source_raises_lookup_error(step: UploadStep) -> None:
    with pytest.raises(LookupError):
        step.bucket.copy_if_absent("staging/none", "f/a.png", content_type="x/y", metadata={})


def test_jpeg_with_two_images_is_a_jpeg(step: UploadStep) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("teal", "red")]
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:])

    key = step.run(step.staged(out.getvalue())).key

    assert key is not None
    assert key.endswith(".jpg")


def test_pillow_errors_mean_a_bad_image() -> None:
    rng = random.Random(1)  # noqa: S311 - to be repeated, no secret
    whole, causes = png(), set()
    for n in range(400):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(8, len(data))] = rng.randrange(256)
        try:
            verify(bytes(data), sha256=hashlib.sha256(data).hexdigest(), where=f"n{n}")
        except BadImageError as error:  # some changes leave a valid image
            causes.add(type(error.__cause__))
    assert len(causes) > 2


def test_taken_name_gets_a_suffix(step: UploadStep, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{BASE}_1.png", Body=b"somebody's own")
    assert step.run(step.staged(png())).key == f"{BASE}_1_2.png"
    assert s3.get_object(Bucket=BUCKET, Key=f"{BASE}_1.png")["Body"].read() == b"somebody's own"


def test_name_of_a_deleted_image_stays_its_own(step: UploadStep, s3: Any) -> None:
    first = step.run(step.staged(png()))
    s3.delete_object(Bucket=BUCKET, Key=first.key)
    step.ledger.keep_prompt(same_name("run-2", prompt_name(first)), paid=None)

    second = step.run(step.staged(png(colour="red"), run_id="run-2"))

    assert second.key == str(first.key).replace(".png", "_2.png")


def test_name_that_was_not_used_is_given_up(step: UploadStep, s3: Any) -> None:
    taken = f"{BASE}_1.png"
    s3.put_object(Bucket=BUCKET, Key=taken, Body=b"somebody's own")
    step.run(step.staged(png()))
    assert step.ledger.owners.take(taken, "run-9", 1)


def test_hundredth_image_of_a_name_is_stored_under_its_id(step: UploadStep) -> None:
    for attempt in range(1, MAX_NAME_ATTEMPTS + 1):
        key = naming.image_key(f"{BASE}_1", "png", attempt=attempt)
        step.ledger.owners.take(key, "another", attempt)
    stored = step.run(step.staged(png()))
    assert stored.key == f"{BASE}_1_{naming.image_id('run-1', 1)}.png"


def test_tags_of_staged_bytes_are_not_copied(step: UploadStep, s3: Any) -> None:
    staged = step.staged(png())
    tags = {"TagSet": [{"Key": "GuardDutyMalwareScanStatus", "Value": "NO_THREATS_FOUND"}]}
    s3.put_object_tagging(Bucket=BUCKET, Key=staged.key, Tagging=tags)

    stored = step.run(staged)

    assert s3.get_object_tagging(Bucket=BUCKET, Key=stored.key)["TagSet"] == []


def test_identical_variations_are_two_images(step: UploadStep) -> None:
    same = prompt_record(run_id="run-2", choices=prompt_record().choices | {"file_name": "same"})
    step.ledger.keep_prompt(same, paid=None)
    first = step.run(step.staged(png(), n=1))

    second = step.run(step.staged(png(), n=2))

    assert first.key != second.key


def test_missing_staged_image_is_not_rebought(step: UploadStep, s3: Any) -> None:
    staged = step.staged(png())
    s3.delete_object(Bucket=BUCKET, Key=staged.key)
    with pytest.raises(ConfigError, match=r"staged image .* no longer exists"):
        step.run(staged)
    assert keys_in(s3) == []


def test_thumbnail_keeps_transparency(step: UploadStep, s3: Any) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (400, 400), (0, 0, 0, 0)).save(out, "PNG")

    step.run(step.staged(out.getvalue()))
    small = Image.open(
        io.BytesIO(s3.get_object(Bucket=BUCKET, Key=f"thumbnails/{BASE}_1.png.webp")["Body"].read())
    )

    assert small.mode == "RGBA"


@pytest.mark.parametrize(
    ("mode", "small"),
    [("P", "RGB"), ("L", "RGB"), ("LA", "RGBA"), ("RGB", "RGB"), ("RGBA", "RGBA")],
)
def test_image_of_any_mode_has_a_thumbnail(mode: str, small: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (640, 480)).save(out, "PNG")

    image = verify(out.getvalue(), sha256=hashlib.sha256(out.getvalue()).hexdigest(), where="here")

    assert (image.width, image.height) == (640, 480)

    with Image.open(io.BytesIO(image.thumbnail)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (320, 240))
        assert thumbnail.mode == small


def test_image_staged_by_older_function_is_stored(step: UploadStep) -> None:
    """Its message had three more fields, which nothing reads."""
    older = step.staged(png()).to_state() | {
        "bytes": 70,
        "usage": {"output_tokens": 9},
        "cost_micro_usd": 270,
    }
    assert step.run(StagedImage.from_state(older)).status == Status.STORED
