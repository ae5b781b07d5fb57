"""Finds and resumes runs, with Step Functions and the records."""

from uuid import uuid4

from easel.contract import naming
from easel.contract.errors import ConflictError
from easel.ledger.ledger import Ledger
from easel.runs.executions import Execution, Executions

SEARCHED = 100  # executions to search for a request_id


class Runs:
    """The runs of one state machine."""

    def __init__(self, executions: Executions, ledger: Ledger) -> None:
        self.executions = executions
        self._ledger = ledger

    def find(self, name: str) -> Execution | None:
        """Return the execution with this name, or if it is a run id, the run's latest execution."""
        run = self.executions.get(name)
        return self.latest(name, known=run) if run is None or run.name == run.run_id else run

    def find_latest(self, name: str) -> Execution | None:
        """Return a run's latest execution, by the name or ARN of any execution, or by the run id.

        The table does not know a run until its prompt is written. Until then, the latest executions
        are searched.
        """
        run = self.executions.get(name)
        # An execution that ended in a conflict never belonged to this run.
        if run is None or run.error != ConflictError.__name__:
            run = self.latest(run.run_id if run else name, known=run)
        return run or self._by_request_id(name)

    def latest(self, run_id: str, *, known: Execution | None) -> Execution | None:
        """Return the run's latest recorded execution, or `known` if that is more recent."""
        prompt = self._ledger.prompt(run_id)
        # Step Functions allows some ten reads a second in an account, which all viewers share.
        if prompt is None or (known and prompt.execution in (known.name, known.arn)):
            return known
        recorded = self.executions.get(prompt.execution)
        return (
            recorded if recorded and (known is None or recorded.started > known.started) else known
        )

    def resume(self, run: Execution) -> str:
        """Resume a failed run: redrive it, or else start it again with its input and run id.

        Return the execution's name. Raises ConflictError if there is nothing to resume.
        """
        if run.is_open:
            raise ConflictError(f"run {run.name} is {run.status}; there is nothing to resume")
        if run.redrivable and not run.is_image_failure:
            self.executions.redrive(run)
            return run.name
        if not isinstance(run.input, dict) or not run.makes_images:
            raise ConflictError(
                f"run {run.name} is too old to be resumed, and it creates no images, so it is not "
                "started again automatically; start a new run if it is still needed"
            )
        # The new execution's name shows the same caller, by whom the list of runs is filtered.
        caller = naming.caller_of(run.run_id)
        name = naming.api_run(caller, str(uuid4())) if caller else None
        return str(self.executions.start(run.input | {"request_id": run.run_id}, name=name))

    def _by_request_id(self, request_id: str) -> Execution | None:
        executions = (self.executions.get(name) for name in self.executions.names(most=SEARCHED))
        return next((run for run in executions if run and run.run_id == request_id), None)
