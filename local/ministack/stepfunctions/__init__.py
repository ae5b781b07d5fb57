"""Patches of Step Functions.

executions   no pause before an execution; delays of a Retry; metrics of ended executions
inline_map   a failed iteration ends its Map; a stopped execution stays stopped
distributed  a Distributed Map in JSONata, with result files, tolerance and stop
redrive      RedriveExecution; state is saved even while executions run
history      events of the states inside a Map, each linked to the event before it

`map_run`, `map_child` and `map_results` are parts of `distributed`.
"""

from local.ministack.stepfunctions import distributed, executions, history, inline_map, redrive


def apply() -> None:
    """Apply the patches."""
    executions.apply()
    inline_map.apply()
    distributed.apply()
    redrive.apply()
    # This patch is last, so that it wraps the others. They decide under its lock whether an event
    # still counts, and then it numbers the event.
    history.apply()
