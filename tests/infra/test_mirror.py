"""Promises of the mirror: it exists only if the setting names a store, and it only copies."""

import json

import pytest

from easel.contract import settings
from easel.contract.errors import ClaimHeldError, RetryableError, leaves
from easel.contract.settings import MirrorSettings, StorageSettings
from infra.functions import layers
from infra.functions.layers import MIRROR_NAMES, NAMES
from infra.workflows.machine import SERVICE_ERRORS, THROTTLED
from local.deploy import zip_folder
from tests.support.template import (
    BATCHES,
    EVERY_FUNCTION,
    RUNS,
    Synth,
    Template,
    as_on_lambda,
    in_asset,
)

MIRROR = "mirror=s3://copies-of-mine/a/b"
READS = {
    ("secretsmanager:GetSecretValue", "secret"),
    ("s3:GetObject", "bucket/*"),
    ("s3:ListBucket", "bucket"),
    ("dynamodb:UpdateItem", "table"),
    ("dynamodb:GetItem", "table"),
}
TASKS = {RUNS: {"Mirror the image"}, BATCHES: {"Mirror the image", "Mirror the staged image"}}


@pytest.fixture
def mirror_template(synth: Synth) -> Template:
    return synth(MIRROR)


def test_no_setting_means_no_mirror(template: Template) -> None:
    text = json.dumps(template.body)
    assert "mirror" not in text.lower()
    assert len(template.of("AWS::SecretsManager::Secret")) == 1
    assert len(template.of("AWS::Lambda::LayerVersion")) == len(NAMES)


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_stored_images_are_mirrored_without_catching_failures(
    template: Template, mirror_template: Template, machine: str
) -> None:
    before, tasks = template.tasks(machine), mirror_template.tasks(machine)
    assert set(tasks) - set(before) == TASKS[machine]

    retryable = {
        error.__name__ for error in leaves(RetryableError) if error is not ClaimHeldError
    } | {*SERVICE_ERRORS, THROTTLED}
    for name in TASKS[machine]:
        assert {
            error for rule in tasks[name]["Retry"] for error in rule["ErrorEquals"]
        } == retryable
        assert "Catch" not in tasks[name]
        assert tasks[name]["End"] is True
    assert "Next" not in tasks["Store the image"]
    if machine == BATCHES:
        assert tasks["Store the staged image"]["Next"] == "Mirror the staged image"


def test_mirror_outage_blocks_no_image(mirror_template: Template) -> None:
    states = mirror_template.machine()["States"]
    assert states["For each variation"]["Next"] == "For each stored image"
    assert set(states["For each stored image"]["ItemProcessor"]["States"]) == {"Mirror the image"}
    assert states["For each stored image"]["Next"] == "Clean up and report"


def test_mirror_reads_images_and_writes_its_prefix(synth: Synth, mirror_template: Template) -> None:
    copies = "arn:AWS::Partition:s3:::copies-of-mine/a/b/*"
    writes = {("s3:PutObject", copies), ("s3:GetObject", copies)}
    assert mirror_template.rights(mirror_template.role("mirror")) == EVERY_FUNCTION | READS | writes

    elsewhere = synth("layers=false", "mirror=gs://copies-of-mine")
    assert elsewhere.rights(elsewhere.role("mirror")) == EVERY_FUNCTION | READS


def test_only_mirror_knows_its_store_and_secret(
    template: Template, mirror_template: Template
) -> None:
    environment = mirror_template.environment("mirror")
    expected = {*StorageSettings.variables(), *MirrorSettings.variables()}
    assert set(environment) == expected
    assert environment[settings.MIRROR] == MIRROR.removeprefix("mirror=")

    secrets = mirror_template.of("AWS::SecretsManager::Secret")
    secret = secrets[environment[settings.MIRROR_SECRET]["Ref"]]["Properties"]
    assert not {"SecretString", "GenerateSecretString"} & set(secret)
    assert (
        mirror_template.body["Outputs"]["MirrorSecret"]["Value"]
        == environment[settings.MIRROR_SECRET]
    )

    for step in ("batch", "economy"):
        known, before = mirror_template.environment(step), template.environment(step)
        assert set(known) - set(before) == {settings.MIRROR}
    for step in ("upload", "cleanup"):
        assert set(mirror_template.environment(step)) == set(template.environment(step))
        assert mirror_template.rights(mirror_template.role(step)) == template.rights(
            template.role(step)
        )


def test_handler_loads_neither_openai_nor_pillow(mirror_template: Template) -> None:
    code = "import functions.mirror.handler; print('openai' in sys.modules, 'PIL' in sys.modules)"
    assert in_asset(mirror_template.asset("mirror"), code).stdout.split() == ["False", "False"]


def test_mirror_layer_is_separate_and_small(mirror_template: Template) -> None:
    handlers = [
        function["Properties"]["Handler"]
        for function in mirror_template.of("AWS::Lambda::Function").values()
    ]
    names = {handler.split(".")[1] for handler in handlers if handler.startswith("functions.")}
    used = {name: mirror_template.layers(name) for name in names}
    assert {layer for layers in used.values() for layer in layers} == set(MIRROR_NAMES)
    assert {name for name, layers in used.items() if "obstore" in layers} == {"mirror"}

    built = layers.build("obstore")
    (library,) = built.rglob("*.so")
    assert library.read_bytes()[18:20] == b"\xb7\x00"
    assert len(zip_folder(built)) <= 8_000_000


def test_mirror_starts_from_asset_and_layers_alone(mirror_template: Template) -> None:
    code = """
from easel.services import SERVICES
from functions.mirror import handler
print(handler.mirror_store.cache_info().currsize, "ledger" in vars(SERVICES))
print(handler.mirror_store().address("a b"))
"""
    output = as_on_lambda(mirror_template, "mirror", code).split()
    assert output == ["1", "True", "s3://copies-of-mine/a/b/a%20b"]
