"""Empties staging of finished images and reports the run; also changes what a request names."""

from dataclasses import replace
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import Deadline, prepare
from easel.aws.observability import log_result, step
from easel.contract import naming
from easel.contract.messages import Report, RunPlan, StartRun
from easel.ledger.records import RunRecords
from easel.services import SERVICES, Services
from functions.cleanup.actions import carry_out
from functions.cleanup.report import check_images, check_inputs, make_report
from functions.cleanup.sharing import share_stored


@step("cleanup")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Take a RunPlan and return a Report.

    Or take a StartRun with a request for existing images, and return a Removal, Restoration,
    Sharing or Relocation, or for several images Several.
    """
    if isinstance(event, dict) and "request" in event:
        start = StartRun.from_state(event)
        return carry_out(start, SERVICES, Deadline(context)).to_state()
    return finish(RunPlan.from_state(event), SERVICES).to_state()


def finish(plan: RunPlan, services: Services) -> Report:
    """Remove the staged objects of finished images, and report the run.

    Raises BadImageError, OutcomeUnknownError or ReferenceGoneError if an image cannot be made.
    """
    records = RunRecords() if plan.dry_run else services.ledger.run(plan.run_id)
    finished = tuple(
        naming.staging_prefix(image.run_id, image.n)
        for image in records.images
        if image.status.is_finished
    )
    if finished:
        objects = services.bucket.objects(f"staging/{plan.run_id}/")
        services.bucket.delete([item.key for item in objects if item.key.startswith(finished)])
    if records.prompt:
        shared = share_stored(records.prompt, records.images, services)
        records = replace(records, images=shared)
    report = make_report(plan, records, services)
    check_images(records)
    check_inputs(plan, records, services.reference_files)
    log_result(
        "run finished", stored=report.stored, refused=report.refused, cost_usd=report.cost_usd
    )
    return report


prepare(lambda: SERVICES.bucket, lambda: SERVICES.ledger)
