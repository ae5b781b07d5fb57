"""Uploads of images through the API, and what its images say about references."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from easel.contract import naming
from easel.request.request import parse
from tests.support.api import Api, store_image
from tests.support.images import png
from tests.support.records import prompt_record
from tests.support.references import upload
from tests.support.services import NOW

pytestmark = pytest.mark.usefixtures("bucket")
NEW: dict[str, Any] = {"name": "teapot.png", "type": "image/png", "bytes": 1234}


def test_new_upload_gets_a_bound_link(api: Api) -> None:
    answer = api("POST", "/uploads", NEW)

    assert answer.status == 201
    link = urlsplit(answer.json["upload"]["url"])
    assert link.path == f"/{naming.upload_inbox_key(answer.json['id'])}"
    signed = parse_qs(link.query)["X-Amz-SignedHeaders"][0].split(";")
    assert {"content-length", "content-type"} <= set(signed)
    assert answer.json["upload"]["headers"] == {"Content-Type": "image/png"}
    assert answer.headers["location"] == answer.json["url"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"bytes": 50_000_000}, "bytes"),
        ({"bytes": 0}, "bytes"),
        ({"bytes": None}, "bytes"),
        ({"type": "image/svg+xml"}, "type"),
        ({"type": "text/html"}, "type"),
        ({"name": ""}, "name"),
        ({"key": "x"}, "key"),
    ],
)
def test_wrong_upload_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    answer = api("POST", "/uploads", NEW | change)

    assert (answer.status, answer.json["field"]) == (400, field)


def test_upload_is_waiting_until_checked(api: Api) -> None:
    new = api("POST", "/uploads", NEW).json
    waiting = api("GET", f"/uploads/{new['id']}").json
    upload(api.services, png(100, 60), new["id"])
    ready = api("GET", f"/uploads/{new['id']}").json

    assert (waiting["status"], waiting["key"], waiting["thumbnail"]) == ("waiting", None, None)
    assert (ready["status"], ready["width"], ready["height"]) == ("ready", 100, 60)
    assert ready["key"] == naming.reference_key(new["id"], "png")
    assert ready["name"] == "teapot.png"
    assert ready["key"] in ready["thumbnail"]
    assert ready["key"] in ready["picture"]


def test_refused_upload_shows_its_problem(api: Api) -> None:
    new = api("POST", "/uploads", NEW).json
    upload(api.services, b"<html>", new["id"])
    refused = api("GET", f"/uploads/{new['id']}").json

    assert (refused["status"], refused["key"]) == ("refused", None)
    assert "not an image that Easel reads" in refused["problem"]


@pytest.mark.parametrize("upload_id", ["0" * 32, "x"])
def test_unknown_upload_is_not_found(api: Api, upload_id: str) -> None:
    assert api("GET", f"/uploads/{upload_id}").status == 404


def test_expired_upload_is_not_found(api: Api) -> None:
    new = api("POST", "/uploads", NEW).json
    api.services.clock = NOW + timedelta(days=10_000)

    assert api("GET", f"/uploads/{new['id']}").status == 404


def test_estimate_prices_reference_images(api: Api) -> None:
    found = upload(api.services, png(1024, 1024))
    request = {"prompt": "On a table", "quality": "low"}
    plain = api("POST", "/estimate", request).json["estimate_usd"]
    priced = api("POST", "/estimate", request | {"reference_images": [found.key]}).json

    assert priced["estimate_usd"] - plain == pytest.approx(1.05 * 1024 * 8e-6, abs=1e-5)


@pytest.mark.parametrize("key", [naming.reference_key("0" * 32, "png"), "no key"])
def test_estimate_names_a_missing_upload(api: Api, key: str) -> None:
    answer = api("POST", "/estimate", {"reference_images": [key]})

    assert (answer.status, answer.json["field"]) == (400, "reference_images")


def test_image_unknown_to_the_table_costs_most(api: Api) -> None:
    request = {"prompt": "On a table", "quality": "low"}
    plain = api("POST", "/estimate", request).json["estimate_usd"]
    old = {"reference_images": ["my_s3_folder/of_an_old_version.png"]}

    priced = api("POST", "/estimate", request | old).json

    assert priced["estimate_usd"] - plain == pytest.approx(1.05 * 1536 * 8e-6, abs=1e-5)


def test_image_shows_what_it_was_made_from(api: Api) -> None:
    found = upload(api.services, png())
    request = {"reference_images": [found.key]}
    inputs = api.services.references().resolve(
        parse(request, api.services.requests, today=NOW.date())
    )
    record = prompt_record(run_id="made", inputs=inputs)
    api.services.ledger.keep_prompt(record, paid=None)
    store_image(api, record)

    listed = api("GET", "/images").json["images"][0]
    shown = api("GET", f"/images/{listed['id']}").json

    assert listed["reference_count"] == 1
    (reference,) = shown["references"]
    assert (reference["key"], reference["id"], reference["is_mask"]) == (found.key, None, False)
    assert str(found.key) in reference["thumbnail"]
    assert (shown["used_in"], shown["used_in_count"]) == ([], 0)
