"""The entries of a page of runs.

Step Functions lists executions without their input and error. The records of a run have its title,
images and cost, so an execution is described only if it has no records under its name, or has
failed. A page costs a constant number of reads of the table.
"""

from collections.abc import Sequence

from easel.contract.states import ExecutionStatus
from easel.ledger.records import RunRecords
from easel.runs.executions import ExecutionSummary
from functions.api import schemas
from functions.api.facts import Facts
from functions.api.services import ApiServices
from functions.api.views import list_run

IS_KNOWN = (ExecutionStatus.RUNNING, ExecutionStatus.SUCCEEDED)


def list_entries(
    page: Sequence[ExecutionSummary], services: ApiServices
) -> list[schemas.ListedRun]:
    """Return the entries of a page of executions."""
    prompts = services.gallery.prompts(run.name for run in page)
    facts = [
        _facts(run, services)
        if run.name not in prompts or run.status not in IS_KNOWN
        else Facts(run_id=run.name)
        for run in page
    ]
    others = {fact.run_id for fact in facts if fact.has_records} - prompts.keys()
    others -= {run.name for run in page}
    prompts |= services.gallery.prompts(others)
    counts = {
        fact.run_id: prompts[fact.run_id].choices["count"]
        for fact in facts
        if fact.has_records and fact.run_id in prompts
    }
    records, none = services.ledger.runs(counts), RunRecords()
    return [
        list_run(run, fact, records.get(fact.run_id, none) if fact.has_records else none, services)
        for run, fact in zip(page, facts, strict=True)
    ]


def _facts(run: ExecutionSummary, services: ApiServices) -> Facts:
    def describe(run: ExecutionSummary) -> Facts | None:
        execution = services.executions.get(run.arn)
        return Facts.of(execution) if execution else None

    return services.run_facts.read(run, describe) or Facts(run_id=run.name)
