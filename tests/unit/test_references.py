"""Reference images: how a request names them, how they are found, and what is bought with them."""

import hashlib
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from easel.aws.bucket import Bucket
from easel.contract import naming
from easel.contract.errors import (
    AuthError,
    ConflictError,
    InputError,
    ReferenceGoneError,
    TransientError,
)
from easel.contract.messages import ImageTask
from easel.images.input_file import DAMAGED, NO_IMAGE
from easel.ledger.references import References
from easel.ledger.uploads import Upload, UploadStatus
from easel.openai_client.batches import CALL_SECONDS, UPLOAD_SECONDS
from easel.request import models
from easel.request.references import MAX_REFERENCES, Inputs, Reference
from easel.request.request import TABLE, Request, parse
from functions import image
from functions import references as check
from functions.economy.collect import look
from tests.support.images import encoded, png
from tests.support.records import claimed, prompt_record
from tests.support.references import mask_png, stored_image, upload
from tests.support.services import (
    BUCKET,
    NOW,
    FakePainter,
    FakeServices,
    failing,
    request_settings,
)
from tests.support.steps import BatchStep, CleanupStep, EconomyStep, PromptStep

UNKNOWN = naming.reference_key("0" * 32, "png")


def read(**fields: Any) -> Request:
    return parse(fields, request_settings(), today=NOW.date())


def resolve(services: FakeServices, *names: Any, **fields: Any) -> Inputs:
    return services.references().resolve(read(reference_images=list(names), **fields))


def refusal(services: FakeServices, *names: Any, **fields: Any) -> InputError:
    with pytest.raises(InputError) as info:
        resolve(services, *names, **fields)
    return info.value


def key_of(uploaded: Upload) -> str:
    assert uploaded.key is not None, uploaded.problem
    return uploaded.key


def tags_of(s3: Any, key: str) -> dict[str, str]:
    tags = s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in tags}


class TestRequest:
    """The fields of a request."""

    @pytest.mark.parametrize(
        ("fields", "field", "allowed"),
        [
            ({"reference_images": []}, "reference_images", "1 to 16"),
            ({"reference_images": ["a/b.png"] * 17}, "reference_images", "1 to 16"),
            ({"reference_images": "a/b.png"}, "reference_images", "1 to 16"),
            ({"reference_images": ["a/b.png", "a/b.png"]}, "reference_images", "each key once"),
            ({"reference_images": ["campaign/"]}, "reference_images", "the key of an image"),
            ({"reference_images": ["staging/x/1.png"]}, "reference_images", "the key of an"),
            ({"reference_images": ["references/inbox/a.png"]}, "reference_images", "the key of"),
            ({"reference_images": ["../secret.png"]}, "reference_images", "the key of an image"),
            ({"reference_images": [{"sha256": "0" * 64}]}, "reference_images", "a key, or"),
            ({"reference_images": [{"key": "a/b.png", "x": 1}]}, "reference_images", "a key, or"),
            (
                {"reference_images": [{"key": "a/b.png", "sha256": "abc"}]},
                "reference_images.sha256",
                "64 hexadecimal",
            ),
            ({"mask": UNKNOWN}, "mask", "only with reference_images"),
            ({"reference_images": [UNKNOWN], "mask": UNKNOWN}, "mask", "another image than the"),
            ({"reference_images": ["a/b.png"], "mask": "a/b.png"}, "mask", "an uploaded PNG"),
            (
                {"reference_images": ["a/b.png"], "moderation": "low"},
                "moderation",
                "auto with reference_images",
            ),
            (
                {"action": "delete_image", "image_key": "a/b.png", "reference_images": ["a/b.png"]},
                "reference_images",
                "with action create",
            ),
        ],
    )
    def test_mistake_is_named(self, fields: dict[str, Any], field: str, allowed: str) -> None:
        with pytest.raises(InputError) as info:
            read(**fields)

        assert info.value.field == field
        assert allowed in info.value.allowed

    def test_cell_may_be_a_json_list(self) -> None:
        kind = TABLE["reference_images"].kind

        assert kind.from_text("a/b.png, c/d.png") == ["a/b.png", "c/d.png"]
        assert kind.from_text('["a/b, c.png"]') == ["a/b, c.png"]

    def test_model_limits_the_number(self) -> None:
        facts = models.image_facts("gpt-image-2.6-flare")
        assert facts is not None
        assert facts.inputs == MAX_REFERENCES


