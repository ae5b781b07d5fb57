"""How far a batch's Distributed Map has come, as Step Functions counts it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from functions.adapters import aws


@dataclass(frozen=True, kw_only=True)
class LineCounts:
    """The lines of a batch by what becomes of them; a line that timed out has failed."""

    total: int
    pending: int
    running: int
    succeeded: int
    failed: int
    aborted: int


class MapRuns:
    """The Map Runs of executions."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def counts(self, execution: str) -> LineCounts | None:
        """The lines of an execution, by its ARN, in the Map that began last; None until one runs."""
        with aws.named(f"counting the lines of {execution.rpartition(':')[2]}"):
            found = self._client.list_map_runs(executionArn=execution)["mapRuns"]
            if not found:
                return None
            latest = max(found, key=lambda run: run["startDate"])
            items = self._client.describe_map_run(mapRunArn=latest["mapRunArn"])["itemCounts"]
        return LineCounts(
            total=items["total"],
            pending=items["pending"],
            running=items["running"],
            succeeded=items["succeeded"],
            failed=items["failed"] + items["timedOut"],
            aborted=items["aborted"],
        )


@cache
def map_runs() -> MapRuns:
    """Those of this stack."""
    return MapRuns(aws.client("stepfunctions"))
