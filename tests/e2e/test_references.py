"""Images from images on the local stack: uploads, edits, masks, and half the price."""

import hashlib
import io
import json
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image

from tests.e2e.test_batches import run as run_batch
from tests.e2e.test_batches import upload as put_manifest
from tests.support.api_caller import Caller, fetch, machine
from tests.support.api_uploads import begin, put, uploaded, wait
from tests.support.command_line import easel
from tests.support.images import png
from tests.support.local_stack import LocalStack
from tests.support.references import mask_png

SMALL = {"size": "1024x640", "quality": "low"}


@pytest.fixture
def caller(aws: LocalStack) -> Caller:
    return machine(aws)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tags(aws: LocalStack, key: str) -> dict[str, str]:
    found = aws.client("s3").get_object_tagging(Bucket=aws.outputs["bucket"], Key=key)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in found}


def test_upload_becomes_part_of_an_image(aws: LocalStack, caller: Caller) -> None:
    data, folder = png(600, 400, "red"), f"references-{uuid4().hex[:8]}"
    found = uploaded(caller, data)
    request = {"prompt": "On a table", "reference_images": [found["key"]], "folder_name": folder}

    report = aws.run(request | SMALL)["report"]

    (edit,) = aws.charges()["edits"]
    assert edit["images"] == [sha256(data)]
    (picture,) = report["pictures"]
    s3 = aws.client("s3")
    stored = s3.get_object(Bucket=aws.outputs["bucket"], Key=picture["key"])["Body"].read()
    red, green, _ = Image.open(io.BytesIO(stored)).convert("RGB").getpixel((512, 320))  # type: ignore[misc]
    assert red > 200
    assert green < 60
    sidecar = s3.get_object(Bucket=aws.outputs["bucket"], Key=f"{picture['key']}.json")
    (origin,) = json.loads(sidecar["Body"].read())["reference_images"]
    assert (origin["key"], origin["sha256"]) == (found["key"], sha256(data))
    assert 0 < report["cost_usd"] <= report["estimate_usd"]

    shown = caller("GET", f"/images/{picture['id']}").json
    assert [reference["key"] for reference in shown["references"]] == [found["key"]]
    assert fetch(shown["references"][0]["thumbnail"]).status == 200


def test_image_is_varied_and_lineage_is_shown(aws: LocalStack, caller: Caller) -> None:
    folder = f"references-{uuid4().hex[:8]}"
    (first,) = aws.run({"prompt": "A kite", "folder_name": folder} | SMALL)["report"]["pictures"]
    request = {"description": "at night", "reference_images": [first["key"]], "count": 2}

    report = aws.run(request | SMALL | {"folder_name": folder})["report"]

    assert report["stored"] == 2
    shown = caller("GET", f"/images/{first['id']}").json
    assert shown["used_in_count"] == 2
    assert {made["id"] for made in shown["used_in"]} == {made["id"] for made in report["pictures"]}
    made = caller("GET", f"/images/{report['pictures'][0]['id']}").json
    assert [reference["id"] for reference in made["references"]] == [first["id"]]


def test_upload_expires_once_no_image_needs_it(aws: LocalStack, caller: Caller) -> None:
    found, folder = uploaded(caller, png(600, 400)), f"references-{uuid4().hex[:8]}"
    request = {"prompt": "A table", "reference_images": [found["key"]], "folder_name": folder}
    aws.run(request | SMALL)
    assert tags(aws, found["key"]) == {"easel": "used"}

    purge = {"action": "delete_folder", "folder_name": folder, "confirm": True, "purge": True}
    assert aws.run(purge)["status"] == "SUCCEEDED"

    assert tags(aws, found["key"]) == {"easel": "unused"}


