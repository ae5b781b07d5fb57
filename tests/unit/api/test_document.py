"""The API's description: committed as generated, complete, and with the gateway's routes."""

import json

from easel.contract.errors import EaselError, leaves
from easel.request import request
from functions.api import handler, openapi, request_bodies
from functions.api.routes import DATA
from infra import ROOT


def test_committed_copy_is_up_to_date() -> None:
    """`make openapi` writes the committed copy."""
    assert json.loads((ROOT / "docs" / "openapi.json").read_text()) == openapi.describe(
        handler.RESOLVER
    )


def test_document_has_gateway_routes_and_scopes() -> None:
    described = openapi.describe(handler.RESOLVER)["paths"]
    routes = {
        (method.upper(), path, operation["security"][0]["token"][0])
        for path, operations in described.items()
        for method, operation in operations.items()
    }
    assert routes == set(DATA)


def test_every_field_of_a_run_is_described() -> None:
    elsewhere = {"action", "request_id", "image_key", "confirm", "purge", "safety_identifier"}
    elsewhere |= {"person", "trigger", "image_ids", "to_folder", "edited_prompt"}
    assert set(request_bodies.request_schema()["properties"]) == set(request.FIELDS) - elsewhere


def test_every_error_has_advice() -> None:
    from functions.api.problems import BY_NAME

    assert {error.__name__ for error in leaves(EaselError)} <= set(BY_NAME)
