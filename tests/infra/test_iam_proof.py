"""Proof of what the policies allow and refuse, for calls that the emulator does not check.

AWS makes most of these calls itself: Step Functions and EventBridge with their roles, and other
services by the policies of queues, topic, buckets and key. The emulator's evaluator decides them.
"""

from collections.abc import Callable

import pytest

from tests.infra.expected_calls import (
    BATCHES_MACHINE,
    CHAT,
    EMPTIER,
    EVENTS,
    GATEWAY,
    INBOX,
    LAMBDA,
    MAIL,
    READER,
    RUNS_MACHINE,
    SCHEDULE,
    SCHEDULER,
    SCHEDULES,
    SHOP,
    STATES,
    SUBJECTS,
    THEIR_PLACE,
    UPLOADER,
    Expected,
    source,
)
from tests.infra.expected_key_calls import KEY_SUBJECTS
from tests.support.policies import (
    ADMINISTRATOR,
    OTHER_ACCOUNT,
    STRANGER,
    Account,
    Call,
    Context,
    Value,
    is_met,
)
from tests.support.template import ALL_SHAPES, FUNCTIONS, Synth

AccountOf = Callable[[tuple[str, ...]], Account]
ALL_SUBJECTS = SUBJECTS | KEY_SUBJECTS
# The emulator runs these functions with their roles, so it decides on their calls.
ON_EMULATOR = (*FUNCTIONS, "mirror", "adoption", "site")
# The only caller that may assume each role.
TRUSTED = dict.fromkeys((*ON_EMULATOR, EMPTIER), LAMBDA) | {
    RUNS_MACHINE: STATES,
    BATCHES_MACHINE: STATES,
    SCHEDULE: EVENTS,
    SCHEDULES: SCHEDULER,
    INBOX: EVENTS,
    SHOP: EVENTS,
    CHAT: EVENTS,
    MAIL: EVENTS,
    READER: "api",
    UPLOADER: "api",
}
SCHEDULE_GROUP = "arn:aws:scheduler:{here}:schedule-group/Easel"
OTHER_MACHINES: tuple[Context, ...] = (
    {},
    source("{runs}", OTHER_ACCOUNT),
    source(f"arn:aws:states:{THEIR_PLACE}:stateMachine:x"),
    source("{inbox_rule}"),
)
# For each operator in a policy: the policy's value, a value of the request that meets it, and one
# that does not. A request without the key meets only the operators in MET_WITHOUT_KEY.
OPERATORS: dict[str, tuple[Value, Value, Value]] = {
    "StringEquals": (["a", "b"], "b", "B"),
    "StringLike": ("arn:aws:states:*", "arn:aws:states:x:y", "arn:aws:logs:x"),
    "ArnEquals": ("arn:aws:events:r:a:rule/x", "arn:aws:events:r:a:rule/x", "arn:aws:events:r:a:x"),
    "ArnLike": ("arn:aws:logs:r:a:*", "arn:aws:logs:r:a:log-group:x", "arn:aws:logs:r:b:x"),
    "Bool": ("false", "false", "true"),
    "NumericLessThan": ("1.2", "1.1", "1.2"),
    "NumericLessThanEquals": ("300", "300", "301"),
    "ForAllValues:StringEquals": ("easel", ["easel", "easel"], ["easel", "other"]),
    "ForAllValues:StringLike": ("budget*", ["budget#2026-01"], ["budget#2026-01", "run#1"]),
}
MET_WITHOUT_KEY = {"ForAllValues:StringEquals", "ForAllValues:StringLike"}


@pytest.fixture(scope="module")
def account_of(synth: Synth) -> AccountOf:
    """Return a function that returns the account of a template, once for each shape."""
    accounts: dict[tuple[str, ...], Account] = {}

    def make(shape: tuple[str, ...]) -> Account:
        if shape not in accounts:
            accounts[shape] = Account(synth(*shape))
        return accounts[shape]

    return make


@pytest.mark.parametrize("subject", ALL_SUBJECTS.values(), ids=ALL_SUBJECTS)
def test_policies_decide_as_expected(account_of: AccountOf, subject: Expected) -> None:
    account = account_of(subject.shape)

    refused = [str(call) for call in subject.allowed if not account.allows(call)]
    allowed = [str(call) for call in subject.refused if account.allows(call)]

    assert subject.allowed
    assert subject.refused
    assert refused == []
    assert allowed == []


@pytest.mark.parametrize("shape", ALL_SHAPES, ids=" ".join)
def test_only_expected_caller_assumes_each_role(
    account_of: AccountOf, shape: tuple[str, ...]
) -> None:
    account = account_of(shape)
    callers = [LAMBDA, STATES, EVENTS, GATEWAY, ADMINISTRATOR, STRANGER, *account.roles]
    contexts = dict.fromkeys(callers, source("{runs}")) | {SCHEDULER: source(SCHEDULE_GROUP)}

    trusted = {
        role: [
            caller
            for caller, context in contexts.items()
            if assumes(account, caller, role, context)
        ]
        for role in account.roles
    }

    assert trusted == {role: [TRUSTED[role]] for role in account.roles}


def test_step_functions_assumes_roles_only_for_us(account_of: AccountOf) -> None:
    account = account_of(())

    trusted = [
        (role, context)
        for role in (RUNS_MACHINE, BATCHES_MACHINE)
        for context in OTHER_MACHINES
        if assumes(account, STATES, role, context)
    ]

    assert trusted == []


def test_scheduler_assumes_its_role_only_for_us(account_of: AccountOf) -> None:
    account = account_of(())
    others = (*OTHER_MACHINES, source("{runs}"), source(SCHEDULE_GROUP, OTHER_ACCOUNT))

    assert not any(assumes(account, SCHEDULER, SCHEDULES, context) for context in others)


def assumes(account: Account, caller: str, role: str, context: Context) -> bool:
    """Return whether a caller may assume a role."""
    return account.allows(Call(caller, "sts:AssumeRole", account.arn(account.roles[role]), context))


def test_every_role_is_proven_or_emulated(account_of: AccountOf) -> None:
    roles = {role for shape in ALL_SHAPES for role in account_of(shape).roles}

    proven = {call.caller for subject in ALL_SUBJECTS.values() for call in subject.allowed}

    assert roles - proven - set(ON_EMULATOR) == set()
    assert roles == set(TRUSTED)


@pytest.mark.parametrize("operator", OPERATORS)
def test_evaluator_knows_the_operator(operator: str) -> None:
    expected, same, different = OPERATORS[operator]

    assert is_met(operator, expected, same)
    assert not is_met(operator, expected, different)
    assert is_met(operator, expected, None) == (operator in MET_WITHOUT_KEY)


def test_evaluator_knows_absent_keys() -> None:
    assert is_met("Null", "false", ["easel"])
    assert not is_met("Null", "false", None)


def test_evaluator_needs_sets_for_lists() -> None:
    assert not is_met("StringEquals", "easel", ["easel"])


def test_every_operator_in_use_is_checked(account_of: AccountOf) -> None:
    operators = {
        operator
        for shape in ALL_SHAPES
        for _, statement in account_of(shape).statements()
        for operator in statement.get("Condition", {})
    }

    assert operators == {*OPERATORS, "Null"}