class TestUpload:
    """The check of an upload."""

    def test_checked_upload_has_its_facts(self, services: FakeServices, s3: Any) -> None:
        data = png(100, 60)
        found = upload(services, data)

        assert found.status == UploadStatus.READY
        assert (found.width, found.height, found.bytes) == (100, 60, len(data))
        assert found.sha256 == hashlib.sha256(data).hexdigest()
        assert found.name == "teapot.png"
        stored = s3.get_object(Bucket=BUCKET, Key=found.key)
        assert stored["Body"].read() == data
        assert s3.head_object(Bucket=BUCKET, Key=naming.thumbnail_key(key_of(found)))

    @pytest.mark.parametrize("key", ["thumbnail", "image"])
    def test_unused_upload_expires(self, services: FakeServices, s3: Any, key: str) -> None:
        own = key_of(upload(services, png()))
        tagged = own if key == "image" else naming.thumbnail_key(own)

        assert tags_of(s3, tagged) == naming.UNUSED_TAG

    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", NO_IMAGE),
            (b"<html>", NO_IMAGE),
            (b"", NO_IMAGE),
            (png()[:60], DAMAGED),
            (encoded("JPEG")[:-20], DAMAGED),
        ],
        ids=["SVG", "HTML", "empty", "half a PNG", "half a JPEG"],
    )
    def test_other_file_is_refused(self, services: FakeServices, data: bytes, problem: str) -> None:
        found = upload(services, data)

        assert (found.status, found.problem) == (UploadStatus.REFUSED, problem)

    def test_second_use_of_link_is_ignored(self, services: FakeServices) -> None:
        first = upload(services, png(colour="red"))
        second = upload(services, encoded("JPEG", colour="blue"), first.id)

        assert second == first
        assert resolve(services, key_of(first)).contents == (first.sha256,)

    def test_duplicate_event_changes_nothing(self, services: FakeServices) -> None:
        first = upload(services, png())
        check.run(naming.upload_inbox_key(first.id), services)

        assert services.uploads.find(first.id) == first

    def test_later_good_file_replaces_refused_one(self, services: FakeServices) -> None:
        refused = upload(services, b"<html>")
        found = upload(services, png(), refused.id)

        assert (found.status, found.problem) == (UploadStatus.READY, None)

    def test_death_between_writes_is_repaired(self, services: FakeServices, bucket: Bucket) -> None:
        upload_id, data = "1" * 32, png()
        bucket.put(naming.upload_inbox_key(upload_id), data, content_type="image/png")
        services.uploads.add(upload_id, name="x")
        sha256 = hashlib.sha256(data).hexdigest()
        services.uploads.take_key(upload_id, naming.reference_key(upload_id, "png"), sha256=sha256)

        check.run(naming.upload_inbox_key(upload_id), services)

        found = services.uploads.find(upload_id)
        assert found is not None
        assert found.status == UploadStatus.READY

    def test_object_without_uploads_name_is_left(self, services: FakeServices) -> None:
        services.bucket.put("references/inbox/a.png", png(), content_type="image/png")

        check.run("references/inbox/a.png", services)

        assert services.bucket.head("references/inbox/a.png")


