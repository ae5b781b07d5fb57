"""The template has what `easel doctor` looks for."""

import tomllib

import pytest

from cli.doctor import access, operations, stack
from infra import ROOT
from tests.support.template import ELSEWHERE, EVERYTHING, EXISTING, Synth


@pytest.mark.parametrize("shape", [(), EVERYTHING, EXISTING, ELSEWHERE], ids="+".join)
def test_every_shape_has_the_expected_outputs(synth: Synth, shape: tuple[str, ...]) -> None:
    outputs = synth(*shape).body["Outputs"].keys()

    assert outputs >= stack.ALWAYS
    assert len(outputs & {stack.KEY, stack.IDENTITY}) == 1
    assert (access.PAGE in outputs) == ("public_page=true" in shape)


def test_version_output_is_the_project_version(synth: Synth) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert synth().body["Outputs"]["Version"]["Value"] == project["version"]


def test_each_queue_leads_to_its_alarm(synth: Synth) -> None:
    template = synth(*EVERYTHING)
    of_queue = {
        dimension["Value"]["Fn::GetAtt"][0]: alarm["Properties"]["AlarmName"]
        for alarm in template.of("AWS::CloudWatch::Alarm").values()
        for dimension in alarm["Properties"].get("Dimensions", [])
        if dimension["Name"] == "QueueName"
    }

    for queue, alarm in of_queue.items():
        (name,) = (name for start, name in operations.QUEUES.items() if queue.startswith(start))
        assert alarm == f"{operations.PREFIX}{name}"
    assert len(of_queue) == len(operations.QUEUES)


def test_models_and_limits_are_in_the_read_functions(synth: Synth) -> None:
    template = synth()

    assert {"EASEL_CHAT_MODEL", "EASEL_IMAGE_MODEL", "EASEL_UNPRICED_MODELS"} <= (
        template.environment("prompt").keys()
    )
    assert "EASEL_MAX_PARALLEL_IMAGES" in template.environment("image")
