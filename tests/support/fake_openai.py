"""The fake OpenAI as a separate process, used through the real client."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import openai

from local.fake_openai import process
from tests.support.local_stack import LocalStack

SMALL = {"model": "gpt-image-2.5", "size": "1024x640", "quality": "low"}
IMAGES_URL: Final = "/v1/images/generations"
EDITS_URL: Final = "/v1/images/edits"
# The name, the content and the media type of a file, as the client sends it.
NamedFile = tuple[str, bytes, str]


class Account(LocalStack):
    """The account at a fake OpenAI that runs without a local stack."""

    def __init__(self, url: str, api: openai.OpenAI) -> None:
        self.outputs, self.api = {"openai_base_url": url}, api

    def picture(self, prompt: str = "a lighthouse") -> Any:
        return self.api.images.generate(prompt=prompt, **SMALL)  # type: ignore[call-overload]

    def edit(self, *images: NamedFile, prompt: str = "a lighthouse", **more: Any) -> Any:
        return self.api.images.edit(image=list(images), prompt=prompt, **SMALL | more)

    def upload_image(self, image: NamedFile, **more: Any) -> str:
        return str(self.api.files.create(file=image, purpose="vision", **more).id)

    def upload(self, *lines: Any) -> str:
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        file = ("wishes.jsonl", text.encode())
        return str(self.api.files.create(file=file, purpose="batch").id)

    def batch(
        self,
        *lines: Any,
        endpoint: Literal["/v1/images/generations", "/v1/images/edits"] = IMAGES_URL,
        **metadata: str,
    ) -> Any:
        return self.api.batches.create(
            input_file_id=self.upload(*lines),
            endpoint=endpoint,
            completion_window="24h",
            metadata=metadata,
        )

    def after(self, batch: Any) -> Any:
        """Return the batch in its current state."""
        return self.api.batches.retrieve(batch.id)

    def lines(self, file_id: str) -> list[dict[str, Any]]:
        with self.api.files.with_streaming_response.content(file_id) as answer:
            return [json.loads(line) for line in answer.iter_lines()]

    def bytes(self, file_id: str) -> bytes:
        return bytes(self.api.files.content(file_id).read())


@contextmanager
def running_account(folder: Path, *options: str) -> Iterator[Account]:
    """Run the server with these options."""
    running = process.start(folder, options)
    try:
        url = process.wait_until_ready(running, folder)
        with openai.OpenAI(api_key="any", base_url=url, max_retries=0, timeout=10) as api:
            yield Account(url, api)
    finally:
        running.kill()
        running.wait()


def wish(prompt: str, **more: Any) -> dict[str, Any]:
    """Return a line of a batch's input, whose id is the prompt."""
    body = SMALL | {"prompt": prompt} | more
    return {"custom_id": prompt, "method": "POST", "url": IMAGES_URL, "body": body}


def edit_wish(prompt: str, *files: str, **more: Any) -> dict[str, Any]:
    """Return a line of a batch's input that edits the images with these file ids."""
    images = [{"file_id": file} for file in files]
    return wish(prompt, images=images, **more) | {"url": EDITS_URL}


def ids(lines: list[dict[str, Any]]) -> list[str]:
    """Return the ids of result lines."""
    return [line["custom_id"] for line in lines]


def pictures(lines: list[dict[str, Any]]) -> list[bytes]:
    """Return the images of result lines."""
    bodies = [line["response"]["body"] for line in lines]
    return [base64.b64decode(image["b64_json"]) for body in bodies for image in body["data"]]
