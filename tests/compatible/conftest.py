"""A fake OpenAI, and in front of it a LiteLLM proxy if EASEL_LITELLM names its program.

`make compatible` installs the proxy and sets the variable. Without it, the same tests run against
the fake itself.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from easel.openai_client.chat import ChatModel
from easel.openai_client.client import Account
from easel.openai_client.images import ImageModel
from tests.support.fake_openai import running_account
from tests.support.local_stack import LocalStack, free_port

PROXY = "EASEL_LITELLM"
MODELS = ("gpt-6-luna", "gpt-image-2.6-flare", "gpt-image-2")
START_SECONDS = 240  # the proxy imports for a minute on a slow machine


@dataclass(frozen=True)
class FixedKey:
    """A key that was not rotated."""

    key: str

    def value(self) -> str:
        return self.key

    def refresh(self) -> str:
        return self.key


class Gateway:
    """The server under test, and the fake behind it."""

    def __init__(self, url: str, behind: LocalStack, key: str) -> None:
        self.behind = behind
        self.account = Account(FixedKey(key), base_url=url)
        self.chat, self.images = ChatModel(self.account), ImageModel(self.account)


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running_account(tmp_path_factory.mktemp("openai")) as account:
        yield account


@pytest.fixture(scope="session")
def server(fake: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    program, behind = os.environ.get(PROXY), str(fake.outputs["openai_base_url"])
    if not program:
        yield Gateway(behind, fake, "any")
        return
    folder, port, key = tmp_path_factory.mktemp("proxy"), free_port(), "sk-a-long-master-key-1f0c"
    config = folder / "config.json"  # JSON is YAML
    config.write_text(json.dumps(_config(behind, key)))
    command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    environment = _environment()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        end = time.monotonic() + START_SECONDS
        while not _is_ready(url, process, folder / "log"):
            assert time.monotonic() < end, "the proxy did not start"
            time.sleep(0.2)
        yield Gateway(f"{url}/v1", fake, key)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def gateway(server: Gateway) -> Gateway:
    """Return the server, with a fake that has no faults and no charges."""
    server.behind.forget()
    return server


def _config(behind: str, key: str) -> dict[str, object]:
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"openai/{name}",
                    "api_base": behind,
                    "api_key": "any",
                },
                "model_info": {"mode": "image_generation" if "image" in name else "chat"},
            }
            for name in MODELS
        ],
        "general_settings": {"master_key": key},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
    return kept | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}


def _is_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-3_000:]
    try:
        return httpx2.get(f"{url}/health/liveliness", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False
