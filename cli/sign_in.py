"""Who may use the API: users of the page, and tokens for programs."""

import base64
import json
import secrets
import string
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPMethod
from typing import Any

from functions.api import routes
from cli.target import Target

SCOPES = {"read": routes.READ, "write": routes.WRITE}
TOKEN_SECONDS = 20
# One of each kind, as the user pool demands, and enough that stand for chance.
_ALWAYS = "Aa1-"
_RANDOM_LETTERS = 20


class SignInError(RuntimeError):
    """The sign-in refused; the message says why."""


def add_user(target: Target, email: str) -> str | None:
    """Add a user, who chooses a password at the first sign-in; gives the temporary one where no mail goes out, as on this machine."""
    pool, cognito = target.output("UserPoolId"), target.client("cognito-idp")
    password = random_password() if target.endpoint else None
    by_hand = {"TemporaryPassword": password, "MessageAction": "SUPPRESS"} if password else {"DesiredDeliveryMediums": ["EMAIL"]}
    attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
    try:
        cognito.admin_create_user(UserPoolId=pool, Username=email, UserAttributes=attributes, **by_hand)
    except cognito.exceptions.UsernameExistsException:
        raise SignInError(f"{email} is a user already") from None
    except cognito.exceptions.InvalidParameterException as error:
        raise SignInError(f"{email} can't be a user: {error.response['Error']['Message']}") from error
    return password


def token(target: Target, scope: str | None) -> str:
    """An access token for a program, valid for an hour; `read` or `write` asks for that scope alone."""
    pool, client = target.output("UserPoolId"), target.output("MachineClientId")
    described = target.client("cognito-idp").describe_user_pool_client(UserPoolId=pool, ClientId=client)["UserPoolClient"]
    credentials = base64.b64encode(f"{client}:{described['ClientSecret']}".encode()).decode()
    wanted = {"grant_type": "client_credentials"} | ({"scope": SCOPES[scope]} if scope else {})
    # On this machine the sign-in is at the emulator.
    sign_in = target.endpoint or target.output("SignInUrl")
    request = urllib.request.Request(  # noqa: S310 - the stack's own address
        f"{sign_in}/oauth2/token",
        method=HTTPMethod.POST,
        data=urllib.parse.urlencode(wanted).encode(),
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TOKEN_SECONDS) as answer:  # noqa: S310 - as above
            said: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise SignInError(f"the sign-in at {sign_in} gives no token: {error}") from error
    except OSError as error:
        raise SignInError(f"the sign-in at {sign_in} can't be reached: {error}") from error
    return str(said["access_token"])


def random_password() -> str:
    """A password of chance that the user pool takes."""
    return _ALWAYS + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_RANDOM_LETTERS))
