"""The local stack: starting it, again and elsewhere, and the synthesis that runs meanwhile."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.target import TargetError, local_target
from local import assemblies, stack
from local.deploy import ROOT, DeployError, synthesis
from local.stack import Local, StackError
from tests.support.local_stack import LocalStack, free_port, keys, own_environment
from tests.support.visitor import Visitor, http


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    """Yield a local stack for one test, which is not up yet."""
    folder, port = tmp_path / "local", free_port()
    own = Local(folder=folder, port=port, settings=(), environment=own_environment())
    yield own
    stack.down(own, keep=False)


def test_wrong_setting_shows_the_apps_message(tmp_path: Path) -> None:
    with (
        synthesis(["monthly_budget=1"], tmp_path) as finish,
        pytest.raises(DeployError, match="monthly_budget") as exc_info,
    ):
        finish()

    assert "Traceback" not in str(exc_info.value)


def test_failing_block_ends_the_synthesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(assemblies.FOLDER)  # an assembly that was kept needs no app
    with pytest.raises(KeyboardInterrupt), synthesis([], tmp_path) as finish:
        raise KeyboardInterrupt

    # The app has ended, and its output is closed.
    with pytest.raises(ValueError, match="closed file"):
        finish()
    assert not (tmp_path / "manifest.json").exists()


def test_assembly_is_kept_for_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assemblies.FOLDER, str(tmp_path))

    for folder, budget in (("first", 1), ("same", 1), ("other", 2)):
        with synthesis([f"monthly_budget_usd={budget}"], tmp_path / folder) as finish:
            finish()

    kept = [path for path in tmp_path.iterdir() if path.name not in ("first", "same", "other")]
    assert len(kept) == 2
    first, same, other = (
        (tmp_path / folder / "Easel.template.json").read_text()
        for folder in ("first", "same", "other")
    )
    assert first == same != other


def test_kept_stack_keeps_user_on_another_port(local: Local) -> None:
    first = stack.up(local)
    assert stat.S_IMODE(local.outputs_file.stat().st_mode) == 0o600

    second = stack.up(local)
    for name in ("api_url", "user", "password"):
        assert second[name] == first[name]

    stack.down(local, keep=True)
    moved = replace(local, port=free_port())
    outputs = stack.up(moved)
    assert outputs["api_url"] == first["api_url"].replace(f":{local.port}/", f":{moved.port}/")
    assert outputs["password"] == first["password"]
    assert Visitor(outputs).code(outputs["password"])
    assert outputs["password"] not in (moved.folder / "emulator" / "emulator.log").read_text()


def readable_by_others(local: Local) -> list[Path]:
    """Return the files and folders that others may open, apart from the synthesized template."""
    inside = (path for path in local.folder.rglob("*") if local.assembly not in path.parents)
    paths = [local.folder, *inside]
    return [
        path
        for path in paths
        if not path.is_symlink() and path != local.assembly and path.stat().st_mode & 0o077
    ]


def test_only_the_user_can_read_the_files(local: Local) -> None:
    before = os.umask(0o022)
    try:
        outputs = stack.up(local)
        run = LocalStack(outputs).run({"size": "1024x640", "quality": "low"})
        assert run["status"] == "SUCCEEDED"
        assert readable_by_others(local) == []

        stack.down(local, keep=True)
        assert (local.emulator_folder / "state" / "s3.json").is_file()
        assert readable_by_others(local) == []
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_each_start_has_its_own_key(local: Local) -> None:
    first = keys(stack.up(local))
    assert keys(stack.up(local)) == first
    stack.down(local, keep=True)
    kept = [path.read_bytes() for path in local.folder.rglob("*") if path.is_file()]

    second = keys(stack.up(local))

    assert not [text for text in kept if first["aws_secret_access_key"].encode() in text]
    assert second["aws_access_key_id"] != first["aws_access_key_id"]
    assert second["aws_secret_access_key"] != first["aws_secret_access_key"]


def ended(local: Local, *options: str) -> str:
    """Run `python -m local down`, and return what it prints."""
    command = [sys.executable, "-m", "local", "down", "--folder", str(local.folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_down_keeps_what_a_real_server_was_paid_for(local: Local) -> None:
    real = {"OPENAI_API_KEY": "sk-real", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    stack.up(replace(local, environment={**local.environment, **real}))
    state = local.emulator_folder / "state" / "s3.json"

    shown = ended(local).splitlines()

    assert shown[0].startswith("Stopping the local AWS")
    assert "make down DELETE=1" in shown[-1]
    assert state.is_file()
    assert "make down DELETE=1" in ended(local)
    assert state.is_file()
    assert "The data was deleted." in ended(local, "--delete")
    assert not local.emulator_folder.exists()
    assert ended(local) == "Nothing was running.\n"


def test_down_deletes_what_cost_nothing(local: Local) -> None:
    stack.up(local)

    shown = ended(local)

    assert "The data was deleted." in shown
    assert not local.emulator_folder.exists()


def test_running_stack_of_an_older_version_is_named(local: Local) -> None:
    stack.up(local)
    started = json.loads(local.processes_file.read_text())
    outputs = json.loads(local.outputs_file.read_text())
    for values, file in ((started, local.processes_file), (outputs, local.outputs_file)):
        del values["access_key_id"]
        file.write_text(json.dumps(values))

    with pytest.raises(StackError, match="run `make down` first"):
        stack.up(local)
    with pytest.raises(TargetError, match="run `make down`, then `make up`"):
        local_target(local.outputs_file)


def test_without_page_there_is_no_user(local: Local) -> None:
    outputs = stack.up(replace(local, settings=("public_page=false",)))

    assert (outputs["user"], outputs["password"]) == (None, None)
    assert http(outputs["api_url"])[0] == 403
    assert http(f"{outputs['api_url']}config.json")[0] == 403
    assert http(f"{outputs['api_url']}runs")[0] == 401


def test_sign_in_works_without_test_tools() -> None:
    """Without cryptography, MiniStack issues tokens that it then refuses itself.

    Other tests would not notice if it were missing, because moto also depends on it.
    """
    pins = (ROOT / "requirements.txt").read_text()
    assert re.search(r"^cryptography==", pins, flags=re.MULTILINE)
