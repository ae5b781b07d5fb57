"""A batch as the API tells it: from its execution, the check that stands in its history, and its Map Run."""

from dataclasses import asdict

from functions.adapters.executions import Execution
from functions.api import answers, run_view
from functions.api.outside import Outside


def shown(name: str, run: Execution, outside: Outside) -> answers.Batch:
    """A batch with its lines so far, what the check found, its report, and what went wrong."""
    manifest = run.input.get("manifest") if isinstance(run.input, dict) else None
    checked = outside.batch_executions.checked(run)
    counts = outside.map_runs.counts(run.arn) if checked else None
    report = run.output if run.output and "report_key" in run.output else None
    return answers.Batch(
        name=name,
        status=run.status.lower(),  # type: ignore[arg-type] # Step Functions' words are those of the answer
        execution=run.name,
        manifest=manifest if isinstance(manifest, str) else None,
        started=run.started,
        ended=run.ended,
        seconds=round(max(0.0, ((run.ended or outside.now()) - run.started).total_seconds()), 1),
        url=outside.batch_url(name),
        console_url=outside.console_graph(run.arn),
        lines=answers.LineCounts(**asdict(counts)) if counts else None,
        checked=answers.Checked.model_validate(checked) if checked else None,
        report=answers.BatchReport.model_validate(report) if report else None,
        error=run_view.failure(run),
    )
