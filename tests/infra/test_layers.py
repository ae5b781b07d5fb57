"""Promises of the layers: for Lambda's own platform, whole, and of the versions that run here."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from infra import ROOT
from infra.functions import layers
from infra.functions.layers import HERE, LAMBDA, MIRROR_NAMES, NAMES, PINS, SERVICES
from local.deploy import zipped
from tests.infra.conftest import FUNCTIONS, Synth, Template, in_asset

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


@pytest.mark.parametrize("name", MIRROR_NAMES)
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


def test_a_layer_has_only_the_services_that_the_functions_call() -> None:
    code = "".join(file.read_text() for file in (ROOT / "functions").rglob("*.py"))
    assert set(re.findall(r'client\(\s*"(\w+)"', code)) == set(SERVICES)
    data = layers.build("boto3") / "python" / "botocore" / "data"
    assert {folder.name for folder in data.iterdir() if folder.is_dir()} == set(SERVICES)


def test_layers_hold_nothing_that_is_not_run() -> None:
    files = [file.relative_to(folder) for folder in map(layers.build, MIRROR_NAMES) for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 1000
    assert not [file for file in files if file.suffix in {".pyi", ".typed", ".lock"} or {"tests", "bin"} & set(file.parts)]


def test_layers_stay_small(tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copytree(layers.build(name), tmp_path / name, ignore=shutil.ignore_patterns("*.pyc"))
    assert sum(len(zipped(tmp_path / name)) for name in NAMES) <= 12_000_000


def test_bytecode_is_never_checked_against_its_source_and_only_there_where_lambda_s_python_reads_it() -> None:
    here, there = (layers.build("pybase64", target) for target in (HERE, LAMBDA))
    sources = [file for file in here.rglob("*.py") if file.is_file()]
    compiled = [file.read_bytes()[4:8] for file in here.rglob("*.pyc")]
    assert compiled == [b"\x01\0\0\0"] * len(sources)  # by a hash, which is not looked at
    assert bool(list(there.rglob("*.pyc"))) == (HERE.python == LAMBDA.python)
    done = subprocess.run([sys.executable, "-m", "infra.layers"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ("LAYERS WITHOUT BYTECODE" in done.stdout) == (HERE.python != LAMBDA.python)


MADE = {
    "prompt": {"settings", "table", "store", "api_key", "api"},
    "image": {"settings", "table", "staging_store", "api_key", "api", "pace"},
    "upload": {"settings", "table", "store"},
    "cleanup": {"settings", "table", "store"},
    "batch": {"settings", "table", "store"},
    "economy": {"settings", "table", "store", "api_key", "openai_batches"},
    "events": {"bus"},
    "api": {"settings", "api_settings", "table", "executions", "batch_executions", "map_runs", "uploads", "links"},
}


@pytest.mark.parametrize("step", FUNCTIONS)
def test_a_function_starts_from_its_asset_and_its_layers_alone_and_is_ready_for_its_first_call(template: Template, step: str) -> None:
    made = started(template, step)
    assert MADE[step] <= made
    assert "identity_token" not in made


@pytest.mark.parametrize("step", ["image", "economy"])
def test_without_a_key_a_function_is_as_ready_and_has_no_client_for_secrets(synth: Synth, step: str) -> None:
    made = started(synth("openai_workload_identity=idp_1/sa_2"), step)
    assert MADE[step] - {"api_key"} | {"identity_token"} <= made
    assert "api_key" not in made


def started(template: Template, step: str) -> set[str]:
    """What a function makes before its first call: on Lambda, with nothing but its asset and its layers."""
    stack = template.function(step)
    environment = {name: value if isinstance(value, str) else "set" for name, value in stack["Environment"]["Variables"].items()}
    environment |= {"AWS_LAMBDA_FUNCTION_NAME": step, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    code = f"""
import gc, json, sys
sys.path[:0] = {[str(template.asset(step)), *map(str, _here(template, stack))]}
import functions.{step}.handler
cached = {{name: one for module in list(sys.modules.values()) if module.__name__.startswith("functions.")
          for name, one in vars(module).items() if hasattr(one, "cache_info")}}
print(json.dumps([sorted(name for name, one in cached.items() if one.cache_info().currsize), gc.isenabled(), gc.get_freeze_count()]))
"""
    command = [sys.executable, "-I", "-S", "-B", "-c", code]  # -S: without this environment's packages; -B: the asset stays as it is
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made, collects, frozen = json.loads(done.stdout)
    assert collects
    assert frozen > 10_000
    return set(made)


def _here(template: Template, function: dict[str, Any]) -> list[Path]:
    """A function's layers as they are built for this machine's own Python."""
    described = (template.body["Resources"][layer["Ref"]]["Properties"]["Description"] for layer in function["Layers"])
    return [layers.build(description.removeprefix("Easel: "), HERE) / "python" for description in described]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_the_trimmed_pillow_reads_what_comes(template: Template, tmp_path: Path, kind: str) -> None:
    picture = tmp_path / "picture"
    Image.linear_gradient("L").save(picture, kind)
    code = f"""
import hashlib, pathlib, sys
sys.path[:0] = {[str(template.asset("upload")), *map(str, _here(template, template.function("upload")))]}
from functions.upload.verification import verify
data = pathlib.Path({str(picture)!r}).read_bytes()
print(verify(data, sha256=hashlib.sha256(data).hexdigest(), where="here").content_type)
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], env={}, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"image/{kind}", done.stderr