class TestResolve:
    """Finding the versions of images."""

    def test_stored_image_has_size_and_version(self, services: FakeServices, s3: Any) -> None:
        key = stored_image(services)
        (found,) = resolve(services, key).images

        stored = s3.head_object(Bucket=BUCKET, Key=key)
        assert found == Reference(
            key=key,
            version_id=stored["VersionId"],
            sha256=hashlib.sha256(png(64, 48, "red")).hexdigest(),
            bytes=stored["ContentLength"],
            width=64,
            height=48,
            content_type="image/png",
            alt_text="A kite",
        )

    @pytest.mark.parametrize("key", [UNKNOWN, "my_s3_folder/nothing.png"])
    def test_unknown_key_is_refused(self, services: FakeServices, key: str) -> None:
        error = refusal(services, key)

        assert error.field == "reference_images"
        assert key in str(error)

    def test_pending_upload_is_refused(self, services: FakeServices) -> None:
        services.uploads.add("0" * 32, name="x")

        assert "no upload has this key" in str(refusal(services, UNKNOWN))

    def test_deleted_image_is_refused(self, services: FakeServices) -> None:
        key = stored_image(services)
        services.bucket.delete([key])

        assert "was deleted" in str(refusal(services, key))

    def test_foreign_object_is_refused(self, services: FakeServices) -> None:
        services.bucket.put("my_s3_folder/own.png", png(), content_type="image/png")

        assert "upload it instead" in str(refusal(services, "my_s3_folder/own.png"))

    @pytest.mark.parametrize("kind", ["upload", "image"])
    def test_replaced_object_is_refused(self, services: FakeServices, kind: str) -> None:
        key = key_of(upload(services, png())) if kind == "upload" else stored_image(services)
        services.bucket.put(key, png(colour="blue"), content_type="image/png")

        assert "has changed" in str(refusal(services, key))

    def test_other_checksum_is_refused(self, services: FakeServices) -> None:
        found = upload(services, png())
        name = {"key": found.key, "sha256": "0" * 64}

        error = refusal(services, name)

        assert error.field == "reference_images.sha256"
        assert str(found.sha256) in str(error)
        assert resolve(services, name | {"sha256": found.sha256}).contents == (found.sha256,)

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (png(64, 48), "fully transparent"),
            (mask_png(64, 48, alpha=1), "fully transparent"),
            (mask_png(32, 48), "64x48, as large as the first"),
        ],
        ids=["no alpha", "almost transparent", "another size"],
    )
    def test_useless_mask_is_refused(
        self, services: FakeServices, data: bytes, reason: str
    ) -> None:
        key, mask = stored_image(services), key_of(upload(services, data))

        error = refusal(services, key, mask=mask)

        assert error.field == "mask"
        assert reason in str(error)

    def test_mask_belongs_to_first_image(self, services: FakeServices) -> None:
        key, mask = stored_image(services), upload(services, mask_png())
        other = key_of(upload(services, png(30, 30)))

        inputs = resolve(services, key, other, mask=key_of(mask))

        assert inputs.mask is not None
        assert inputs.mask.sha256 == mask.sha256
        assert inputs.sizes == ((64, 48), (30, 30), (64, 48))


class TestForesee:
    """What a price says about images before they are looked up."""

    def refusal(self, services: FakeServices, **fields: Any) -> InputError:
        with pytest.raises(InputError) as caught:
            services.references().foresee(read(**fields))
        return caught.value

    def test_deleted_image_is_refused(self, services: FakeServices) -> None:
        key = stored_image(services)
        services.ledger.mark_deleted("run-1", 1, key=key)

        error = self.refusal(services, reference_images=[key])

        assert (error.field, "was deleted" in str(error)) == ("reference_images", True)

    def test_other_checksum_is_refused(self, services: FakeServices) -> None:
        name = {"key": stored_image(services), "sha256": "0" * 64}
        assert self.refusal(services, reference_images=[name]).field == "reference_images.sha256"

    def test_useless_mask_is_refused(self, services: FakeServices) -> None:
        key, mask = stored_image(services), key_of(upload(services, mask_png(32, 48)))
        assert self.refusal(services, reference_images=[key], mask=mask).field == "mask"

    def test_mask_fits_an_image_of_unknown_size(self, services: FakeServices) -> None:
        request = read(
            reference_images=["old/image.png"], mask=key_of(upload(services, mask_png()))
        )
        assert services.references().foresee(request).mask


def reference(width: int, height: int) -> Reference:
    return Reference(
        key="f/a.png",
        version_id="v",
        sha256="s",
        bytes=1,
        width=width,
        height=height,
        content_type="image/png",
    )


# Sizes and tokens as measured for models.toml: at most 1,536 patches, at least 1,024 pixels.
@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (1024, 1024, 1024),
        (512, 512, 1024),
        (256, 256, 256),
        (1024, 1536, 1536),
        (3840, 2160, 1536),
        (3000, 100, 1536),
        (1024, 100, 352),
        (1, 1, 1),
    ],
)
def test_input_tokens_follow_the_size(width: int, height: int, tokens: int) -> None:
    facts = models.image_facts("gpt-image-2.6-flare")
    assert facts is not None
    assert models.input_tokens(facts, width, height) == tokens


