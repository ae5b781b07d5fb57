"""Ways in which AWS is stricter than an emulator that handles one request after another.

EASEL_LOCAL_STRICT changes values of this table, such as "index_lag=0 conflicts=0.1". 0 turns a row
off.

conflicts        transactions conflict while they run
index_lag        a query of a secondary index misses the latest changes
late_executions  a new execution is unknown at first
tmp              the temporary files of a function have a limit
clock_skew       the clocks of functions differ
throttling       Step Functions throttles reads

`strictness` has the values. `functions` has the patches of `tmp` and `clock_skew`, whose parts
inside a function's process are in `worker_side`.
"""

from local.ministack.strict import conflicts, functions, index_lag, late_executions, throttling
from local.ministack.strict.strictness import Strictness


def apply(strictness: Strictness) -> None:
    """Apply the patches that are not turned off."""
    if strictness.conflicts:
        conflicts.apply(strictness.conflicts)
    if strictness.index_lag:
        index_lag.apply(strictness.index_lag)
    if strictness.late_executions:
        late_executions.apply(strictness.late_executions)
    functions.apply(tmp=strictness.tmp, clock_skew=strictness.clock_skew)
    if strictness.throttling:
        throttling.apply(strictness.throttling)
