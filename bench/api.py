"""Call the API's code in this process."""

from datetime import UTC, datetime, timedelta
from typing import Any

from functions.api import handler
from functions.api.links import READ_SECONDS, ImageLinks, Signer, SigningConfig
from tests.support.api import route_key


class KnownSession:
    """An STS with the credentials of a session. Only the function itself may assume the role."""

    def assume_role(self, **_: Any) -> dict[str, Any]:
        """Return credentials for links that nobody opens."""
        ends = datetime.now(UTC) + timedelta(hours=1)
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        return {"Credentials": dict.fromkeys(names, "bench") | {"Expiration": ends}}


def image_links(bucket: str, region: str) -> ImageLinks:
    """Return the API's signer of links, with a session that needs no AWS."""
    signing = SigningConfig(role="", session="links", bucket=bucket, region=region)
    return ImageLinks(Signer(KnownSession(), signing, seconds=READ_SECONDS))


def event(path: str, query: dict[str, str], method: str = "GET") -> dict[str, Any]:
    """Return the event of a request, as API Gateway sends it."""
    return {
        "version": "2.0",
        "routeKey": route_key(method, path),
        "rawPath": path,
        "headers": {},
        "queryStringParameters": query,
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
    }


def answer(services: Any, event: dict[str, Any]) -> dict[str, Any]:
    """Return the response of the API's code to an event."""
    nothing: Any = None  # the handler does not use the context
    return handler.answer(event, nothing, resolver=handler.RESOLVER, services=services)


def request(services: Any, path: str, query: dict[str, str], method: str = "GET") -> dict[str, Any]:
    """Send a request to the API's code, and return its response. Raise SystemExit if it fails."""
    response = answer(services, event(path, query, method))
    if response["statusCode"] >= 400:
        raise SystemExit(f"{method} {path} failed: {response['body'][:300]}")
    return response