def test_mask_protects_the_rest_of_the_image(aws: LocalStack, caller: Caller) -> None:
    data = png(1024, 640, "red")
    found, mask = uploaded(caller, data), uploaded(caller, mask_png(1024, 640))
    request = {"prompt": "A tree", "reference_images": [found["key"]], "mask": mask["key"]}

    (picture,) = aws.run(request | SMALL)["report"]["pictures"]

    (edit,) = aws.charges()["edits"]
    assert edit["mask"] == mask["sha256"]
    body = aws.client("s3").get_object(Bucket=aws.outputs["bucket"], Key=picture["key"])["Body"]
    red, green, _ = Image.open(io.BytesIO(body.read())).convert("RGB").getpixel((900, 320))  # type: ignore[misc]
    assert red > 200
    assert green < 60


def test_upload_may_be_used_for_its_file_only(caller: Caller) -> None:
    data = png()
    new = begin(caller, data)

    assert put(new, data + b"x").status == 403
    assert put(new, data, **{"Content-Type": "text/html"}).status == 403
    assert caller("GET", f"/uploads/{new['id']}").json["status"] == "waiting"


def test_second_upload_by_a_link_is_ignored(caller: Caller) -> None:
    # Both have the size that the link allows. A decoder ignores what follows the image.
    first, second = (png(colour=colour).ljust(200, b"\0") for colour in ("red", "blue"))
    new = begin(caller, first)
    put(new, first)
    before = wait(caller, new)

    assert put(new, second).status == 200
    # A later upload is checked after the second one, so the second one was checked, too.
    uploaded(caller, png(70, 70))

    assert caller("GET", f"/uploads/{new['id']}").json["sha256"] == before["sha256"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"<svg/>", "use PNG, JPEG, WebP"), (png()[:60], "damaged or incomplete")],
)
def test_unusable_upload_says_why(caller: Caller, data: bytes, problem: str) -> None:
    refused = uploaded(caller, data)

    assert (refused["status"], refused["key"]) == ("refused", None)
    assert problem in refused["problem"]


def test_missing_reference_costs_nothing(aws: LocalStack) -> None:
    key = f"references/{'0' * 32}.png"
    execution = aws.run({"reference_images": [key]} | SMALL)

    assert execution["error"] == "InputError"
    assert key in execution["cause"]
    charges = aws.charges()
    assert (charges["chat"], charges["images"]) == (0, 0)


def test_economy_edits_cost_half_and_leave_nothing(aws: LocalStack, caller: Caller) -> None:
    data, name = png(600, 400), f"edits-{uuid4().hex[:8]}"
    found = uploaded(caller, data)
    line = {"reference_images": [found["key"]], "folder_name": name} | SMALL
    lines = [line | {"prompt": f"Table {n}"} for n in range(3)]
    put_manifest(aws, *lines, {"prompt": "A kite", **SMALL}, key=f"batches/{name}.jsonl")

    report = run_batch(aws, manifest=f"batches/{name}.jsonl", economy=True)["report"]

    assert (report["stored"], report["failed"]) == (4, 0)
    charges = aws.charges()
    assert (charges["batch_images"], charges["batches"]) == (4, 2)
    assert [edit["images"] for edit in charges["edits"]] == [[sha256(data)]] * 3
    assert report["cost_usd"] <= report["estimate_usd"]
    assert left_files(aws, "vision") == []


def left_files(aws: LocalStack, purpose: str) -> list[str]:
    url = f"{aws.outputs['openai_base_url']}/files?purpose={purpose}"
    listed = fetch(url, headers={"Authorization": "Bearer any"}).json["data"]
    return [file["id"] for file in listed]


def test_upload_command_prints_the_key(aws: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "Teekännchen.png"
    file.write_bytes(png(90, 60))

    printed = easel(aws, tmp_path, "upload", str(file))

    key = printed.stdout.strip()
    assert printed.returncode == 0, printed.stderr
    request = {"prompt": "A table", "reference_images": [key]}
    assert aws.run(request | SMALL)["report"]["stored"] == 1


def test_upload_command_names_the_problem(aws: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "page.png"
    file.write_bytes(b"<html>")

    refused = easel(aws, tmp_path, "upload", str(file))

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"{file} was refused: it is not an image that Easel reads")
    assert refused.stderr.count("\n") == 1
