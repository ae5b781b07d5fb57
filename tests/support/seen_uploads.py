"""What a page sends to the API about uploads and references."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, Request, Route

from easel.contract import naming
from tests.support.local_stack import LocalStack

ENDINGS = {"image/jpeg": "jpg", "image/webp": "webp"}


@dataclass
class SeenUploads:
    """The uploads of a page by their ids, and the requests that it priced and started."""

    aws: LocalStack
    page: Page
    names: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    estimated: list[dict[str, Any]] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)

    def watch(self) -> None:
        """Keep what the page sends from now on."""
        self.page.route(re.compile(r"/uploads$"), self._pass_on)
        self.page.on("request", self._note)

    def body(self, upload: str) -> bytes:
        """Return what arrived in the bucket."""
        key = naming.upload_inbox_key(upload)
        answer = self.aws.s3.get_object(Bucket=self.aws.bucket, Key=key)
        return bytes(answer["Body"].read())

    def key(self, upload: str) -> str:
        """Return the key of a checked upload."""
        return naming.reference_key(upload, ENDINGS.get(self.types[upload], "png"))

    def id_of(self, name: str) -> str:
        """Return the id of the latest upload of a file."""
        return next(id_ for id_ in reversed(self.names) if self.names[id_] == name)

    def _pass_on(self, route: Route) -> None:
        answer = route.fetch()
        if answer.ok:
            asked, upload = _body(route.request), answer.json()["id"]
            self.names[upload], self.types[upload] = asked["name"], asked["type"]
        route.fulfill(response=answer)

    def _note(self, request: Request) -> None:
        for path, kept in (("/estimate", self.estimated), ("/runs", self.started)):
            if request.method == "POST" and request.url.endswith(path):
                kept.append(_body(request))


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.post_data or "{}")
    return body
