"""The synthesis of the local stack, which goes on beside what starts."""

from pathlib import Path

import pytest

from local.deploy import DeployError, synthesis


def test_a_setting_that_is_wrong_is_told_in_the_apps_own_words(tmp_path: Path) -> None:
    with synthesis(["monthly_budget=1"], tmp_path) as finish, pytest.raises(DeployError, match="monthly_budget") as refused:
        finish()
    assert "Traceback" not in str(refused.value)


def test_what_breaks_meanwhile_ends_the_synthesis(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), synthesis([], tmp_path) as finish:
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="closed file"):  # it has ended, and what it said is gone
        finish()
    assert not (tmp_path / "manifest.json").exists()
