"""The user of the local stack, so that the page can be opened at once."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.sign_in import random_password

EMAIL = "you@easel.example"


@dataclass(frozen=True, kw_only=True)
class User:
    """Who can sign in."""

    email: str
    password: str


def ready(cognito: Any, pool: str, *, kept: Path) -> User:
    """The user; the password is kept in a file beside the stack's data, which lives as long as they do."""
    if not kept.is_file():
        kept.touch(mode=0o600)
        kept.write_text(random_password())
    user = User(email=EMAIL, password=kept.read_text())
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):
        attributes = [{"Name": "email", "Value": user.email}, {"Name": "email_verified", "Value": "true"}]
        cognito.admin_create_user(UserPoolId=pool, Username=user.email, UserAttributes=attributes, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username=user.email, Password=user.password, Permanent=True)
    return user
