"""The report of a run, made from its records only."""

from easel.aws.bucket import console_url
from easel.contract import naming
from easel.contract.errors import BadImageError, OutcomeUnknownError
from easel.contract.messages import Report, ReportedImage, RunPlan
from easel.contract.money import add, dollars
from easel.contract.status import Status
from easel.ledger.records import ImageRecord, RunRecords
from easel.ledger.reference_files import ReferenceFiles
from easel.ledger.shares import share_of
from easel.services import Services


def make_report(plan: RunPlan, records: RunRecords, services: Services) -> Report:
    """Return the totals, and each image with key, console link, cost and status.

    An unknown cost makes the total unknown.
    """
    prompt = records.prompt
    images = tuple(_report_image(image, services) for image in records.images)
    chat_cost = prompt.chat_cost_micro_usd if prompt else 0
    image_cost = add(records.image_costs)
    return Report(
        run_id=plan.run_id,
        dry_run=plan.dry_run,
        topic=prompt.topic if prompt else None,
        title=prompt.title if prompt else None,
        pictures=images,
        stored=sum(image.status == Status.STORED for image in images),
        refused=sum(image.status == Status.REFUSED for image in images),
        possibly_paid=records.possibly_paid,
        chat_cost_usd=dollars(chat_cost),
        image_cost_usd=dollars(image_cost),
        cost_usd=dollars(add([chat_cost, image_cost])),
        estimate_usd=dollars(plan.estimate_micro_usd),
    )


def check_images(records: RunRecords) -> None:
    """Raise an error if any image cannot be made.

    The first such image decides the class of the error. The message lists all of them.
    """
    without_image = (Status.BAD, Status.LOST, Status.CLAIMED)
    failed = [image for image in records.images if image.status in without_image]
    if not failed:
        return
    stored = sum(image.status == Status.STORED for image in records.images)
    problems = "; ".join(image.problem or _describe_unknown(image) for image in failed)
    kind = BadImageError if failed[0].status == Status.BAD else OutcomeUnknownError
    raise kind(f"{stored} of {len(records.images)} images are stored; {problems}")


def check_inputs(plan: RunPlan, records: RunRecords, files: ReferenceFiles) -> None:
    """Raise ReferenceGoneError if an image was not bought because a reference of it is gone."""
    prompt, bought = records.prompt, {image.n for image in records.images}
    missing = [n for n in plan.variations if n not in bought]
    if prompt and prompt.inputs and missing:
        stored = sum(image.status == Status.STORED for image in records.images)
        error = files.describe_gone(prompt.inputs)
        numbers = ", ".join(map(str, missing))
        error.add(
            f"{stored} of {len(plan.variations)} images are stored; not bought: image {numbers}"
        )
        raise error


def _describe_unknown(image: ImageRecord) -> str:
    problem = f"was bought without a usable answer (purchases: {image.purchase})"
    if image.status == Status.LOST:
        problem = "was paid for and lost, because S3 did not accept it"
    return (
        f"{image.label} {problem}; check OpenAI's usage page, then start a new run to buy it again"
    )


def _report_image(image: ImageRecord, services: Services) -> ReportedImage:
    is_stored, is_refused = image.status == Status.STORED, image.status == Status.REFUSED
    url, storage, base, share = None, services.storage, services.delivery.url, share_of(image)
    if image.key and is_stored:
        url = console_url(storage.bucket, image.key, region=storage.region)
    return ReportedImage(
        n=image.n,
        id=naming.image_id(image.run_id, image.n),
        status=image.status,
        key=image.key,
        console_url=url,
        bytes=image.bytes,
        cost_usd=0.0 if is_refused else dollars(image.cost_micro_usd),
        possibly_paid=image.possibly_paid,
        refusal=image.refusal,
        shared_url=share.url(base) if share and base else None,
    )