def test_estimate_includes_input_images() -> None:
    call: dict[str, Any] = {"prompt": "A kite", "size": "1024x1024", "quality": "low"}
    without = models.estimate_image("gpt-image-2.6-flare", **call)
    with_two = models.estimate_image(
        "gpt-image-2.6-flare", **call, inputs=[(1024, 1024), (1024, 1536)]
    )

    assert (with_two or 0) - (without or 0) == pytest.approx(1.05 * 8 * (1024 + 1536), abs=2)


class TestSteps:
    """The steps of a run with references."""

    def test_prompt_step_fixes_the_versions(self, services: FakeServices) -> None:
        found, step = upload(services, png()), PromptStep(services)
        request = {"reference_images": [found.key], "description": "on a table"}

        step.run(request)

        record = step.ledger.prompt("execution-1")
        assert record is not None
        assert record.inputs.contents == (found.sha256,)
        sent = step.chat.requests[0]
        assert '"reference_images": ["teapot.png"]' in sent["user"]
        assert "image 1" in sent["system"]

    def test_chat_model_sees_thumbnails(self, services: FakeServices) -> None:
        found, step = upload(services, png()), PromptStep(services)
        request = {"reference_images": [found.key], "description": "on a table"}

        step.run(request)

        (seen,) = step.chat.requests[0]["images"]
        thumbnail = naming.thumbnail_key(key_of(found))
        assert seen == services.bucket.get(thumbnail, limit=10**6)

    @pytest.mark.parametrize(
        "settings", [{"chat_sees_references": False}, {"chat_model": "blind"}], ids=str
    )
    def test_chat_model_may_see_nothing(
        self, services: FakeServices, settings: dict[str, Any]
    ) -> None:
        found, step = upload(services, png()), PromptStep(services)
        services.configure(unpriced_models_allowed=True, **settings)

        step.run({"reference_images": [found.key], "description": "on a table"})

        assert step.chat.requests[0]["images"] == ()
        assert "teapot.png" in step.chat.requests[0]["user"]

    def test_used_upload_no_longer_expires(self, services: FakeServices, s3: Any) -> None:
        found = upload(services, png())

        PromptStep(services).run({"reference_images": [found.key]})

        for key in (key_of(found), naming.thumbnail_key(key_of(found))):
            assert tags_of(s3, key) == naming.USED_TAG
        after = services.uploads.find(found.id)
        assert after == replace(found, is_used=True)

    def test_dry_run_leaves_upload_unused(self, services: FakeServices) -> None:
        found = upload(services, png())

        plan = PromptStep(services).run({"reference_images": [found.key], "dry_run": True})

        assert plan.estimate_micro_usd
        assert services.uploads.find(found.id) == found

    def test_missing_reference_pays_nothing(self, services: FakeServices) -> None:
        step = PromptStep(services)

        with pytest.raises(InputError):
            step.run({"reference_images": [UNKNOWN]})

        assert step.chat.requests == []
        assert step.money() == (0, 0)

    def test_missing_reference_settles_earlier_call(self, services: FakeServices) -> None:
        found, step = upload(services, png()), PromptStep(services)
        step.chat.error = RuntimeError("killed")
        step.deadline.now -= 1_000
        with pytest.raises(RuntimeError):
            step.run({"reference_images": [found.key]})
        step.deadline.now += 1_000
        services.bucket.delete([key_of(found)])

        with pytest.raises(InputError):
            step.run({"reference_images": [found.key]})

        assert step.call().possibly_paid == 1
        committed, spent = step.money()
        assert committed == spent > 0

    def test_resumed_run_keeps_its_versions(self, services: FakeServices) -> None:
        found, step = upload(services, png()), PromptStep(services)
        request = {"reference_images": [found.key], "prompt": "On a table"}
        step.run(request)
        services.bucket.delete([key_of(found)])

        step.run(request)

        assert painted(services, "execution-1") == [png()]

    def test_other_references_are_another_request(self, services: FakeServices) -> None:
        first, second, step = upload(services, png()), upload(services, png()), PromptStep(services)
        step.run({"reference_images": [first.key], "prompt": "On a table"})

        with pytest.raises(ConflictError):
            step.run({"reference_images": [second.key], "prompt": "On a table"})

    def test_runs_of_an_image_are_found(self, services: FakeServices) -> None:
        found, step = upload(services, png()), PromptStep(services)
        for name in ("one", "two"):
            step.run(
                {"reference_images": [found.key], "prompt": "A", "count": 3, "request_id": name}
            )

        runs, count = services.reference_users.made_from(key_of(found), runs=1)

        assert count == 6
        assert len(runs) == 1

    @pytest.mark.parametrize("change", ["purged", "changed"])
    def test_lost_input_claims_nothing(self, services: FakeServices, change: str) -> None:
        found, step = upload(services, png()), PromptStep(services)
        step.run({"reference_images": [found.key], "prompt": "On a table"})
        before = step.money()
        if change == "purged":
            services.bucket.remove([(key_of(found), found.version_id)])
        else:
            record = step.ledger.prompt("execution-1")
            assert record is not None
            other = replace(record.inputs.images[0], sha256="0" * 64)
            table = services.table
            table.change(
                ("run#execution-1", "prompt"),
                "SET #inputs = :inputs",
                condition="attribute_exists(pk)",
                values={":inputs": Inputs(images=(other,)).to_json()},
            )

        with pytest.raises(ReferenceGoneError, match="reference_images"):
            painted(services, "execution-1")

        assert step.ledger.image("execution-1", 1) is None
        assert step.money() == before

    def test_lost_input_fails_run_at_the_end(self, services: FakeServices) -> None:
        found, step = upload(services, png()), PromptStep(services)
        request = {"reference_images": [found.key], "prompt": "On a table", "count": 3}
        plan = step.run(request, name="run-1")
        stored_image(services, n=2)
        services.bucket.remove([(key_of(found), found.version_id)])

        with pytest.raises(ReferenceGoneError) as info:
            CleanupStep(services).finish(variations=plan.variations)

        assert key_of(found) in str(info.value)
        assert "1 of 3 images are stored; not bought: image 1, 3" in str(info.value)


