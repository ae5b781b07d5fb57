"""A program that may do all that the API can."""

import pytest

from tests.support.api_caller import Caller, machine
from tests.support.local_stack import LocalStack


@pytest.fixture
def caller(aws: LocalStack) -> Caller:
    return machine(aws)
