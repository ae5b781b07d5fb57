"""A page of a list. It goes on behind an id, so that what is added at the front meanwhile moves nothing."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.fake_openai.answers import refusal


def page(items: Sequence[dict[str, Any]], request: Request, *, usual: int, most: int) -> Response:
    """What follows `after`, at most `limit`."""
    after, asked = request.query_params.get("after"), request.query_params.get("limit", str(usual))
    if not asked.isdecimal() or not 1 <= int(asked) <= most:
        return refusal(f"Invalid 'limit': must be 1 to {most}.", "invalid_value", "limit")
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        return refusal(f"Invalid 'after': '{after}' is not in the list.", "invalid_value", "after")
    start = ids.index(after) + 1 if after is not None else 0
    data = list(items[start : start + int(asked)])
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return JSONResponse({"object": "list", "data": data, **ends, "has_more": start + len(data) < len(items)})
