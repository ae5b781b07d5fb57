"""The protocol of CloudFormation's custom resources."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

RESPONSE_SECONDS = 20


def answer(event: dict[str, Any], act: Callable[[], dict[str, Any]], *, physical_id: str) -> None:
    """Do what CloudFormation asks for, and answer at the URL in the event, even after an error.

    `act` returns the resource's attributes. Without an answer, CloudFormation would wait until the
    resource times out.
    """
    response: dict[str, Any] = {"Status": "SUCCESS"}
    try:
        response["Data"] = act()
    except Exception as error:  # CloudFormation needs an answer even after a bug
        response = {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
    response["PhysicalResourceId"] = physical_id
    response |= {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own
        event["ResponseURL"],
        data=json.dumps(response).encode(),
        method="PUT",
        headers={"Content-Type": ""},
    )
    urllib.request.urlopen(request, timeout=RESPONSE_SECONDS).close()  # noqa: S310 - as above
