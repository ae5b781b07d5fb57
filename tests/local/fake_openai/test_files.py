"""Images as files of the fake OpenAI: uploads, their ends, and deletions."""

from typing import Any

import openai
import pytest

from tests.support.fake_openai import Account, NamedFile
from tests.support.images import png

IMAGE: NamedFile = ("teapot.png", png(), "image/png")
DAY = 24 * 3600


def listed(account: Account) -> list[str]:
    return [file.id for file in account.api.files.list(purpose="vision")]


def test_image_expires_after_requested_time(account: Account) -> None:
    expiry: Any = {"anchor": "created_at", "seconds": 3600}

    file = account.api.files.create(file=IMAGE, purpose="vision", expires_after=expiry)

    assert (file.purpose, file.bytes, file.filename) == ("vision", len(IMAGE[1]), "teapot.png")
    assert file.expires_at == file.created_at + 3600
    assert account.bytes(file.id) == IMAGE[1]


def test_only_batches_expire_unless_requested(account: Account) -> None:
    image = account.api.files.retrieve(account.upload_image(IMAGE))
    batch = account.api.files.retrieve(account.upload("{}"))

    assert image.expires_at is None
    assert batch.expires_at == batch.created_at + 30 * DAY


def test_expired_image_is_gone(account: Account) -> None:
    account.script({"path": "/v1/files/expire", "contains": "teapot", "answer": 0})

    gone, kept = account.upload_image(IMAGE), account.upload_image(IMAGE)

    assert listed(account) == [kept]
    with pytest.raises(openai.NotFoundError):
        account.api.files.retrieve(gone)


def test_failed_deletion_keeps_the_image(account: Account) -> None:
    file = account.upload_image(IMAGE)
    account.script({"path": "/v1/files/delete", "status": 500, "body": {}})

    with pytest.raises(openai.InternalServerError):
        account.api.files.delete(file)

    assert listed(account) == [file]
    account.api.files.delete(file)
    assert listed(account) == []


def test_lost_answer_of_upload_leaves_an_image(account: Account) -> None:
    account.script({"path": "/v1/files", "contains": "teapot", "cut": True})

    with pytest.raises(openai.APIConnectionError):
        account.upload_image(IMAGE)

    assert len(listed(account)) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "assistants"}, "purpose"),
        ({"expires_after": {"anchor": "created_at", "seconds": 3599}}, "expires_after[seconds]"),
        (
            {"expires_after": {"anchor": "created_at", "seconds": 31 * DAY}},
            "expires_after[seconds]",
        ),
        ({"expires_after": {"anchor": "last_used", "seconds": 3600}}, "expires_after[anchor]"),
        ({"expires_after": {"anchor": "created_at"}}, "expires_after[seconds]"),
        ({"extra_body": {"detail": "high"}}, "detail"),
    ],
)
def test_wrong_upload_is_refused(account: Account, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as exc_info:
        account.api.files.create(**{"file": IMAGE, "purpose": "vision"} | fields)

    assert exc_info.value.param == param
    assert listed(account) == []
