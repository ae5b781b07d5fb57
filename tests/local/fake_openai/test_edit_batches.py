"""Batches of image edits of the fake OpenAI, used through the real client."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from PIL import Image

from tests.support.fake_openai import (
    EDITS_URL,
    IMAGES_URL,
    Account,
    NamedFile,
    edit_wish,
    ids,
    pictures,
    wish,
)
from tests.support.images import png, png_with_hole

RED: NamedFile = ("red.png", png(64, 40, "red"), "image/png")
BLUE: NamedFile = ("blue.png", png(64, 40, "blue"), "image/png")
MASK: NamedFile = ("mask.png", png_with_hole(64, 40, (32, 0, 64, 40)), "image/png")


def edited(account: Account, *lines: Any) -> Any:
    """Return a batch of edits that has ended."""
    return account.after(account.batch(*lines, endpoint=EDITS_URL))


def middle(image: bytes) -> Any:
    return Image.open(io.BytesIO(image)).convert("RGB").getpixel((512, 320))


def test_batch_edits_uploaded_images(account: Account) -> None:
    red, blue = account.upload_image(RED), account.upload_image(BLUE)

    batch = edited(account, edit_wish("a", red), edit_wish("b", blue, red, n=2))

    assert (batch.status, batch.endpoint) == ("completed", EDITS_URL)
    lines = {line["custom_id"]: line for line in account.lines(batch.output_file_id)}
    assert middle(pictures([lines["a"]])[0]) == (255, 0, 0)
    assert len(pictures([lines["b"]])) == 2
    details = lines["b"]["response"]["body"]["usage"]["input_tokens_details"]
    # Magnified to 128x80, an image has 4x3 patches.
    assert details == {"text_tokens": 0, "image_tokens": 24}
    assert batch.usage.input_tokens == 12 + 24
    charges = account.charges()
    assert [charges[name] for name in ("images", "batch_images", "batches")] == [3, 3, 1]
    sums = [hashlib.sha256(file[1]).hexdigest() for file in (RED, BLUE)]
    assert sorted(edit["images"] for edit in charges["edits"]) == sorted([sums[:1], sums[::-1]])


def test_result_needs_no_inputs_any_more(account: Account) -> None:
    direct = account.edit(RED, BLUE, mask=MASK, prompt="a").data[0].b64_json
    account.forget()
    files = [account.upload_image(image) for image in (RED, BLUE, MASK)]
    batch = edited(account, edit_wish("a", *files[:2], mask={"file_id": files[2]}))

    for file in files:
        account.api.files.delete(file)

    (line,) = account.lines(batch.output_file_id)
    assert line["response"]["body"]["data"][0]["b64_json"] == direct
    assert list(account.api.files.list(purpose="vision")) == []


def test_batch_read_by_two_at_once_runs_once(account: Account) -> None:
    red = account.upload_image(RED)
    batch = account.batch(
        *(edit_wish(str(number), red) for number in range(20)), endpoint=EDITS_URL
    )

    with ThreadPoolExecutor(2) as pool:
        batches = list(pool.map(account.after, [batch] * 2))

    assert [each.status for each in batches] == ["completed"] * 2
    assert account.charges()["images"] == len(account.lines(batches[0].output_file_id)) == 20


def test_missing_inputs_fail_only_their_lines(account: Account) -> None:
    account.script({"path": "/v1/files/expire", "contains": "blue", "answer": 0})
    red, deleted, expired = (account.upload_image(image) for image in (RED, RED, BLUE))
    account.api.files.delete(deleted)
    text = account.upload("{}")

    batch = edited(
        account,
        edit_wish("good", red),
        edit_wish("deleted", red, deleted),
        edit_wish("expired", expired),
        edit_wish("purpose", text),
        edit_wish("mask", red, mask={"file_id": deleted}),
    )

    assert ids(account.lines(batch.output_file_id)) == ["good"]
    errors = {line["custom_id"]: line["response"] for line in account.lines(batch.error_file_id)}
    assert {error["status_code"] for error in errors.values()} == {400}
    found = {key: error["body"]["error"] for key, error in errors.items()}
    assert {key: (error["code"], error["param"]) for key, error in found.items()} == {
        "deleted": ("file_not_found", "images[1].file_id"),
        "expired": ("file_not_found", "images[0].file_id"),
        "purpose": ("invalid_value", "images[0].file_id"),
        "mask": ("file_not_found", "mask.file_id"),
    }
    assert account.charges()["images"] == 1


def test_unusable_inputs_fail_only_their_lines(account: Account) -> None:
    red = account.upload_image(RED)
    svg = account.upload_image(("a.png", b"<svg/>", "image/png"))
    wide = account.upload_image(("wide.png", png_with_hole(80, 40, (0, 0, 9, 9)), "image/png"))

    batch = edited(
        account,
        edit_wish("good", red),
        edit_wish("svg", svg),
        edit_wish("mask", red, mask={"file_id": wide}),
        edit_wish("moderation", red, moderation="low"),
        wish("no images") | {"url": EDITS_URL},
    )

    assert batch.request_counts.model_dump() == {"total": 5, "completed": 1, "failed": 4}
    lines = account.lines(batch.error_file_id)
    codes = {line["custom_id"]: line["response"]["body"]["error"]["code"] for line in lines}
    assert codes == {
        "svg": "invalid_image_file",
        "mask": "invalid_mask_image_format",
        "moderation": "unknown_parameter",
        "no images": "missing_required_parameter",
    }


@pytest.mark.parametrize(
    ("endpoint", "line"),
    [(EDITS_URL, wish("generated")), (IMAGES_URL, edit_wish("edited", "file-x"))],
)
def test_other_endpoint_in_a_line_fails_the_whole_batch(
    account: Account, endpoint: Any, line: dict[str, Any]
) -> None:
    fitting = line | {"custom_id": "fitting", "url": endpoint}

    batch = account.after(account.batch(fitting, line, endpoint=endpoint))

    assert batch.status == "failed"
    assert [(error.code, error.line) for error in batch.errors.data] == [("invalid_url", 2)]
    assert account.charges()["images"] == 0


def test_unknown_endpoint_is_refused(account: Account) -> None:
    endpoint: Any = "/v1/images/variations"

    with pytest.raises(openai.BadRequestError) as exc_info:
        account.batch(wish("a"), endpoint=endpoint)

    assert exc_info.value.param == "endpoint"


def test_scripted_faults_hit_lines_of_edits(account: Account) -> None:
    red = account.upload_image(RED)
    body = {"error": {"message": "No.", "type": "x", "code": "moderation_blocked"}}
    account.script(
        {"path": IMAGES_URL, "times": 9, "status": 500, "body": body},
        {"path": EDITS_URL, "contains": "refused", "status": 400, "body": body},
        {"path": EDITS_URL, "contains": "lost", "cut": True, "charged": True},
    )

    batch = edited(account, *(edit_wish(prompt, red) for prompt in ("good", "refused", "lost")))

    assert ids(account.lines(batch.output_file_id)) == ["good"]
    errors = {line["custom_id"]: line for line in account.lines(batch.error_file_id)}
    assert errors["refused"]["response"]["body"] == body
    assert errors["lost"]["error"]["code"] == "request_timeout"
    assert account.charges()["images"] == 2
