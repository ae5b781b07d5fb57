"""The API answers every request as its description says.

schemathesis derives thousands of requests from the description.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from easel.aws.table import Table
from easel.ledger.budget import Budget, month_of
from local.deploy import ROOT
from tests.support.api_caller import Caller
from tests.support.local_stack import LocalStack

CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
)
schema = schemathesis.openapi.from_dict(json.loads((ROOT / "docs" / "openapi.json").read_text()))


@pytest.fixture
def poor(aws: LocalStack) -> Iterator[LocalStack]:
    """Yield a stack whose budget is used up, so that each run ends before anything is bought."""
    budget, month = (
        Budget(Table(aws.dynamodb, name=aws.outputs["table"]), setting=25_000_000),
        month_of(datetime.now(UTC)),
    )
    budget.set_cap(month, 0)
    yield aws
    budget.set_cap(month, 25_000_000)


@schema.parametrize()
@settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
def test_responses_match_the_api_description(
    case: schemathesis.Case[Any], poor: LocalStack, caller: Caller
) -> None:
    sent = {"Authorization": f"Bearer {caller.token}"}
    case.call_and_validate(
        base_url=poor.outputs["api_url"].rstrip("/"), headers=sent, checks=list(CHECKS)
    )
