"""Users and tokens on the command line."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cli import sign_in
from cli.target import Target
from tests.support.api_caller import target
from tests.support.command_line import easel
from tests.support.local_stack import LocalStack, free_port


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return payload


def test_user_gets_temporary_password_only_once(aws: LocalStack, tmp_path: Path) -> None:
    added = easel(aws, tmp_path, "user", "ada@example.org")
    assert added.returncode == 0, added.stderr
    assert "temporary password" in added.stdout

    pool = target(aws).output("UserPoolId")
    user = aws.client("cognito-idp").admin_get_user(UserPoolId=pool, Username="ada@example.org")
    assert user["UserStatus"] == "FORCE_CHANGE_PASSWORD"

    cognito = aws.client("cognito-idp")

    def groups() -> list[str]:
        answer = cognito.admin_list_groups_for_user(UserPoolId=pool, Username="ada@example.org")
        return [group["GroupName"] for group in answer["Groups"]]

    assert groups() == ["easel-make"]
    second = easel(aws, tmp_path, "user", "ada@example.org", "--role", "administer")
    assert (second.returncode, second.stdout) == (
        0,
        "ada@example.org now has the role 'administer', from their next sign-in on\n",
    )
    assert groups() == ["easel-administer"]


@pytest.mark.parametrize("email", ["", "ada", "ada@", "a da@example.org", "ada@example"])
def test_invalid_address_is_refused(aws: LocalStack, tmp_path: Path, email: str) -> None:
    refused = easel(aws, tmp_path, "user", email)
    assert refused.returncode == 2
    assert "is not an email address" in refused.stderr


@pytest.mark.parametrize(
    ("words", "scopes"),
    [
        ((), {"easel/read", "easel/write", "easel/schedule", "easel/admin"}),
        (("--scope", "read"), {"easel/read"}),
        (("--scope", "write"), {"easel/write"}),
    ],
    ids=["both", "read", "write"],
)
def test_token_command_prints_only_the_token(
    aws: LocalStack, tmp_path: Path, words: tuple[str, ...], scopes: set[str]
) -> None:
    result = easel(aws, tmp_path, "token", *words)
    assert result.returncode == 0, result.stderr
    (token,) = result.stdout.split()
    payload = claims(token)
    assert set(payload["scope"].split()) == scopes

    stack = target(aws)
    client = {
        "UserPoolId": stack.output("UserPoolId"),
        "ClientId": stack.output("ProgramClientId"),
    }
    secret = aws.client("cognito-idp").describe_user_pool_client(**client)["UserPoolClient"][
        "ClientSecret"
    ]
    assert payload["client_id"] == client["ClientId"]
    assert secret not in result.stdout + result.stderr


def test_unknown_scope_is_refused(aws: LocalStack, tmp_path: Path) -> None:
    assert easel(aws, tmp_path, "token", "--scope", "delete").returncode == 2


def test_missing_sign_in_is_reported_in_one_line(aws: LocalStack, tmp_path: Path) -> None:
    result = easel(aws, tmp_path, "token", endpoint=f"http://127.0.0.1:{free_port()}")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


def test_cognito_mails_the_password_on_aws() -> None:
    calls: list[dict[str, Any]] = []

    class Cognito:
        class exceptions:  # noqa: N801 - boto3's own name
            UsernameExistsException = InvalidParameterException = ZeroDivisionError
            GroupExistsException = ZeroDivisionError

        def admin_create_user(self, **call: Any) -> None:
            calls.append(call)

        def create_group(self, **_: Any) -> None: ...

        def admin_add_user_to_group(self, **_: Any) -> None: ...

        def admin_list_groups_for_user(self, **_: Any) -> Any:
            return {"Groups": []}

    class Deployed(Target):
        def client(self, service: str) -> Any:
            assert service == "cognito-idp"
            return Cognito()

        def output(self, name: str) -> str:
            return name

    there = Deployed(
        endpoint=None, region="ap-southeast-1", bucket="", table="", state_machine_arn=""
    )
    assert sign_in.add_user(there, "ada@example.org", "make") == (True, None)

    (call,) = calls
    assert call["DesiredDeliveryMediums"] == ["EMAIL"]
    assert not {"TemporaryPassword", "MessageAction"} & set(call)
