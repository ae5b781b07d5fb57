"""Promises of the mirror: nothing of it is there unless the setting names a store, and it may do no more than copy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from easel.contract import settings
from easel.contract.errors import ClaimHeldError, RetryableError, leaves
from infra.functions import layers
from infra.functions.layers import HERE, MIRROR_NAMES, NAMES
from infra.workflows.run import SERVICE_ERRORS, THROTTLED
from local.deploy import zipped
from tests.infra.conftest import BATCHES, RUNS, Synth, Template, in_asset
from tests.infra.test_template import EVERY_STEP

MIRROR = "mirror=s3://copies-of-mine/a/b"
READS = {
    ("secretsmanager:GetSecretValue", "secret"),
    ("s3:GetObject", "bucket/*"),
    ("s3:ListBucket", "bucket"),
    ("dynamodb:UpdateItem", "table"),
}
TASKS = {RUNS: {"Mirror the image"}, BATCHES: {"Mirror the image", "Mirror the staged picture"}}


@pytest.fixture
def mirrored(synth: Synth) -> Template:
    return synth(MIRROR)


def test_without_the_setting_there_is_nothing_of_it(template: Template) -> None:
    said = json.dumps(template.body)
    assert "mirror" not in said.lower()
    assert len(template.of("AWS::SecretsManager::Secret")) == 1
    assert len(template.of("AWS::Lambda::LayerVersion")) == len(NAMES)


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_what_is_stored_is_mirrored_and_a_failure_stays_red(template: Template, mirrored: Template, machine: str) -> None:
    before, tasks = template.tasks(machine), mirrored.tasks(machine)
    assert set(tasks) - set(before) == TASKS[machine]
    retryable = {error.__name__ for error in leaves(RetryableError) if error is not ClaimHeldError} | {*SERVICE_ERRORS, THROTTLED}
    for name in TASKS[machine]:
        assert {error for rule in tasks[name]["Retry"] for error in rule["ErrorEquals"]} == retryable
        assert "Catch" not in tasks[name]
        assert tasks[name]["End"] is True
    assert "Next" not in tasks["Store the image"]
    if machine == BATCHES:
        assert tasks["Store the staged picture"]["Next"] == "Mirror the staged picture"


def test_a_second_store_that_is_down_keeps_no_picture_from_being_made(mirrored: Template) -> None:
    states = mirrored.machine()["States"]
    assert states["For each variation"]["Next"] == "For each stored image"
    assert set(states["For each stored image"]["ItemProcessor"]["States"]) == {"Mirror the image"}
    assert states["For each stored image"]["Next"] == "Clean up and report"


def test_it_reads_pictures_and_writes_below_its_own_prefix_alone(synth: Synth, mirrored: Template) -> None:
    copies = "arn:AWS::Partition:s3:::copies-of-mine/a/b/*"
    writes = {("s3:PutObject", copies), ("s3:GetObject", copies)}
    assert mirrored.rights(mirrored.role("mirror")) == EVERY_STEP | READS | writes
    elsewhere = synth("layers=false", "mirror=gs://copies-of-mine")
    assert elsewhere.rights(elsewhere.role("mirror")) == EVERY_STEP | READS


def test_it_alone_knows_its_store_and_its_secret_which_has_no_value(template: Template, mirrored: Template) -> None:
    environment = mirrored.function("mirror")["Environment"]["Variables"]
    assert set(environment) == {*settings.STACK_SETS, *settings.MIRROR_SETS}
    assert environment[settings.MIRROR] == MIRROR.removeprefix("mirror=")
    secret = mirrored.of("AWS::SecretsManager::Secret")[environment[settings.MIRROR_SECRET]["Ref"]]["Properties"]
    assert not {"SecretString", "GenerateSecretString"} & set(secret)
    assert mirrored.body["Outputs"]["MirrorSecret"]["Value"] == environment[settings.MIRROR_SECRET]
    for step in ("batch", "economy"):
        assert set(mirrored.function(step)["Environment"]["Variables"]) == {*settings.STACK_SETS, settings.MIRROR}
    for step in ("upload", "cleanup"):
        assert set(mirrored.function(step)["Environment"]["Variables"]) == set(settings.STACK_SETS)
        assert mirrored.rights(mirrored.role(step)) == template.rights(template.role(step))


def test_its_asset_holds_what_its_handler_imports_and_nothing_else(mirrored: Template) -> None:
    asset = mirrored.asset("mirror")
    ours = "(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'functions')"
    done = in_asset(asset, f"import functions.mirror.handler; print(*{ours}); print('openai' in sys.modules, 'PIL' in sys.modules)")
    *loaded, openai, pillow = done.stdout.split()
    held = {str(file) for file in asset.rglob("*") if file.is_file()}
    assert held == set(loaded)
    assert (openai, pillow) == ("False", "False")


def test_its_layer_is_its_own_and_small_and_lambda_s_own(mirrored: Template) -> None:
    described = {name: one["Properties"]["Description"] for name, one in mirrored.of("AWS::Lambda::LayerVersion").items()}
    assert {one.removeprefix("Easel: ") for one in described.values()} == set(MIRROR_NAMES)
    users = {
        function["Properties"]["Handler"]
        for function in mirrored.of("AWS::Lambda::Function").values()
        if "Easel: obstore" in [described[layer["Ref"]] for layer in function["Properties"].get("Layers", [])]
    }
    assert users == {"functions.mirror.handler.handler"}
    built = layers.build("obstore")
    (library,) = built.rglob("*.so")
    assert library.read_bytes()[18:20] == b"\xb7\x00"
    assert len(zipped(built)) <= 8_000_000


def test_it_starts_from_its_asset_and_its_layers_alone(mirrored: Template, tmp_path: Path) -> None:
    function = mirrored.function("mirror")
    described = (mirrored.body["Resources"][layer["Ref"]]["Properties"]["Description"] for layer in function["Layers"])
    paths = [str(mirrored.asset("mirror")), *(str(layers.build(one.removeprefix("Easel: "), HERE) / "python") for one in described)]
    environment = {name: value if isinstance(value, str) else "set" for name, value in function["Environment"]["Variables"].items()}
    environment |= {"AWS_LAMBDA_FUNCTION_NAME": "mirror", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    code = f"""
import sys
sys.path[:0] = {paths}
from functions.mirror import handler
print(handler.mirror_store.cache_info().currsize, handler.object_store.store.cache_info().currsize, handler.mirror_store().address("a b"))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.split() == ["1", "1", "s3://copies-of-mine/a/b/a%20b"], done.stderr
