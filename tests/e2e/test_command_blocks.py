"""The command blocks of the README and the docs, run as written.

They run in a copy of the project, on its own local stack.

Commands for the deployed stack (TARGET=aws) call the emulator, as if it were AWS.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from local.deploy import ROOT
from tests.support.local_stack import free_port, keys, own_environment

# These commands cannot run in a test: they need an account, or the test would run itself. Sessions
# that only AWS can show are `console` blocks, which are not run either.
NOT_HERE = ("make bootstrap", "make deploy", "make destroy", "aws ")
# Such a block is one command. Its later lines use the variable, or continue the AWS CLI's command.
WHOLE = ("API=", "aws ")
CURL = shutil.which("curl")  # a bare machine has none, and make test installs nothing outside .venv
DEADLINE_SECONDS = 120
LEFT_OUT = {
    ".git",
    ".venv",
    ".local",
    ".layers",
    "cdk.out",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
}


def commands() -> list[str]:
    """Return every line of the command blocks, page by page, and a repeated one once."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    blocks = (
        block
        for page in pages
        for block in re.findall(
            r"^```sh\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL
        )
    )
    lines = (
        command
        for block in blocks
        for command in ([block] if block.startswith(WHOLE) else block.splitlines())
    )
    return [*dict.fromkeys(lines)]


class Workplace:
    """A copy of the project, in which a newcomer types commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, port = folder, free_port()
        shutil.copytree(ROOT, folder, ignore=lambda *_: LEFT_OUT, dirs_exist_ok=True)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        aws = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        self.environment = own_environment() | aws | {"PORT": str(port), "COLUMNS": "160"}

    def types(self, command: str) -> "subprocess.CompletedProcess[str]":
        """Type a command. If it asks a question, answer with a key."""
        # The variables with which make passes its arguments on must not reach the command.
        environment = {
            name: value
            for name, value in self.environment.items()
            if not name.startswith(("MAKE", "MFLAGS"))
        }
        outputs = self.outputs()
        environment |= {name.upper(): key for name, key in keys(outputs).items()} if outputs else {}
        return subprocess.run(
            ["bash", "-c", command],  # noqa: S607 - the one on the path
            cwd=self.folder,
            env=environment,
            input="local-stand-in\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )

    def runs(self, run_id: str) -> int:
        (self.folder / "asked.json").write_text(
            json.dumps({"request_id": run_id, "size": "1024x640"})
        )
        return self.types("make run INPUT=asked.json").returncode

    def api_url(self) -> str:
        """Return the API's URL, or an empty text if the stack is down."""
        return str(self.outputs().get("api_url", ""))

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the stack, or {} if it is down."""
        file = self.folder / ".local" / "outputs.json"
        return dict(json.loads(file.read_text())) if file.is_file() else {}

    @cached_property
    def failed_run(self) -> str:
        """Start a run that fails because the budget is 0, and return its id."""
        run_id = f"failed-{uuid4().hex[:8]}"
        assert self.types("make budget USD=0").returncode == 0
        assert self.runs(run_id) != 0
        assert self.types("make budget USD=25").returncode == 0
        return run_id


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path)
    yield place
    place.types("make down")


def test_command_blocks_in_docs_run(workplace: Workplace) -> None:
    all_commands = commands()
    run_here = [
        command
        for command in all_commands
        if not command.startswith(NOT_HERE) and (CURL or "curl" not in command)
    ]
    assert len(run_here) > 15
    for command in run_here:
        if command != "make demo" and not (workplace.folder / ".local" / "outputs.json").is_file():
            assert workplace.types("make up").returncode == 0
        if "name-of-the-run" in command:
            assert workplace.runs("name-of-the-run") == 0
        named = (
            command.replace("name-or-request_id", workplace.failed_run)
            if "name-or-request_id" in command
            else command
        )
        named = re.sub(r"^API=\S+", f"API='{workplace.api_url()}'", named)
        result = workplace.types(named)
        assert result.returncode == 0, f"{named}\n{result.stdout}\n{result.stderr}"
        if "curl" in command and "runs" in command:
            assert json.loads(result.stdout)["run_id"].endswith("-order-4711"), result.stdout
        if "redrive" in command:
            del workplace.failed_run  # it has succeeded now
        if "USD=0" in command:
            assert workplace.types("make budget USD=25").returncode == 0
