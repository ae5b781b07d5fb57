"""Time for the claims of killed functions.

A lease lasts as long as a function may, which no test can wait for.
"""

import re
from collections.abc import Callable

from tests.faults.faulty_stack import Storm
from tests.faults.proxy import Call

_CLAIMED = re.compile(r"(?:Put|Update) (run#(\S+) (?:image#\d+|chat)),")


def run_out_after_kills(storm: Storm) -> None:
    """From now on until `forget`, what a killed function had claimed last is free for others, as
    it would be minutes later.
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
