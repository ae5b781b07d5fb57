"""Promises of the layers: built for Lambda's platform, complete, and in the versions used here."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from infra import ROOT
from infra.functions import layers
from infra.functions.layers import HERE, LAMBDA, MIRROR_NAMES, NAMES, PINS, SERVICES
from local.deploy import zip_folder
from tests.support.template import EXISTING, FUNCTIONS, Synth, Template, as_on_lambda, in_asset

PINNED = re.compile(r"^([a-z0-9._-]+)==([^\s;]+)", flags=re.MULTILINE)


def test_layers_are_built_for_the_lambda_platform(template: Template) -> None:
    libraries = [file for name in NAMES for file in template.layer(name).rglob("*.so*")]
    assert libraries
    for library in libraries:
        header = library.read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert header[18:20] == b"\xb7\x00", f"{library.name} is not for aarch64"
    assert not [
        library
        for library in libraries
        if "cpython-3" in library.name and "cpython-314" not in library.name
    ]


@pytest.mark.parametrize("name", MIRROR_NAMES)
def test_layer_versions_match_this_machine(name: str) -> None:
    here = dict(PINNED.findall((ROOT / "constraints.txt").read_text()))
    in_layer = dict(PINNED.findall((PINS / f"{name}.txt").read_text()))
    assert in_layer
    assert in_layer.items() <= here.items()


@pytest.mark.parametrize("step", FUNCTIONS)
def test_assets_and_layers_contain_all_imports(template: Template, step: str) -> None:
    files = "((n, getattr(m, '__file__', None) or '') for n, m in sys.modules.items())"
    loaded = f"(name for name, file in {files} if 'site-packages' in file)"
    result = in_asset(template.asset(step), f"import {template.module(step)}; print(*{loaded})")
    imported = {module.split(".")[0] for module in result.stdout.split()}
    folders = [template.layer(name) / "python" for name in template.layers(step)]
    held = {file.name.split(".")[0] for folder in folders for file in folder.iterdir()}

    assert "boto3" in imported
    # The environment loads the first one automatically. botocore uses the second if it is
    # installed, and has its own certificates. PyJWT uses the others if they are installed, for
    # signatures of other kinds and for older versions of Python.
    optional = {"_distutils_hack", "certifi", "cryptography", "_cffi_backend", "typing_extensions"}
    assert imported - optional <= held


def test_layer_contains_only_services_in_use() -> None:
    files = [file for name in ("easel", "functions") for file in (ROOT / name).rglob("*.py")]
    code = "".join(file.read_text() for file in files)
    assert set(re.findall(r'client\(\s*"(\w+)"', code)) == set(SERVICES)

    data = layers.build("base") / "python" / "botocore" / "data"
    assert {folder.name for folder in data.iterdir() if folder.is_dir()} == set(SERVICES)


def test_layers_contain_nothing_unused() -> None:
    files = [
        file.relative_to(folder)
        for folder in map(layers.build, MIRROR_NAMES)
        for file in folder.rglob("*")
        if file.is_file()
    ]
    assert len(files) > 1000
    assert not [
        file
        for file in files
        if file.suffix in {".pyi", ".typed", ".lock"} or {"tests", "bin"} & set(file.parts)
    ]


def test_layers_stay_small(tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copytree(layers.build(name), tmp_path / name, ignore=shutil.ignore_patterns("*.pyc"))
    assert sum(len(zip_folder(tmp_path / name)) for name in NAMES) <= 12_000_000


def test_bytecode_is_unchecked_and_fits_target_python() -> None:
    here, there = (layers.build("base", target) for target in (HERE, LAMBDA))
    sources = [file for file in here.rglob("*.py") if file.is_file()]
    compiled = [file.read_bytes()[4:8] for file in here.rglob("*.pyc")]
    assert compiled == [b"\x01\0\0\0"] * len(sources)  # by a hash that Python does not check
    assert bool(list(there.rglob("*.pyc"))) == bool(LAMBDA.compiler)

    result = subprocess.run(
        [sys.executable, "-m", "infra.functions.layers"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("The layers have no bytecode" in result.stdout) == (LAMBDA.compiler is None)


# What a function builds before its first call, as names of its services.
BUILT = {
    "prompt": {"storage", "table", "bucket", "ledger", "openai_account", "chat_model"},
    "image": {"table", "staging", "ledger", "openai_account", "image_model", "rate_limit"},
    "upload": {"storage", "table", "bucket", "ledger"},
    "cleanup": {"storage", "table", "bucket", "ledger"},
    "batch": {"storage", "table", "bucket", "ledger"},
    "economy": {"storage", "table", "bucket", "ledger", "openai_account", "openai_batches"},
    "references": {"storage", "table", "bucket", "uploads"},
    "events": {"eventbridge"},
    "index": {"storage", "table"},
    "api": {"api", "table", "ledger", "executions", "batch_executions", "runs", "gallery"}
    | {"search", "image_links", "upload_links"},
}


@pytest.mark.parametrize("step", FUNCTIONS)
def test_function_starts_ready_from_asset_and_layers(template: Template, step: str) -> None:
    built, credential = start_step(template, step)
    assert BUILT[step] <= built
    assert credential == ("ApiKey" if "openai_account" in BUILT[step] else None)


@pytest.mark.parametrize("step", ["image", "economy"])
def test_keyless_function_is_ready_without_secrets_client(synth: Synth, step: str) -> None:
    built, credential = start_step(synth("openai_workload_identity=idp_1/sa_2"), step)
    assert BUILT[step] <= built
    assert credential == "IdentityToken"


def start_step(template: Template, step: str) -> tuple[set[str], str | None]:
    """Return what a function builds before its first call, and how it reaches OpenAI."""
    services = "functions.api.services.API_SERVICES" if step == "api" else "easel.services.SERVICES"
    code = f"""
import gc, json
import {template.module(step)}, {services.rpartition(".")[0]}
built = vars({services})
account = built.get("openai_account")
credential = type(account._credential).__name__ if account else None
print(json.dumps([sorted(built), credential, gc.isenabled(), gc.get_freeze_count()]))
"""
    built, credential, collects, frozen = json.loads(as_on_lambda(template, step, code))
    assert collects
    assert frozen > 10_000
    return set(built), credential


def test_adoption_starts_without_layers(synth: Synth) -> None:
    template = synth(*EXISTING)
    assert template.layers("adoption") == []
    code = "from functions.adoption import client, handler; print(bool(client('s3')))"
    # Lambda's runtime has boto3.
    assert as_on_lambda(template, "adoption", code, "base").strip() == "True"


def test_every_layer_file_is_readable_by_all() -> None:
    paths = [path for name in NAMES for path in layers.build(name).rglob("*")]
    assert paths
    assert not [path for path in paths if path.stat().st_mode & 0o444 != 0o444]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_trimmed_pillow_reads_every_format(template: Template, tmp_path: Path, kind: str) -> None:
    picture = tmp_path / "picture"
    Image.linear_gradient("L").save(picture, kind)
    code = f"""
import hashlib, pathlib
from easel.images.image_file import verify
data = pathlib.Path({str(picture)!r}).read_bytes()
print(verify(data, sha256=hashlib.sha256(data).hexdigest(), where="here").content_type)
"""
    assert as_on_lambda(template, "upload", code).strip() == f"image/{kind}"
