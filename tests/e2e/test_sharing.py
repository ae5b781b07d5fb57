"""Shared images on the deployed stack: from the request to the public address and back."""

from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

from PIL import Image

from tests.support.api_caller import Caller
from tests.support.command_line import easel
from tests.support.local_stack import LocalStack


def status(url: str) -> int:
    try:
        with urlopen(url) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


def test_shared_run_is_public_until_deleted(caller: Caller) -> None:
    body = {
        "prompt": "A kite",
        "folder_name": f"shared/{uuid4().hex}",
        "output_sizes": ["64x48"],
        "quality": "low",
        "share": True,
    }
    run: Any = caller.wait_for_end(caller.run(body, key=uuid4().hex).json)
    (picture,) = run["pictures"]
    url, sized = picture["share"]["url"], picture["sizes"][0]["public_url"]

    assert url.startswith(f"{caller.aws.outputs['api_url']}shared/")
    with urlopen(sized) as response, Image.open(response) as image:
        assert image.size == (64, 48)
    assert status(url) == 200

    caller.wait_for_end(caller("DELETE", f"images/{picture['id']}").json)
    assert (status(url), status(sized)) == (403, 403)


def test_command_line_shares_and_unshares(aws: LocalStack, tmp_path: Path) -> None:
    run = aws.run({"prompt": "A [red] kite", "size": "1024x640", "quality": "low"})
    key = str(run["report"]["pictures"][0]["key"])

    link = easel(aws, tmp_path, "share", key).stdout.strip()
    tag = easel(aws, tmp_path, "share", key, "--as", "html").stdout.strip()

    assert status(link) == 200
    assert tag == f'<img src="{link}" alt="A [red] kite">'
    ended = easel(aws, tmp_path, "unshare", key)
    assert "within 60 seconds" in ended.stdout
    assert status(link) == 403


def test_command_line_explains_why_it_cannot_share(aws: LocalStack, tmp_path: Path) -> None:
    refused = easel(aws, tmp_path, "share", "my_s3_folder/none.png")
    assert refused.returncode == 1
    assert "is not an image of Easel" in refused.stderr
