"""Shares: what is public is asked for, stays where it is, and is gone when it is unshared."""

from typing import Any

import pytest

from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.contract.errors import ConflictError, InputError, NotFoundError, StorageDeniedError
from easel.contract.naming import OWNER_N, OWNER_RUN
from easel.contract.status import Status
from easel.ledger.records import ImageRecord, StoredSize, run_key, write_sizes
from easel.ledger.shares import Share, Shares, share_of
from easel.request import request
from easel.request.actions import SHARE, UNSHARE
from functions.cleanup.sharing import share_stored
from tests.support.images import png
from tests.support.memory_aws import DyingClient
from tests.support.records import prompt_record
from tests.support.services import (
    NOW,
    OWNER,
    PUBLIC_BUCKET,
    PUBLIC_URL,
    FakeServices,
    request_settings,
)
from tests.support.steps import CleanupStep

RUN, IMAGE = ("run-1", 1), ("run-1", "image#1")


@pytest.fixture
def step(services: FakeServices, public: Bucket) -> CleanupStep:
    return CleanupStep(services.share_in(public))


@pytest.fixture
def shares(step: CleanupStep) -> Shares:
    assert step.services.shares
    return step.services.shares


def public_keys(public: Bucket) -> list[str]:
    return [item.key for item in public.objects("")]


def record(step: CleanupStep) -> ImageRecord:
    image = step.ledger.image(*RUN)
    assert image
    return image


def share(step: CleanupStep, key: str) -> str:
    return str(step.share(action=SHARE, image_key=key).url)


def test_share_copies_the_image_for_everyone(step: CleanupStep, s3: Any) -> None:
    key = step.stored()

    url = share(step, key)

    path = url.removeprefix(PUBLIC_URL)
    token, name = path.removeprefix("shared/").split("/")
    assert (len(token), name) == (22, "Kite.png")
    copy = s3.get_object(Bucket=PUBLIC_BUCKET, Key=path)
    assert copy["Body"].read() == step.bucket.get(key, limit=10**6)
    assert copy["CacheControl"] == "public, max-age=31536000, immutable, stale-if-error=0"
    assert (copy["ContentType"], copy["Metadata"]) == ("image/png", {})


