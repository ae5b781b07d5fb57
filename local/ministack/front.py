"""Gaps: whoever reaches the port may do everything.

- MiniStack answers every website with CORS `*`, so a page in the developer's browser may call it.
- It accepts the access keys `test` and twelve digits, any signature of its own key, and no key at
  all to list and create buckets.
- Functions' session keys can be computed from their names.
- Its own routes below `/_ministack/` reset the state, change settings and show code, without a key.
"""

import functools
import os
from types import ModuleType
from typing import Any

from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import sts

from local.ministack.cloudfront import served
from local.ministack.edits import edit, replace
from local.same_origin import App, Receive, Scope, Send, same_origin_only

# The process that starts the emulator waits for the first. The other has a secret in its path,
# which only the function of a custom resource knows.
OPEN_ROUTES = ("/_ministack/health", "/_ministack/cfn-response/")
ROUTES = ("/_ministack/", "/_localstack/")

_UNSALTED = 'f"{function_arn}:{role_arn}".encode()'
_SALTED = 'f"{function_arn}:{role_arn}:{_easel_secret()}".encode()'
_IAM_OR_NO_ROUTE = 'if authorization not in (None, "AWS_IAM"):'
_IAM = 'if iam_action == "execute-api:Invoke" and authorization != "AWS_IAM":'


def apply() -> None:
    """Check every key and signature."""
    for module in (iam_evaluator, sts):
        replace(module, "is_root_access_key", _only_the_own_key)
    # MiniStack does not check the signatures of these keys.
    replace(iam_evaluator, "_is_root_key", _no_key)
    secret = functools.partial(os.environ.__getitem__, "AWS_SECRET_ACCESS_KEY")
    edit(
        lambda_runtime,
        "execution_credentials",
        [(_UNSALTED, _SALTED)],
        _easel_secret=secret,
    )


def guard(module: ModuleType) -> None:
    """Put the check of websites and routes before the server in MiniStack's module `app`.

    The module reads the environment when it is imported, so this is not part of `apply`.
    """
    # A path without a route needs no key to be answered with 404.
    edit(module, "_enforce_execute_api", [(_IAM_OR_NO_ROUTE, _IAM)])
    replace(module, "app", lambda app: same_origin_only(_without_own_routes(served(app))))


def _without_own_routes(app: App) -> App:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        if path.startswith(ROUTES) and not path.startswith(OPEN_ROUTES):
            await _answer_not_found(send)
            return
        await app(scope, receive, send)

    return guarded


def _only_the_own_key(_original: Any) -> Any:
    def is_root_access_key(access_key_id: str) -> bool:
        return access_key_id == os.environ["AWS_ACCESS_KEY_ID"]

    return is_root_access_key


def _no_key(_original: Any) -> Any:
    return lambda _access_key_id: False


async def _answer_not_found(send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"there is no such route\n"})
