"""Gaps: API destinations cannot be deployed, and a delivery that fails is dropped.

- CloudFormation does not know connections and API destinations.
- EventBridge does not retry a failed delivery to an API destination, and ignores the target's
  dead-letter queue.

AWS retries errors 401, 407, 409, 429 and 5xx and broken connections for up to 24 hours or 185
times, with longer and longer waits. It sends other errors, and what is left then, to the queue:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html

`SFN_WAIT_SCALE`, which shortens the waits of executions, shortens these waits and the event's age
as well.
"""

import contextvars
import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners

from local.ministack.edits import PatchError, edit

CONNECTION, DESTINATION = "AWS::Events::Connection", "AWS::Events::ApiDestination"
FIRST_WAIT, LONGEST_WAIT = 1.0, 900.0  # seconds
MOST_RETRIES, MAX_AGE = 185, 86_400
RETRYABLE = (401, 407, 409, 429)
_MAX_NAME = 64

_TARGET = '{**target, "HttpParameters": http_parameters})'
_TARGET_WITH_EVENT = (
    '{**target, "HttpParameters": http_parameters, "easel_event": view.event_with_detail()})'
)
_DELIVERY = "        target=_deliver_to_api_destination,\n"
_EASEL_DELIVERY = "        target=_easel_delivery(target),\n"

_log = logging.getLogger("easel.eventbridge")


def apply() -> None:
    """Close the gaps. Raise PatchError if CloudFormation knows these resources."""
    handlers = provisioners._RESOURCE_HANDLERS
    for kind, noun in ((CONNECTION, "connection"), (DESTINATION, "api_destination")):
        if kind in handlers:
            raise PatchError(kind, "is known")
        handlers[kind] = _handlers(kind, noun)
    edit(eventbridge, "_invoke_target", [(_TARGET, _TARGET_WITH_EVENT)])
    edit(
        eventbridge,
        "_dispatch_to_api_destination",
        [(_DELIVERY, _EASEL_DELIVERY)],
        _easel_delivery=_delivery,
    )


def _handlers(kind: str, noun: str) -> dict[str, Any]:
    """Return CloudFormation's handlers of a resource, made from the service's own actions."""
    name_of = provisioners._physical_name

    def call(action: str, **data: Any) -> dict[str, Any]:
        status, _, body = getattr(eventbridge, f"_{action}_{noun}")(data)
        if status >= 400:
            raise ValueError(f"{kind}: {body!r}")
        return dict(json.loads(body))

    def attributes(answer: dict[str, Any]) -> dict[str, Any]:
        (arn,) = (answer[key] for key in ("ConnectionArn", "ApiDestinationArn") if key in answer)
        return {"Arn": arn}

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        name = properties.get("Name") or name_of(stack, logical_id, max_len=_MAX_NAME)
        return name, attributes(call("create", **properties | {"Name": name}))

    def update(name: str, _old: Any, properties: dict[str, Any], *_: Any) -> Any:
        return name, attributes(call("update", **properties | {"Name": name}))

    def delete(name: str, _properties: Any) -> None:
        call("delete", Name=name)

    return {"create": create, "update": update, "delete": delete}


def _delivery(target: dict[str, Any]) -> Callable[..., None]:
    """Return what delivers to an API destination and then retries, in a thread of its own."""
    context = contextvars.copy_context()
    return lambda *request: context.run(_deliver, target, *request)


def _deliver(
    target: dict[str, Any], name: str, request: dict[str, Any], connection: Any, *token_key: Any
) -> None:
    policy = target.get("RetryPolicy") or {}
    retries = int(policy.get("MaximumRetryAttempts", MOST_RETRIES))
    age = float(policy.get("MaximumEventAgeInSeconds", MAX_AGE)) * _scale()
    started = time.monotonic()
    attempt, wait = 0, FIRST_WAIT
    while True:
        error = _send(request, connection, *token_key)
        if error is None:
            _log.info("%s delivered after %d retries", name, attempt)
            return
        may_pass = error in ("TIMEOUT", *map(str, RETRYABLE)) or error.startswith("5")
        is_late = time.monotonic() - started + wait * _scale() > age
        if attempt >= retries or is_late or not may_pass:
            _give_up(target, error=error, attempts=attempt)
            return
        time.sleep(wait * _scale())
        attempt, wait = attempt + 1, min(2 * wait, LONGEST_WAIT)


def _send(request: dict[str, Any], connection: Any, *token_key: Any) -> str | None:
    """Send the request once. Return None, or the error: its status, or a broken connection."""
    try:
        headers = eventbridge._connection_auth_headers(connection, *token_key)
        status = eventbridge._api_destination_send_sync(request, headers)
    except OSError as error:
        _log.warning("%s: %s", request["url"], error)
        return "TIMEOUT"
    return None if 200 <= status < 300 else str(status)


def _give_up(target: dict[str, Any], *, error: str, attempts: int) -> None:
    """Put the event into the target's queue, as it was before the target's input."""
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    _log.warning("not delivered to %s: %s, %d retries", target["Arn"], error, attempts)
    if queue:
        eventbridge._dispatch_to_sqs(parse_arn(queue), json.dumps(target["easel_event"]))


def _scale() -> float:
    return float(os.environ.get("SFN_WAIT_SCALE", "1"))
