"""Checks of how people and programs reach the stack: users, the API, the page, tokens."""

import json
from http import HTTPStatus
from urllib.parse import urlsplit

from cli.doctor import web
from cli.doctor.deployment import Deployment
from cli.doctor.finding import Finding, NotCheckedError, ok, problem, warning
from functions.api import routes

PAGE = "PageClientId"
FAILING = "docs/operations.md#apifailing"
LOOPBACK = ("127.0.0.1", "localhost")


def users(deployment: Deployment) -> Finding:
    """Check that someone can sign in to the page."""
    if PAGE not in deployment.outputs:
        return ok("the page is off, so nobody needs to sign in")
    pool = deployment.output("UserPoolId")
    if deployment.client("cognito-idp").list_users(UserPoolId=pool, Limit=1)["Users"]:
        return ok("there is at least one user")
    return warning(
        "nobody can sign in to the page", f"make user EMAIL=… TARGET={deployment.target}"
    )


def api(deployment: Deployment) -> Finding:
    """Check that the API answers over TLS with its description."""
    url = deployment.output("ApiUrl")
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        return problem(f"{url} is not encrypted", "set the stack's parameter PageUrl to https://…")
    (path, *_) = (path for _, path in routes.DESCRIPTION)
    answer = web.fetch(_address(url, path))
    if answer.status != HTTPStatus.OK:
        return problem(f"{path} answers {answer.status}", FAILING)
    try:
        paths = json.loads(answer.body)["paths"]
    except (ValueError, KeyError):
        return problem(f"{url} answers, but not as Easel", "check the stack's parameter PageUrl")
    return ok(f"{url} answers, with {len(paths)} paths")


def page(deployment: Deployment) -> Finding:
    """Check that the page opens, if it is deployed."""
    if PAGE not in deployment.outputs:
        return ok(f"off; {deployment.deploy('public_page=true')} adds it")
    url = deployment.output("ApiUrl")
    answer = web.fetch(url)
    kind = answer.headers.get("Content-Type", "")
    if answer.status == HTTPStatus.OK and kind.startswith("text/html"):
        return ok(f"{url} opens")
    return problem(f"{url} answers {answer.status} {kind}".rstrip(), FAILING)


def tokens(deployment: Deployment) -> Finding:
    """Check that data is refused without a token."""
    path = next(path for method, path, _ in routes.DATA if method == "GET" and "{" not in path)
    answer = web.fetch(_address(deployment.output("ApiUrl"), path))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return ok(f"{path} without a token is refused")
    if answer.status == HTTPStatus.OK:
        return problem(
            f"{path} answers without a token",
            "attach the authorizer to the route again, in the API Gateway console",
        )
    raise NotCheckedError(f"{path} without a token answers {answer.status}")


def _address(url: str, path: str) -> str:
    """Return the address of a route. The API's own address ends in a slash."""
    return url + path.removeprefix("/")
