"""Promises of the functions: each is exactly what its row of the catalogue describes."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from bench.sizes import MAX_CODE, MAX_CODE_WITH_PAGE
from easel.contract import settings
from infra import ROOT
from infra.functions import code as shipped
from infra.functions.catalogue import CATALOGUE, Caller, FunctionSpec
from infra.functions.function import contents, environment, layer_names
from infra.functions.layers import HERE
from local.deploy import zip_folder
from tests.support.template import EVERYTHING, EXISTING, FUNCTIONS, Synth, Template, in_asset

ROWS = {row.name: row for row in CATALOGUE}
WITH_MIRROR = "mirror=s3://copies-of-mine/a/b"
SHAPES: tuple[tuple[str, ...], ...] = (
    (),
    (WITH_MIRROR,),
    EXISTING,
    ("layers=false", "openai_workload_identity=idp_1/sa_2", "openai_base_url="),
    ("layers=false", "openai_base_url=https://llm.example.org/v1"),
    EVERYTHING,
)
# The variables that depend on a setting, each with a condition on the setting's value.
ONLY_WITH = {
    settings.WORKLOAD_IDENTITY: "openai_workload_identity=idp",
    settings.OPENAI_BASE_URL: "openai_base_url=http",
    settings.OPENAI_OMIT: "openai_base_url=http",
    settings.MIRROR: "mirror=s3",
    settings.DELIVERY_BUCKET: "delivery=true",
    settings.DELIVERY_URL: "delivery=true",
    settings.PUBLIC_PAGE_URL: "public_page=true",
    settings.SIGNING_SECRET: "webhooks=",
}
# The settings group that each service of easel/services.py reads.
READ_BY = {
    **dict.fromkeys(("storage", "bucket", "ledger", "table"), settings.StorageSettings),
    "requests": settings.RequestSettings,
    "batching": settings.BatchSettings,
    "time_limits": settings.TimeSettings,
    "mirror_url": settings.MirroredSettings,
    "shares": settings.SharingSettings,
    "rate_limit": settings.RateSettings,
    **dict.fromkeys(("chat_model", "image_model", "openai_batches"), settings.OpenAISettings),
}
# Only the local stack sets these.
LOCAL_ONLY = {settings.LOCAL_SIGN_IN_URL, settings.LOCAL_TOKEN_URL}


def template_with(synth: Synth, row: FunctionSpec) -> Template:
    """Return a template that contains the row's function."""
    if row.only_with == settings.DELIVERY_BUCKET:
        return synth(*EVERYTHING)
    if row.caller is Caller.CLOUDFORMATION:
        return synth(*EXISTING)
    return synth(WITH_MIRROR) if row.only_with else synth()


def is_deployed(row: FunctionSpec, shape: tuple[str, ...]) -> bool:
    if row.only_with:
        return ONLY_WITH[row.only_with] in " ".join(shape)
    return row.caller is not Caller.CLOUDFORMATION or shape == EXISTING


def test_catalogue_lists_every_function() -> None:
    modules = {file.stem for file in (ROOT / "functions").glob("*.py")} - {"__init__"}
    folders = {file.parent.name for file in (ROOT / "functions").glob("*/handler.py")}

    assert set(ROWS) == modules | folders
    assert {row.name for row in CATALOGUE if is_deployed(row, ())} == set(FUNCTIONS)


@pytest.mark.parametrize("step", FUNCTIONS)
def test_each_function_has_own_role_and_log_group(template: Template, step: str) -> None:
    function = template.function(step)
    others = [template.function(other) for other in FUNCTIONS if other != step]

    assert (function["Runtime"], function["Architectures"]) == ("python3.14", ["arm64"])
    assert function["Role"] not in [other["Role"] for other in others]
    assert function["LoggingConfig"] not in [other["LoggingConfig"] for other in others]
    assert function["TracingConfig"] == {"Mode": "Active"}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "+".join(shape) or "defaults")
def test_environment_matches_declared_settings_groups(synth: Synth, shape: tuple[str, ...]) -> None:
    template = synth(*shape)

    for row in (row for row in CATALOGUE if is_deployed(row, shape)):
        declared = {field.metadata["variable"] for group in row.settings for field in fields(group)}
        lacking = {name for name, only in ONLY_WITH.items() if only not in " ".join(shape)}
        if "openai_workload_identity=idp" in " ".join(shape):
            lacking.add(settings.SECRET)
        expected = declared - lacking - LOCAL_ONLY - {settings.REGION}
        variables = template.function(row.name).get("Environment", {"Variables": {}})["Variables"]
        assert set(variables) == expected, row.name
        # The functions read the same variables as well.
        required = {name for group in row.settings for name in group.variables()}
        assert required <= set(variables), row.name


@pytest.mark.parametrize("name", ROWS)
def test_row_declares_settings_that_its_code_reads(name: str) -> None:
    folder, module = ROOT / "functions" / name, ROOT / "functions" / f"{name}.py"
    files = [module] if module.is_file() else sorted(folder.glob("*.py"))
    code = "\n".join(file.read_text() for file in files)

    services = re.findall(r"(?:services|SERVICES)\.(\w+)", code)
    groups = {READ_BY[service] for service in services if service in READ_BY}
    groups |= {getattr(settings, group) for group in re.findall(r"(\w+Settings)\.read", code)}

    assert groups == set(ROWS[name].settings)


def test_variable_without_value_fails_synth() -> None:
    with pytest.raises(KeyError, match=settings.BUCKET_OWNER):
        environment(ROWS["upload"], {settings.BUCKET: "b"})


