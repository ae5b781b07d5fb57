"""Buys one image and puts its bytes into staging."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import Deadline, prepare
from easel.aws.observability import step
from easel.contract.errors import (
    BadImageError,
    ConfigError,
    ContentRefusedError,
    OutcomeUnknownError,
)
from easel.contract.messages import ImageTask, StagedImage
from easel.contract.status import Status
from easel.ledger.paid_image import PaidImage
from easel.ledger.purchase import Purchases
from easel.ledger.records import ImageRecord, PromptRecord
from easel.ledger.reference_files import InputFile
from easel.ledger.unfinished import mention_unfinished
from easel.services import SERVICES, Services


@step("image")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Take an ImageTask and return a StagedImage."""
    task = ImageTask.from_state(event)
    with mention_unfinished(task.run_id, SERVICES.ledger):
        return run(task, SERVICES, Deadline(context)).to_state()


def run(task: ImageTask, services: Services, deadline: Deadline) -> StagedImage:
    """Make sure that this image is bought and staged, with at most one paid call."""
    purchases = services.purchases(deadline, staging=services.staging)
    prompt = services.ledger.prompt(task.run_id)
    if prompt is None:
        raise ConfigError(
            f"run {task.run_id} has no prompt record; start the run again with its request_id"
        )
    image = services.ledger.image(task.run_id, task.n)
    if image and image.status in (Status.CLAIMED, Status.LOST):
        image = purchases.recover(image, prompt)
    if image is None or image.status == Status.CLAIMED:
        record = image or ImageRecord(run_id=task.run_id, n=task.n)
        image = _buy(record, prompt, purchases, services)
    return _to_staged_image(image)


def _buy(
    image: ImageRecord, prompt: PromptRecord, purchases: Purchases, services: Services
) -> ImageRecord:
    model, rate_limit = services.image_model, services.rate_limit
    seconds = prompt.image_seconds(setting=services.time_limits.image_seconds)
    # The inputs are here before the call is claimed. If one is gone, nothing is paid.
    inputs: AbstractContextManager[list[InputFile]] = nullcontext([])
    if prompt.inputs:
        inputs = services.reference_files.open(prompt.inputs)
    with inputs as files:

        def paint(timeout: float) -> PaidImage:
            images, mask = (files[:-1], files[-1]) if prompt.inputs.mask else (files, None)
            return model.paint(
                prompt.image_call(),
                images=images,
                mask=mask,
                timeout=timeout,
                slow_down=rate_limit.slow_down,
            )

        return purchases.buy(image, prompt, paint, seconds=seconds, rate_limit=rate_limit)


def _to_staged_image(image: ImageRecord) -> StagedImage:
    """Return the message for a bought image. Raises an error if its record has no usable image."""
    if image.status == Status.REFUSED:
        refused = f"{image.label} was refused ({image.refusal}); change the prompt"
        raise ContentRefusedError(refused, category=str(image.refusal))
    if image.status == Status.BAD:
        raise BadImageError(str(image.problem))
    if image.status == Status.LOST or image.staged_key is None:
        raise OutcomeUnknownError(
            f"{image.label} was paid for and lost; start a new run to buy it again"
        )
    return StagedImage(
        run_id=image.run_id, n=image.n, key=image.staged_key, sha256=image.sha256 or ""
    )


prepare(
    lambda: SERVICES.image_model,
    lambda: SERVICES.staging,
    lambda: SERVICES.ledger,
    lambda: SERVICES.rate_limit,
)
