"""The user of the local stack, so that the page can be opened at once."""

import contextlib
from dataclasses import dataclass
from typing import Any

from operate.sign_in import random_password

EMAIL = "you@easel.example"


@dataclass(frozen=True, kw_only=True)
class User:
    """Who can sign in."""

    email: str
    password: str


def ready(cognito: Any, pool: str, *, password: str | None) -> User:
    """The user, with this password, or a new one where there is none to keep."""
    user = User(email=EMAIL, password=password or random_password())
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):
        attributes = [{"Name": "email", "Value": user.email}, {"Name": "email_verified", "Value": "true"}]
        cognito.admin_create_user(UserPoolId=pool, Username=user.email, UserAttributes=attributes, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username=user.email, Password=user.password, Permanent=True)
    return user
