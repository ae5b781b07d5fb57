"""Expiry of the claims of killed functions.

A lease lasts as long as a function may run, which is too long for a test to wait.
"""

import re
from collections.abc import Callable

from tests.faults.faulty_stack import Storm
from tests.faults.proxy import Call

_CLAIMED = re.compile(r"(?:Put|Update) (run#(\S+) (?:image#\d+|chat)),")


def run_out_after_kills(storm: Storm) -> None:
    """Release the last claim of each killed function, until `forget` is called.

    Others can then claim it immediately, as they could minutes later otherwise.
    """
    storm.aws_faults.on_kill = storm.openai_faults.on_kill = _run_out(storm)


def _run_out(storm: Storm) -> Callable[[Call], None]:
    def run_out(killed: Call) -> None:
        storm.let_places_run_out()
        claims = [
            found
            for call in storm.calls()
            if call.pid == killed.pid
            and call.operation == "TransactWriteItems"
            and (found := _CLAIMED.match(call.target))
        ]
        if claims:
            record, run_id = claims[-1].groups()
            storm.let_leases_run_out(run_id, sk=record.rpartition(" ")[2])

    return run_out
