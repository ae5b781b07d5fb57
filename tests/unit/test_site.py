"""The page's files in the distribution's bucket."""

import json
from typing import Any

import pytest

from easel.aws.bucket import Bucket
from easel.page import files
from functions import site
from tests.support.cloudformation import CloudFormation
from tests.support.services import BUCKET, OWNER, PUBLIC_BUCKET, REGION

PROPERTIES = {
    "Bucket": PUBLIC_BUCKET,
    "Owner": OWNER,
    "PageUrl": "https://d1.cloudfront.example/",
    "SignInUrl": "https://sign-in.example",
    "UserPool": f"{REGION}_pool",
    "PageClient": "page",
    "ImagesBucket": BUCKET,
}
IMAGES = f"https://{BUCKET}.s3.{REGION}.amazonaws.com"


@pytest.fixture
def deployed(
    public: Bucket, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> CloudFormation:
    """Deploy the page once."""
    monkeypatch.setenv("AWS_REGION", REGION)
    site.handler(cloudformation.event(PROPERTIES), None)
    return cloudformation


def stored(s3: Any, key: str) -> Any:
    return s3.get_object(Bucket=PUBLIC_BUCKET, Key=key)


def test_all_files_of_the_page_are_published(deployed: CloudFormation, public: Bucket) -> None:
    assert [answer["Status"] for answer in deployed.answers] == ["SUCCESS"]
    keys = {item.key for item in public.objects("")}
    assert keys == {f"web/{name}" for name in files.names()} | {f"docs/{n}" for n in files.DOCS} | {
        "index.html",
        "config.json",
        "docs",
    }


def test_only_vendored_files_are_cached_for_a_year(deployed: CloudFormation, s3: Any) -> None:
    app, vendored = stored(s3, "web/app.js"), f"web/{files.VIEWER.relative_to(files.WEB)}/LICENSE"
    assert (app["ContentType"], app["CacheControl"]) == (
        "text/javascript; charset=utf-8",
        "no-cache",
    )
    assert stored(s3, vendored)["CacheControl"] == "public, max-age=31536000, immutable"


def test_page_contains_its_content_policy(deployed: CloudFormation, s3: Any) -> None:
    page = stored(s3, "index.html")["Body"].read().decode()
    policy = (
        f"img-src &#x27;self&#x27; blob: {IMAGES}; connect-src &#x27;self&#x27; https://sign-in"
    )
    assert policy in page
    assert "frame-ancestors" not in page
    assert page.index("Content-Security-Policy") < page.index("<script")


def test_config_names_the_deployment(deployed: CloudFormation, s3: Any) -> None:
    config = json.loads(stored(s3, "config.json")["Body"].read())
    assert (config["page_url"], config["images_origin"]) == (PROPERTIES["PageUrl"], IMAGES)
    assert config["shares"]
    assert config["sign_in"]["client_id"] == "page"


def test_update_removes_old_files_and_keeps_shares(
    deployed: CloudFormation, public: Bucket
) -> None:
    for key in ("web/gone.js", "shared/token/a.png"):
        public.put(key, b"x", content_type="x/y")

    site.handler(deployed.event(PROPERTIES, kind="Update"), None)

    keys = {item.key for item in public.objects("")}
    assert "web/gone.js" not in keys
    assert {"shared/token/a.png", "index.html"} <= keys


def test_destroyed_stack_leaves_no_files(deployed: CloudFormation, public: Bucket) -> None:
    public.page = 10
    public.put("shared/token/a.png", b"x", content_type="x/y")

    site.handler(deployed.event(PROPERTIES, kind="Delete"), None)

    assert list(public.objects("")) == []
    assert deployed.answers[-1]["Status"] == "SUCCESS"


def test_stack_without_page_publishes_nothing(
    public: Bucket, cloudformation: CloudFormation
) -> None:
    public.put("shared/token/a.png", b"x", content_type="x/y")
    properties = {name: PROPERTIES[name] for name in ("Bucket", "Owner")}

    site.handler(cloudformation.event(properties), None)

    assert [item.key for item in public.objects("")] == ["shared/token/a.png"]
    site.handler(cloudformation.event(properties, kind="Delete"), None)
    assert list(public.objects("")) == []


def test_missing_bucket_fails_the_deployment(
    aws: Any, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)
    site.handler(cloudformation.event(PROPERTIES), None)
    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert "NoSuchBucket" in answer["Reason"] or "does not exist" in answer["Reason"]
