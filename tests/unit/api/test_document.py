"""The API's description.

Committed as it is generated, complete, and of the same routes as the gateway's.
"""

import json

from easel.contract.errors import EaselError, leaves
from easel.request import request
from functions.api import handler, openapi
from functions.api.routes import DATA
from infra import ROOT


def test_the_committed_copy_is_what_is_generated() -> None:
    """`make openapi` writes it."""
    assert json.loads((ROOT / "docs" / "openapi.json").read_text()) == openapi.describe(
        handler.RESOLVER
    )


def test_has_just_the_gateway_s_routes_each_with_its_scope() -> None:
    described = openapi.describe(handler.RESOLVER)["paths"]
    routes = {
        (method.upper(), path, operation["security"][0]["token"][0])
        for path, operations in described.items()
        for method, operation in operations.items()
    }
    assert routes == set(DATA)


def test_describes_every_field_that_a_run_takes() -> None:
    elsewhere = {"action", "request_id", "image_key", "confirm", "purge", "safety_identifier"}
    assert set(openapi.request_schema()["properties"]) == set(request.FIELDS) - elsewhere


def test_has_advice_for_every_error_of_the_tree() -> None:
    from functions.api.problems import BY_NAME

    assert {error.__name__ for error in leaves(EaselError)} <= set(BY_NAME)