@pytest.mark.parametrize("name", ROWS)
def test_deployed_function_matches_its_row(synth: Synth, name: str) -> None:
    row = ROWS[name]
    template = template_with(synth, row)

    function = template.function(name)
    assert function["MemorySize"] == row.memory_mb
    if row.timeout:
        assert function["Timeout"] == row.timeout.to_seconds()
    assert sorted(template.layers(name)) == sorted(layer_names(row))
    assert ("DeadLetterConfig" in function) == (row.caller is Caller.EVENTS)


def files_of(row: FunctionSpec) -> set[Path]:
    """Return what the row's asset should contain, from the folders in this checkout."""
    named = [ROOT / path for path in contents(row)]
    inside = [file for path in named for file in path.rglob("*") if file.is_file()]
    files = [*(path for path in named if path.is_file()), *inside]
    return {file.relative_to(ROOT) for file in files if "__pycache__" not in file.parts}


@pytest.mark.parametrize("name", ROWS)
def test_asset_contains_exactly_its_folders(synth: Synth, name: str) -> None:
    row, template = ROWS[name], template_with(synth, ROWS[name])
    asset = template.asset(name)

    held = {file.relative_to(asset) for file in asset.rglob("*") if file.is_file()}
    compiled = {file for file in held if file.suffix == ".pyc"}
    held -= compiled

    assert held == files_of(row)
    modules = {file for file in held if file.suffix == ".py"}
    # Without a compiler for Lambda's Python, there is no bytecode.
    assert {file.parents[1] / f"{file.name.partition('.')[0]}.py" for file in compiled} in (
        set(),
        modules,
    )
    folders = {"/".join(file.parts[:2]) for file in held if file.parts[0] == "easel"}
    kept = {"easel/__init__.py", "easel/services.py", "easel/contract", "easel/aws"}
    assert folders == kept | {f"easel/{folder}" for folder in row.folders}
    code = {file.parts[1].removesuffix(".py") for file in held if file.parts[0] == "functions"}
    assert code == {"__init__", name}
    assert {file.parts[0] for file in held} - {"easel", "functions"} == (
        {"web"} if row.has_page else set()
    )


@pytest.mark.parametrize("name", ROWS)
def test_every_shipped_folder_is_imported(synth: Synth, name: str) -> None:
    row, template = ROWS[name], template_with(synth, ROWS[name])
    asset = template.asset(name)
    easel = "(name for name in sys.modules if name.startswith('easel.'))"
    code = f"import {template.module(name)}; print(*{easel})"

    loaded = in_asset(asset, code).stdout.split()

    folders = {module.split(".")[1] for module in loaded if module.count(".") > 1}
    # The services import it only when a function first needs it.
    folders |= {"openai_client"} if settings.OpenAISettings in row.settings else set()
    assert folders == {"contract", "aws", *row.folders}


@pytest.mark.parametrize("name", ROWS)
def test_handler_imports_only_from_its_asset(synth: Synth, name: str) -> None:
    template = template_with(synth, ROWS[name])
    asset, module = template.asset(name), template.module(name)
    ours = (
        "[m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('easel','functions')]"
    )

    result = in_asset(asset, f"import {module}; print({module}.handler.__name__, *{ours})")

    handler, *files = result.stdout.split()
    assert handler == "handler"
    assert files
    assert all(Path(file).is_relative_to(asset) for file in files)


@pytest.mark.parametrize("name", ROWS)
def test_asset_stays_small(synth: Synth, name: str) -> None:
    """The limit is in bytes of the zip. Two thirds of it are bytecode.

    Its cost is in docs/decisions/0035-build-each-asset-from-folders.md.
    """
    size = len(zip_folder(template_with(synth, ROWS[name]).asset(name)))

    assert size <= MAX_CODE_WITH_PAGE.get(name, MAX_CODE)


@pytest.mark.parametrize("step", ["upload", "cleanup", "batch", "api"])
def test_other_functions_never_load_openai(template: Template, step: str) -> None:
    code = f"import {template.module(step)}; print('openai' in sys.modules)"

    assert in_asset(template.asset(step), code).stdout.strip() == "False"


def test_each_function_has_its_measured_memory(template: Template) -> None:
    page = (ROOT / "docs" / "decisions" / "0023-size-each-function-by-measurement.md").read_text()

    rows = re.findall(r"^\| (\w+) \| (\d+) \|", page, flags=re.MULTILINE)

    sizes = {step: template.function(step)["MemorySize"] for step in FUNCTIONS}
    assert {step: int(size) for step, size in rows} == sizes


def test_functions_leave_room_for_more_layers(template: Template) -> None:
    # Lambda allows five. The others are for Lambda Insights or a company's own.
    assert max(len(template.layers(step)) for step in FUNCTIONS) <= 3


def test_second_builder_keeps_what_the_first_has_built(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    shipped._build(folder, HERE)
    (folder / "in use").touch()

    shipped._build(folder, HERE)

    assert (folder / "in use").exists()
    assert len(list(folder.rglob("*.pyc"))) == len(list(folder.rglob("*.py")))


def test_bytecode_of_assets_is_never_checked_and_fits(synth: Synth) -> None:
    asset = synth("layers=false").asset("cleanup")

    compiled = [file.read_bytes()[4:8] for file in asset.rglob("*.pyc")]

    assert len(compiled) == len(list(asset.rglob("*.py")))
    assert set(compiled) == {b"\x01\0\0\0"}  # by a hash that Python does not check
    loaded = in_asset(asset, "import easel.services as m; print(m.__cached__, m.__file__)")
    cached, file = loaded.stdout.split()
    assert Path(cached) in asset.rglob("*.pyc")
    assert Path(file) == asset / "easel/services.py"
