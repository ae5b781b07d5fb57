"""Cognito in the emulator: the style of the sign-in page."""

import json
from typing import Any

from botocore.exceptions import ClientError

from tests.support.emulator import CLOSED, Emulator, until


def deploy_style(emulator: Emulator) -> str:
    """Deploy a sign-in with a style, and return the stack's status or the error."""
    resources: dict[str, Any] = {
        "Pool": {"Type": "AWS::Cognito::UserPool", "Properties": {}},
        "Style": {
            "Type": "AWS::Cognito::ManagedLoginBranding",
            "Properties": {"UserPoolId": {"Ref": "Pool"}, "UseCognitoProvidedValues": True},
        },
    }
    cloudformation = emulator.client("cloudformation")

    def status() -> str:
        (stack,) = cloudformation.describe_stacks(StackName="styled")["Stacks"]
        return str(stack["StackStatus"])

    try:
        cloudformation.create_stack(
            StackName="styled", TemplateBody=json.dumps({"Resources": resources})
        )
    except ClientError as error:
        return str(error)
    until(lambda: not status().endswith("IN_PROGRESS"))
    return status()


def test_sign_in_page_accepts_a_style(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    assert "ManagedLoginBranding" in deploy_style(plain_emulator), CLOSED
    assert deploy_style(patched_emulator) == "CREATE_COMPLETE"
