"""The page's files as the browser receives them."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from easel.page.files import DOCS, WEB
from easel.request.models import QUALITIES
from easel.request.request import MAX_COUNT
from infra import ROOT
from tests.support.api import Answer, Api

TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
}
FILES = sorted(
    file.relative_to(WEB).as_posix()
    for file in WEB.rglob("*")
    if file.suffix in TYPES and file.parent != WEB / "docs"
)


def body(answer: Answer) -> bytes:
    assert answer.raw["isBase64Encoded"]
    sent = base64.b64decode(answer.text)
    return gzip.decompress(sent) if answer.headers.get("content-encoding") == "gzip" else sent


@pytest.mark.parametrize("encoding", ["gzip, br", ""])
@pytest.mark.parametrize("file", FILES)
def test_file_arrives_whole_with_its_type(api: Api, file: str, encoding: str) -> None:
    answer = api(
        "GET",
        "/" if file == "index.html" else f"/web/{file}",
        headers={"accept-encoding": encoding},
    )
    assert body(answer) == (WEB / file).read_bytes()
    assert answer.headers["content-type"] == f"{TYPES[Path(file).suffix]}; charset=utf-8"
    assert answer.headers["cache-control"] == (
        "public, max-age=31536000, immutable" if file.startswith("vendor/") else "no-cache"
    )


@pytest.mark.parametrize(
    "path",
    ["/", "/web/app.js", "/config.json", "/openapi.json", "/docs", "/docs/swagger-ui.css"],
)
@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_cached_file_is_not_sent_again(api: Api, path: str, encoding: str) -> None:
    first = api("GET", path, headers={"accept-encoding": encoding})
    assert first.status == 200
    second = api(
        "GET", path, headers={"accept-encoding": encoding, "if-none-match": first.headers["etag"]}
    )
    assert (second.status, second.text) == (304, "")


@pytest.mark.parametrize(
    "path",
    [
        "/web/handler.py",
        "/web/../handler.py",
        "/web/%2e%2e/handler.py",
        "/web//etc/passwd",
        "/web/vendor",
        "/docs/x",
    ],
)
def test_other_files_are_not_served(api: Api, path: str) -> None:
    answer = api("GET", path)
    assert (answer.status, answer.json["error"]) == (404, "NotFoundError")


def test_page_knows_sign_in_and_image_addresses(api: Api) -> None:
    config = json.loads(body(api("GET", "/config.json")))
    assert config["sign_in"]["client_id"] == "page"
    assert (
        config["sign_in"]["metadata"]["authorization_endpoint"]
        == "https://sign-in.example/oauth2/authorize"
    )
    assert config["images_origin"] == "https://pictures.s3.ap-southeast-1.amazonaws.com"

    policy = api("GET", "/").headers["content-security-policy"]
    assert f"img-src 'self' blob: {config['images_origin']};" in policy
    origins = f"{config['sign_in_origin']} {config['images_origin']}"
    assert f"connect-src 'self' {origins};" in policy
    assert "unsafe" not in policy


def test_page_gets_request_limits(api: Api) -> None:
    limits = json.loads(body(api("GET", "/config.json")))["request"]

    assert limits["prompt"] == {"max_length": 32_000}
    assert limits["count"] == {"minimum": 1, "maximum": MAX_COUNT, "default": 1}
    assert limits["quality"] == {"choices": ["auto", *QUALITIES], "default": "medium"}


def test_every_vendored_file_is_listed_with_licence() -> None:
    listed = dict(
        re.findall(
            r"^\| `(\S+)` .* `([0-9a-f]{64})` \|$",
            (ROOT / "THIRD_PARTY.md").read_text(),
            flags=re.MULTILINE,
        )
    )
    files = {
        file.relative_to(WEB / "vendor").as_posix(): file
        for file in (WEB / "vendor").rglob("*")
        if file.is_file()
    }
    code = {name: file for name, file in files.items() if "LICENSE" not in name}

    assert listed == {
        name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in code.items()
    }
    assert {file.parent for file in code.values()} == {
        file.parent for name, file in files.items() if "LICENSE" in name
    }


def test_viewer_has_a_current_sanitizer() -> None:
    bundle = DOCS["swagger-ui-bundle.js"].read_text()
    (version,) = re.findall(r'DOMPurify\.version="(\d+)\.(\d+)', bundle)
    assert tuple(map(int, version)) >= (3, 4)


def test_page_code_never_turns_text_into_markup() -> None:
    own = [file for file in WEB.rglob("*.js") if "vendor" not in file.parts]
    assert own
    makes_markup = (
        r"innerHTML|dangerouslySetInnerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\("
        # Only the mark that someone is signed in outlives the tab.
        r"|localStorage(?!\.\w+Item\(MARK\b)"
    )
    for file in own:
        assert not re.search(makes_markup, re.sub(r"//.*", "", file.read_text())), file
