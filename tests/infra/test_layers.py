"""Promises of the layers: for Lambda's own platform, whole, and of the versions that run here."""

import re
from pathlib import Path
from typing import Any

import pytest

from infra import ROOT
from infra.layers import NAMES, PINS
from tests.infra.conftest import FUNCTIONS, Template, in_asset

PINNED = re.compile(r"^([a-z0-9._-]+)==([^\s;]+)", flags=re.MULTILINE)


def test_layers_are_built_for_lambda_s_own_platform(template: Template) -> None:
    libraries = [file for layer in template.of("AWS::Lambda::LayerVersion").values() for file in _layer(template, layer).rglob("*.so*")]
    assert libraries
    for library in libraries:
        header = library.read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert header[18:20] == b"\xb7\x00", f"{library.name} is not for aarch64"
    assert not [library for library in libraries if "cpython-3" in library.name and "cpython-314" not in library.name]


def _layer(template: Template, layer: dict[str, Any]) -> Path:
    return template.folder / f"asset.{layer['Properties']['Content']['S3Key'].removesuffix('.zip')}"


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_holds_the_versions_that_run_on_this_machine(name: str) -> None:
    here = dict(PINNED.findall((ROOT / "constraints.txt").read_text()))
    in_layer = dict(PINNED.findall((PINS / f"{name}.txt").read_text()))
    assert in_layer
    assert in_layer.items() <= here.items()


@pytest.mark.parametrize("step", FUNCTIONS)
def test_all_that_a_function_imports_is_in_its_asset_or_its_layers(template: Template, step: str) -> None:
    loaded = "(name for name, module in sys.modules.items() if 'site-packages' in (getattr(module, '__file__', None) or ''))"
    done = in_asset(template.asset(step), f"import functions.{step}.handler; print(*{loaded})")
    imported = {module.split(".")[0] for module in done.stdout.split()}
    resources = template.body["Resources"]
    layers = [_layer(template, resources[layer["Ref"]]) for layer in template.function(step)["Layers"]]
    held = {file.name.split(".")[0] for layer in layers for file in (layer / "python").iterdir()}
    assert "boto3" in imported
    # The environment loads the one by itself; botocore takes the other where there is one, and has certificates of its own.
    assert imported - {"_distutils_hack", "certifi"} <= held