def test_repeated_share_keeps_the_address(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    url = share(step, key)
    assert share(step, key) == url

    public.delete(public_keys(public))
    assert share(step, key) == url
    assert len(public_keys(public)) == 1


def test_exact_sizes_are_shared_next_to_the_image(
    step: CleanupStep, shares: Shares, public: Bucket
) -> None:
    key = step.stored()
    size = StoredSize(
        key=f"{key}.1200x630.jpg",
        name="open-graph",
        width=1200,
        height=630,
        content_type="image/jpeg",
        bytes=4,
        sha256="cd" * 32,
        enlarged=True,
    )
    own = {OWNER_RUN: "run-1", OWNER_N: "1"}
    step.bucket.put(size.key, b"size", content_type="image/jpeg", metadata=own)
    change = step.services.table.update(
        run_key(*IMAGE), "SET #sizes = :sizes", values={":sizes": write_sizes([size])}
    )
    step.services.table.write(change)

    share = shares.start(*RUN, key=key, now=NOW)

    url = share.url(PUBLIC_URL, size)
    assert url == share.url(PUBLIC_URL).replace("Kite.png", "Kite-1200x630.jpg")
    assert url.removeprefix(PUBLIC_URL) in public_keys(public)
    shares.end(*RUN)
    assert public_keys(public) == []


def test_unshared_address_never_works_again(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    first = share(step, key)

    ended = step.share(action=UNSHARE, image_key=key)

    assert (ended.shared, ended.url, ended.gone_after_seconds) == (False, None, 60)
    assert public_keys(public) == []
    image = record(step)
    assert (image.share, image.share_ending, image.shared_at) == (None, None, None)
    assert share(step, key) != first


def test_unshare_of_private_image_changes_nothing(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    assert not step.share(action=UNSHARE, image_key=key).shared
    with pytest.raises(NotFoundError, match="is not an image of Easel"):
        step.share(action=UNSHARE, image_key="f/none.png")


def test_dry_run_shares_nothing(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    planned = step.share(action=SHARE, image_key=key, dry_run=True)
    assert (planned.shared, planned.url, public_keys(public)) == (False, None, [])


def test_missing_image_cannot_be_shared(step: CleanupStep) -> None:
    with pytest.raises(NotFoundError, match="is not an image of Easel"):
        share(step, "f/none.png")


@pytest.mark.parametrize("purge", [False, True])
def test_deleted_image_is_private(step: CleanupStep, public: Bucket, purge: bool) -> None:
    key = step.stored()
    share(step, key)

    step.delete(action="delete_image", image_key=key, confirm=True, purge=purge)

    assert public_keys(public) == []
    assert share_of(record(step)) is None


def test_restored_image_stays_private(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    share(step, key)
    step.delete(action="delete_folder", folder_name="my_s3_folder", confirm=True)
    step.restore(action="restore_folder", folder_name="my_s3_folder")

    assert record(step).status == Status.STORED
    assert (public_keys(public), share_of(record(step))) == ([], None)


def dying(services: FakeServices, public: Bucket, at: int) -> Shares:
    """Return shares that die before their call number `at`."""
    s3, table = DyingClient(services.bucket._client, at), services.table
    s3_public, dynamodb = s3.twin(public._client), s3.twin(table._client)
    return Shares(
        type(table)(dynamodb, name=table._name, sleep=lambda _: None),
        Bucket(s3, name=services.bucket.name, owner=OWNER),
        Bucket(s3_public, name=public.name, owner=OWNER),
    )


@pytest.mark.parametrize("at", range(1, 6))
def test_share_killed_before_each_call_is_repaired(
    step: CleanupStep, shares: Shares, public: Bucket, at: int
) -> None:
    key = step.stored()
    try:
        dying(step.services, public, at).start(*RUN, key=key, now=NOW)
    except RuntimeError:
        assert share_of(record(step)) is None
    else:
        assert at == 5  # four calls are made

    share = shares.start(*RUN, key=key, now=NOW)

    assert public_keys(public) == [f"shared/{share.path}"]
    assert share_of(record(step)) == share


@pytest.mark.parametrize("at", range(1, 7))
def test_unshare_killed_before_each_call_is_finished(
    step: CleanupStep, shares: Shares, public: Bucket, at: int
) -> None:
    key = step.stored()
    shares.start(*RUN, key=key, now=NOW)
    try:
        dying(step.services, public, at).end(*RUN)
    except RuntimeError:
        assert public_keys(public) == [] or at < 5
    else:
        assert at == 6  # five calls are made

    shares.end(*RUN)

    assert public_keys(public) == []
    assert share_of(record(step)) is None


def test_share_ends_an_unfinished_unshare(
    step: CleanupStep, shares: Shares, public: Bucket
) -> None:
    key = step.stored()
    first = shares.start(*RUN, key=key, now=NOW)
    with pytest.raises(RuntimeError):
        dying(step.services, public, 3).end(*RUN)

    second = shares.start(*RUN, key=key, now=NOW)

    assert second.path != first.path
    assert public_keys(public) == [f"shared/{second.path}"]


@pytest.mark.parametrize("copied_first", [True, False])
def test_unshare_during_a_share_wins(
    step: CleanupStep, shares: Shares, public: Bucket, copied_first: bool
) -> None:
    key = step.stored()

    class Slow(Bucket):
        def publish(self, *args: Any, **more: Any) -> None:
            if copied_first:
                super().publish(*args, **more)
            shares.end(*RUN)
            if not copied_first:
                super().publish(*args, **more)

    images = Slow(step.services.bucket._client, name=step.bucket.name, owner=OWNER)
    slow = Shares(step.services.table, images, public)
    with pytest.raises(ConflictError, match="unshared or deleted meanwhile"):
        slow.start(*RUN, key=key, now=NOW)

    assert public_keys(public) == []
    assert share_of(record(step)) is None


def test_share_waits_for_an_unshare_that_has_not_ended(
    step: CleanupStep, shares: Shares, public: Bucket
) -> None:
    key = step.stored()
    own = step.services.table

    class Racing(Table):
        def write(self, *actions: Any) -> Any:
            # Another function shares the image and begins to unshare it just before this write.
            values = {":path": "other/Kite.png"}
            change = own.update(run_key(*IMAGE), "SET #share_ending = :path", values=values)
            own.write(change)
            return super().write(*actions)

    racing = Racing(own._client, name=own._name, sleep=lambda _: None)
    with pytest.raises(ConflictError, match="share it again"):
        Shares(racing, step.bucket, public).start(*RUN, key=key, now=NOW)

    assert record(step).share is None
    assert public_keys(public) == []


def test_delete_that_cannot_unshare_changes_nothing(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    share(step, key)

    class Denied(Bucket):
        def delete(self, _keys: Any) -> None:
            raise StorageDeniedError("no permission")

    denied = Denied(public._client, name=public.name, owner=OWNER)
    step.services.shares = Shares(step.services.table, step.services.bucket, denied)
    with pytest.raises(StorageDeniedError):
        step.delete(action="delete_image", image_key=key, confirm=True)

    assert record(step).status == Status.STORED
    assert step.bucket.head(key) is not None


def test_request_shares_what_it_stores(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    prompt = prompt_record(choices={"share": True})

    images = share_stored(prompt, [record(step)], step.services)
    again = share_stored(prompt, images, step.services)

    shared = share_of(images[0])
    assert isinstance(shared, Share)
    assert again == images
    assert public_keys(public) == [f"shared/{shared.path}"]
    report = step.finish()
    assert report.pictures[0].shared_url == shared.url(PUBLIC_URL)
    assert report.pictures[0].key == key


def test_resumed_run_leaves_unshared_images_private(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    prompt = prompt_record(choices={"share": True})
    share_stored(prompt, [record(step)], step.services)
    step.share(action=UNSHARE, image_key=key)

    share_stored(prompt, [record(step)], step.services)

    assert public_keys(public) == []
    assert share(step, key)  # people can still share it themselves


def test_image_deleted_meanwhile_fails_no_run(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    image = record(step)
    step.delete(action="delete_image", image_key=key, confirm=True)

    images = share_stored(prompt_record(choices={"share": True}), [image], step.services)

    assert images == (image,)
    assert public_keys(public) == []


def test_unshare_needs_no_object(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    share(step, key)
    step.bucket.delete([key])

    step.share(action=UNSHARE, image_key=key)

    assert public_keys(public) == []


def test_foreign_file_under_an_images_key_stays_private(step: CleanupStep, public: Bucket) -> None:
    key = step.stored()
    step.bucket.put(key, b"a file of someone else", content_type="image/png")
    with pytest.raises(NotFoundError, match="is not in the bucket"):
        share(step, key)
    assert public_keys(public) == []


def test_request_without_share_shares_nothing(step: CleanupStep, public: Bucket) -> None:
    step.stored()
    assert step.finish().pictures[0].shared_url is None
    assert public_keys(public) == []


@pytest.mark.parametrize("fields", [{"share": True}, {"action": SHARE, "image_key": "f/a.png"}])
def test_share_without_distribution_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="deploy it with -c delivery=true"):
        request.parse(fields, request_settings(), today=NOW.date())


def test_names_in_the_address_are_quoted(step: CleanupStep) -> None:
    share = Share(path="token/Schöne #1.png", since="2026-11-29T00:00:00Z")
    assert share.url(PUBLIC_URL) == f"{PUBLIC_URL}shared/token/Sch%C3%B6ne%20%231.png"


def test_picture_without_title_has_a_name(step: CleanupStep, services: FakeServices) -> None:
    prompt = prompt_record(run_id="run-2", title="!!!")
    services.ledger.keep_prompt(prompt, paid=None)
    stored = step.upload.run(step.upload.staged(png(), run_id="run-2"))
    assert share(step, str(stored.key)).endswith("/image.png")
