"""A custom resource of CloudFormation: puts the page's files into the distribution's bucket.

It runs when the stack is deployed and the files or their settings have changed. A stack without a
page has no files. When the stack is destroyed, it empties the bucket, which must be empty to be
deleted.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.aws import presigned
from easel.aws.bucket import PAGE, Bucket
from easel.aws.client import client
from easel.aws.custom_resource import answer
from easel.contract import settings
from easel.contract.naming import SHARED
from easel.page import files
from easel.page.config import PageSettings, page_config


@dataclass(frozen=True, kw_only=True)
class SiteFile:
    """A file as it is stored. `seconds` is how long a browser may keep it without asking."""

    body: bytes
    content_type: str
    seconds: int = 0


def handler(event: dict[str, Any], _context: object) -> None:
    """Publish the page, or empty the bucket when the resource is deleted."""
    properties = event["ResourceProperties"]
    bucket = Bucket(client("s3"), name=properties["Bucket"], owner=properties["Owner"])

    def act() -> dict[str, Any]:
        if event["RequestType"] == "Delete":
            _delete(bucket, [item.key for item in bucket.objects("")])
        else:
            has_page = "PageUrl" in properties
            page = site_files(page_settings(properties, os.environ)) if has_page else {}
            publish(page, bucket)
        return {}

    answer(event, act, physical_id=f"site-{bucket.name}")


def page_settings(properties: Mapping[str, str], environment: Mapping[str, str]) -> PageSettings:
    """Return the page's settings from the resource's properties.

    The local stack's sign-in is on this machine, and only its environment has the address.
    """
    region = environment[settings.REGION]
    return PageSettings(
        page_url=properties["PageUrl"],
        sign_in_url=environment.get(settings.LOCAL_SIGN_IN_URL) or properties["SignInUrl"],
        images_origin=presigned.origin(properties["ImagesBucket"], region=region),
        region=region,
        user_pool=properties["UserPool"],
        page_client=properties["PageClient"],
        shares=True,
    )


def site_files(page: PageSettings) -> dict[str, SiteFile]:
    """Return all files by key. The pages come last, because they load the others."""
    site = {
        f"web/{name}": _read(files.WEB / name, files.seconds_of(name))
        for name in sorted(files.names())
    }
    site |= {f"docs/{name}": _read(path, files.HOUR) for name, path in files.DOCS.items()}
    config = json.dumps(page_config(page)).encode()
    site["config.json"] = SiteFile(body=config, content_type="application/json")
    policy = files.page_policy(images=page.images_origin, sign_in=page.sign_in_url)
    site["docs"] = _html(files.DOCS_INDEX, files.docs_policy())
    site["index.html"] = _html(files.INDEX, policy)
    return site


def publish(site: Mapping[str, SiteFile], bucket: Bucket) -> None:
    """Put the files into the bucket, and then remove the files of an older version."""
    for key, file in site.items():
        bucket.put_public(
            key,
            file.body,
            content_type=file.content_type,
            cache_control=files.cache_control(file.seconds),
        )
    stored = (item.key for item in bucket.objects(""))
    _delete(bucket, [key for key in stored if key not in site and not key.startswith(SHARED)])


def _read(path: Path, seconds: int) -> SiteFile:
    kind = files.with_charset(files.content_type(path))
    return SiteFile(body=path.read_bytes(), content_type=kind, seconds=seconds)


def _html(path: Path, policy: str) -> SiteFile:
    page = files.with_policy(path.read_text(), policy)
    return SiteFile(body=page.encode(), content_type=files.with_charset("text/html"))


def _delete(bucket: Bucket, keys: list[str]) -> None:
    for batch in _in_batches(keys):
        bucket.delete(batch)


def _in_batches(keys: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(keys), PAGE):
        yield keys[begin : begin + PAGE]
