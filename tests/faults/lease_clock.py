"""Expiry of the claims of killed functions.

A lease lasts as long as a function may run, which is too long for a test to wait.
"""

import re
from collections.abc import Callable
from http import HTTPStatus

from tests.faults.faulty_stack import FaultyStack
from tests.faults.proxy import Call

_CLAIMED = re.compile(r"(?:Put|Update) (run#(\S+) (?:image#\d+|chat)),")


def run_out_after_kills(stack: FaultyStack) -> None:
    """Release the last claim of each killed function, until `forget` is called.

    Others can then claim it immediately, as they could minutes later otherwise.
    """
    stack.aws_faults.on_kill = stack.openai_faults.on_kill = _run_out(stack)


def _run_out(stack: FaultyStack) -> Callable[[Call], None]:
    def run_out(killed: Call) -> None:
        if "Economy" in killed.function:
            # The claims of an order last for its day. Only the order is locked by the function.
            stack.let_order_locks_run_out(killed=killed.pid)
            return
        stack.let_places_run_out()
        claims = [
            match
            for call in stack.calls()
            if call.pid == killed.pid
            and call.operation == "TransactWriteItems"
            and call.status == HTTPStatus.OK
            and (match := _CLAIMED.match(call.target))
        ]
        if claims:
            record, run_id = claims[-1].groups()
            stack.let_leases_run_out(run_id, sk=record.rpartition(" ")[2])

    return run_out