class TestDeletes:
    """Deletes of images that others are made from, and of those others."""

    def made(self, services: FakeServices, found: Upload) -> str:
        """Store an image of the run run-1 that is made from an upload, and return its key."""
        inputs = resolve(services, key_of(found))
        record = prompt_record(inputs=inputs)
        services.reference_users.keep(inputs, run_id="run-1", started=record.started, images=1)
        services.ledger.keep_prompt(record, paid=None)
        return stored_image(services)

    def test_purge_of_last_image_lets_upload_expire(self, services: FakeServices, s3: Any) -> None:
        found = upload(services, png())
        key, step = self.made(services, found), CleanupStep(services)
        step.delete(action="delete_image", image_key=key, confirm=True)
        assert tags_of(s3, key_of(found)) == naming.USED_TAG

        step.delete(action="delete_image", image_key=key, confirm=True, purge=True)

        assert tags_of(s3, key_of(found)) == naming.UNUSED_TAG
        assert services.uploads.find(found.id) == found

    def test_purge_during_chat_call_keeps_upload(self, services: FakeServices, s3: Any) -> None:
        found = upload(services, png())
        key, cleanup = self.made(services, found), CleanupStep(services)
        step = PromptStep(services)
        write = step.chat.write

        def purge_then_write(*call: Any, **more: Any) -> Any:
            cleanup.delete(action="delete_image", image_key=key, confirm=True, purge=True)
            return write(*call, **more)

        step.chat.write = purge_then_write  # type: ignore[method-assign]
        step.run({"reference_images": [found.key], "description": "on a table"})

        assert tags_of(s3, key_of(found)) == naming.USED_TAG

    def test_upload_of_running_run_is_kept(self, services: FakeServices, s3: Any) -> None:
        found = upload(services, png())
        key, step = self.made(services, found), CleanupStep(services)
        PromptStep(services).run({"reference_images": [found.key], "prompt": "On a table"})

        step.delete(action="delete_image", image_key=key, confirm=True, purge=True)

        assert tags_of(s3, key_of(found)) == naming.USED_TAG

    def test_delete_counts_images_made_from_it(self, services: FakeServices) -> None:
        step = CleanupStep(services)
        key = stored_image(services)
        request = {"reference_images": [key], "prompt": "A", "count": 3}
        PromptStep(services).run(request)

        removal = step.delete(action="delete_image", image_key=key, confirm=True)

        assert removal.used_in == 3


def painted(services: FakeServices, run_id: str) -> list[bytes]:
    """Run the image step, and return the images that were sent to the image model."""
    painter = FakePainter()
    services.image_model = painter  # type: ignore[assignment]
    deadline = PromptStep(services).deadline
    deadline.left = 300
    image.run(ImageTask(run_id=run_id, n=1), services, deadline)
    images: list[bytes] = painter.requests[0]["images"]
    return images


def test_mask_is_sent_separately(services: FakeServices) -> None:
    first, mask = upload(services, png()), upload(services, mask_png())
    request = {"reference_images": [first.key], "mask": mask.key, "prompt": "A table"}
    PromptStep(services).run(request)
    painter = FakePainter()
    services.image_model = painter  # type: ignore[assignment]

    deadline = PromptStep(services).deadline
    deadline.left = 300
    image.run(ImageTask(run_id="execution-1", n=1), services, deadline)

    assert painter.requests[0]["images"] == [png()]
    assert painter.requests[0]["mask"] == mask_png()
    assert "moderation" not in painter.requests[0]


def inputs_of(services: FakeServices, *uploads: Upload) -> Inputs:
    return resolve(services, *(key_of(found) for found in uploads))


class TestEconomy:
    """Orders at the Batch API."""

    def order(self, services: FakeServices, s3: Any, *uploads: Upload) -> EconomyStep:
        step, inputs = EconomyStep(services, s3), inputs_of(services, *uploads)
        for run_id in ("a-1", "a-2"):
            record = prompt_record(run_id=run_id, text=f"A kite for {run_id}", inputs=inputs)
            step.ledger.keep_prompt(record, paid=None)
        return step

    def test_input_is_uploaded_once_and_deleted(self, services: FakeServices, s3: Any) -> None:
        found = upload(services, png())
        step = self.order(services, s3, found)
        placed = step.place(step.order("a-1", "a-2"))

        assert step.openai.files == {"file-1": png()}
        assert step.openai.endpoint == "/v1/images/edits"
        (lines,) = step.openai.orders.values()
        assert [line["url"] for line in lines] == ["/v1/images/edits"] * 2
        assert [line["body"]["images"] for line in lines] == [[{"file_id": "file-1"}]] * 2

        step.collect(placed)
        assert step.openai.files == {}

    def test_next_attempt_uses_uploaded_input(self, services: FakeServices, s3: Any) -> None:
        step = self.order(services, s3, upload(services, png()))
        order, create = step.order("a-1", "a-2"), step.openai.create
        step.openai.create = failing(RuntimeError("killed"))  # type: ignore[method-assign]
        with pytest.raises(RuntimeError):
            step.place(order)

        step.openai.create = create  # type: ignore[method-assign]
        step.let_lock_expire(order)
        step.place(order)

        assert list(step.openai.files) == ["file-1"]

    def test_start_that_finds_an_order_deletes_its_inputs(
        self, services: FakeServices, s3: Any
    ) -> None:
        step = self.order(services, s3, upload(services, png()))
        order = step.order("a-1", "a-2")
        step.place(order)

        placed = step.place(replace(order, work="staging/@spring/second/"))
        step.collect(placed)

        assert step.openai.files == {}

    def test_order_in_full_queue_keeps_its_inputs(self, services: FakeServices, s3: Any) -> None:
        step = self.order(services, s3, upload(services, png()))
        order = step.order("a-1")
        step.openai.status, step.openai.problem = "failed", "token_limit_exceeded"
        for _ in range(3):
            look(step.place(order), services)

        step.openai.status, step.openai.problem = "completed", None
        placed = step.place(order)
        assert list(step.openai.files) == ["file-1"]
        step.collect(placed)
        assert list(step.openai.files) == []

    def test_late_collector_keeps_files_in_use(self, services: FakeServices, s3: Any) -> None:
        step = self.order(services, s3, upload(services, png()))
        order = step.order("a-1")
        step.openai.status, step.openai.problem = "failed", "token_limit_exceeded"
        first = step.place(order)
        look(first, services)
        step.place(order)

        step.collect(first)

        assert list(step.openai.files) == ["file-1"]

    def test_order_after_an_ended_one_uploads_again(self, services: FakeServices, s3: Any) -> None:
        step = self.order(services, s3, upload(services, png()))
        order = step.order("a-1")
        step.openai.status = "expired"
        step.collect(step.place(order))

        step.place(order)

        requests = step.openai.orders[f"{order.order}-2"]
        (image,) = requests[0]["body"]["images"]
        assert image["file_id"] in step.openai.files

    def test_late_collector_leaves_next_order_alone(self, services: FakeServices, s3: Any) -> None:
        step = self.order(services, s3, upload(services, png()))
        order = step.order("a-1")
        step.openai.status = "expired"
        first = step.place(order)
        step.collect(first)
        step.place(order)

        step.collect(first)

        assert len(step.openai.files) == 1

    @pytest.mark.parametrize("reason", ["refused", "nothing to order"])
    def test_order_that_is_not_placed_leaves_no_file(
        self, services: FakeServices, s3: Any, reason: str
    ) -> None:
        step = self.order(services, s3, upload(services, png()))
        if reason == "refused":
            step.openai.create = failing(AuthError("no"))  # type: ignore[method-assign]
            with pytest.raises(AuthError):
                step.place(step.order("a-1"))
        else:
            claimed(step.ledger, run_id="a-1")
            step.place(step.order("a-1"))

        assert step.openai.files == {}

    def test_uploads_end_before_the_function(self, services: FakeServices, s3: Any) -> None:
        step = self.order(services, s3, upload(services, png()))
        step.deadline.left = UPLOAD_SECONDS

        with pytest.raises(TransientError, match="another attempt"):
            step.place(step.order("a-1"))

    def test_deletes_end_before_the_function(self, services: FakeServices, s3: Any) -> None:
        step = self.order(services, s3, upload(services, png()))
        placed = step.place(step.order("a-1"))
        step.deadline.left = CALL_SECONDS

        assert step.collect(placed)["order"] == placed.order
        assert len(step.openai.files) == 1

    def test_lost_input_leaves_no_claim(self, services: FakeServices, s3: Any) -> None:
        found = upload(services, png())
        step = self.order(services, s3, found)
        services.bucket.remove([(key_of(found), found.version_id)])

        placed = step.place(step.order("a-1"))

        assert placed.batch is None
        assert step.money() == (0, 0)
        assert step.ledger.image("a-1", 1) is None


class TestBatch:
    """The check of a manifest."""

    def test_line_is_priced_with_its_inputs(self, services: FakeServices, s3: Any) -> None:
        found, step = upload(services, png(1024, 1024)), BatchStep(services, s3)
        line = {"prompt": "On a table", "quality": "low"}
        step.put(line)
        plain = step.check(execution="plain").estimate_usd or 0
        step.put(line | {"reference_images": [found.key]})

        priced = step.check(execution="priced").estimate_usd or 0

        assert priced - plain == pytest.approx(1.05 * 1024 * 8e-6, abs=1e-5)

    def test_missing_reference_is_a_bad_line(self, services: FakeServices, s3: Any) -> None:
        step = BatchStep(services, s3)
        lines = [{"prompt": f"Kite {n}"} for n in range(20)]
        step.put(*lines, {"prompt": "On a table", "reference_images": [UNKNOWN]})

        plan = step.check()

        assert plan.bad == 1
        assert plan.problems[0].field == "reference_images"

    def test_made_line_needs_no_reference(self, services: FakeServices, s3: Any) -> None:
        found, step = upload(services, png()), BatchStep(services, s3)
        line = {"prompt": "On a table", "reference_images": [found.key]}
        step.put(line)
        step.check()
        PromptStep(services).run(line, name="spring-1")
        services.bucket.delete([key_of(found)])

        plan = step.check(execution="second")

        assert (plan.bad, plan.todo) == (0, 1)


def test_one_lookup_serves_many_lines(services: FakeServices) -> None:
    key, heads = stored_image(services), list[str]()

    class Counting:
        def head(self, key: str) -> Any:
            heads.append(key)
            return services.bucket.head(key)

    found = References(services.table, Counting())  # type: ignore[arg-type]
    for _ in range(3):
        found.resolve(read(reference_images=[key]))

    assert heads == [key]


def test_many_images_are_looked_up_at_once(services: FakeServices) -> None:
    keys = [stored_image(services), key_of(upload(services, png()))]
    both = Barrier(2, timeout=60)

    class Waiting:
        def head(self, key: str) -> Any:
            both.wait()  # breaks if the keys are looked up one after the other
            return services.bucket.head(key)

    found = References(services.table, Waiting())  # type: ignore[arg-type]
    requests = [read(reference_images=[key]) for key in keys]
    found.look_ahead([*requests, *requests])

    assert [found.resolve(request).keys for request in requests] == [(key,) for key in keys]
