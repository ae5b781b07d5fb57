"""Verifies a staged image and copies it to its final key, with previews, sizes and a sidecar.

Nothing is overwritten.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import prepare
from easel.aws.observability import count, log_result, step
from easel.contract import metric_names, naming
from easel.contract.errors import BadImageError, ConfigError, ConflictError
from easel.contract.messages import StagedImage, StoredImage
from easel.contract.money import dollars
from easel.contract.status import Status
from easel.images.ai_mark import AI_MADE, PARTLY_AI_MADE, AiMark
from easel.images.image_file import ImageFile, verify
from easel.ledger.ledger import Ledger
from easel.ledger.records import ImageRecord, PromptRecord, StoredFiles, StoredSize
from easel.ledger.unfinished import mention_unfinished
from easel.request.references import Reference
from easel.services import SERVICES, Services
from functions.upload.sizes import SizeShelf, cutter_of

MAX_NAME_ATTEMPTS = 99
PROVENANCE = {
    "original": "unchanged, with the content credentials (C2PA) that OpenAI embedded, if any",
    "sizes_and_thumbnails": "marked in XMP with digital_source_type; without content credentials",
}


@step("upload")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Take a StagedImage and return a StoredImage."""
    staged = StagedImage.from_state(event)
    with mention_unfinished(staged.run_id, SERVICES.ledger):
        return run(staged, SERVICES).to_state()


def run(staged: StagedImage, services: Services) -> StoredImage:
    """Make sure that this image is stored under its own key. This is free and safe to repeat."""
    ledger, bucket = services.ledger, services.bucket
    prompt, image = ledger.prompt(staged.run_id), ledger.image(staged.run_id, staged.n)
    if prompt is None or image is None:
        raise ConfigError(
            f"image {staged.n} of run {staged.run_id} has no record; start the run again with its "
            "request_id"
        )
    if image.status != Status.STAGED:
        return _to_stored_image(image)
    try:
        data = bucket.get(staged.key, limit=naming.MAX_IMAGE_BYTES)
        if data is None:
            return _find_stored(staged, ledger)
        mark = _mark_of(prompt, image)
        xmp = mark.to_xmp()
        sha256, edges = staged.sha256, naming.PREVIEW_EDGES
        file = verify(data, sha256=sha256, where=staged.key, edges=edges, xmp=xmp)
    except BadImageError as error:
        error.add("it was left in place")
        ledger.mark_bad(image, problem=str(error))
        raise
    try:
        key = _copy(staged, file, _base(prompt, staged), services)
    except LookupError:
        return _find_stored(staged, ledger)
    for edge, preview in sorted(file.previews.items()):
        preview_key = naming.thumbnail_key(key, edge)
        bucket.put_if_absent(preview_key, preview, content_type="image/webp")
    sizes = _store_sizes(file, prompt, SizeShelf(bucket=bucket, key=key, image=image), xmp)
    stored_at = f"{services.now():%Y-%m-%dT%H:%M:%S.%fZ}"
    facts = {"key": key, "stored_at": stored_at, "digital_source_type": mark.source_type}
    sidecar = _sidecar(prompt, image, file, facts | {"sizes": [asdict(size) for size in sizes]})
    bucket.put_if_absent(naming.sidecar_key(key), sidecar, content_type="application/json")
    files = StoredFiles(
        key=key,
        width=file.width,
        height=file.height,
        previews=tuple(sorted(set(file.previews) - {naming.PREVIEW_EDGES[0]})),
        sizes=tuple(sizes),
    )
    if ledger.mark_stored(image, files=files, prompt=prompt, stored_at=stored_at):
        count(metric_names.STORED)
        if naming.is_scheduled(staged.run_id):
            count(metric_names.STORED_BY_SCHEDULE)
    log_result("picture stored", key=ascii(key), bytes=len(data))
    return StoredImage(run_id=staged.run_id, n=staged.n, status=Status.STORED, key=key)


def _mark_of(prompt: PromptRecord, image: ImageRecord) -> AiMark:
    """Return the mark of all files that are made from an image.

    An edit with a mask keeps a part of somebody's own picture, if that was uploaded.
    """
    inputs = prompt.inputs
    keeps_own = inputs.mask is not None and naming.upload_id(inputs.images[0].key) is not None
    return AiMark(
        source_type=PARTLY_AI_MADE if keeps_own else AI_MADE,
        title=prompt.title,
        alt_text=prompt.alt_text,
        image_id=naming.image_id(image.run_id, image.n),
        sha256=image.sha256 or "",
    )


def _store_sizes(
    file: ImageFile, prompt: PromptRecord, shelf: SizeShelf, xmp: bytes
) -> list[StoredSize]:
    """Store the sizes one after the other, since each one in memory may be large."""
    # A run of an older version has no sizes.
    wanted = prompt.choices.get("output_sizes")
    if not wanted:
        return []
    cutter = cutter_of(file, prompt.choices, xmp)
    return [shelf.store(cutter.cut(size["width"], size["height"]), size) for size in wanted]


def _base(prompt: PromptRecord, staged: StagedImage) -> str:
    return naming.image_base(
        prompt.choices["folder_name"],
        prompt.choices["file_name"],
        started=prompt.started,
        run_id=staged.run_id,
        n=staged.n,
        topic=prompt.topic,
    )


def _copy(staged: StagedImage, file: ImageFile, base: str, services: Services) -> str:
    """Copy to the first free name. If this image already has that name, return it."""
    bucket, owners = services.bucket, services.ledger.owners
    run_id, n = staged.run_id, staged.n
    own = {"sha256": staged.sha256, "run-id": run_id, "n": str(n)}
    for key in _names(base, file.extension, run_id=run_id, n=n):
        if not owners.take(key, run_id, n):
            continue
        content_type = file.content_type
        if bucket.copy_if_absent(staged.key, key, content_type=content_type, metadata=own):
            return key
        existing = bucket.head(key)
        if existing and {name: existing.metadata.get(name) for name in own} == own:
            return key
        owners.release(key, run_id, n)
    raise ConflictError(
        f"{base} and {MAX_NAME_ATTEMPTS} more names are in use; put {{run8}} and {{n}} into "
        "file_name"
    )


def _names(base: str, extension: str, *, run_id: str, n: int) -> Iterator[str]:
    """Yield the keys that an image may get, best first. The last one can belong to no other."""
    for attempt in range(1, MAX_NAME_ATTEMPTS + 1):
        key = naming.image_key(base, extension, attempt=attempt)
        if not naming.is_size(key):  # such a key may belong to a size of another image
            yield key
    yield naming.last_image_key(base, extension, run_id=run_id, n=n)


def _find_stored(staged: StagedImage, ledger: Ledger) -> StoredImage:
    """Return the image if another execution has stored it and emptied staging meanwhile."""
    image = ledger.image(staged.run_id, staged.n)
    if image is None or image.status == Status.STAGED:
        raise ConfigError(
            f"the staged image {staged.key} no longer exists: staging keeps images for 30 days; "
            "start a new run to buy it again"
        )
    return _to_stored_image(image)


def _to_stored_image(image: ImageRecord) -> StoredImage:
    if image.status == Status.BAD:
        raise BadImageError(str(image.problem))
    return StoredImage(run_id=image.run_id, n=image.n, status=image.status, key=image.key)


def _sidecar(
    prompt: PromptRecord, image: ImageRecord, file: ImageFile, facts: dict[str, Any]
) -> bytes:
    lineage = {
        "id": naming.image_id(image.run_id, image.n),
        "run_id": image.run_id,
        "n": image.n,
        "key": facts["key"],
        "title": prompt.title,
        "alt_text": prompt.alt_text,
        "tags": list(dict.fromkeys([*(prompt.choices.get("tags") or ()), *prompt.tags])),
        "topic": prompt.topic,
        "prompt": prompt.text,
        "request": prompt.request,
        "style": prompt.choices["style"],
        "model": prompt.choices["model"],
        "chat_model": prompt.chat_model,
        "size": prompt.choices["size"],
        "quality": prompt.choices["quality"],
        "background": prompt.choices["background"],
        "output_compression": prompt.choices["output_compression"],
        "moderation": prompt.choices["moderation"],
        "reference_images": [_origin(reference) for reference in prompt.inputs.images],
        "mask": _origin(prompt.inputs.mask) if prompt.inputs.mask else None,
        "width": file.width,
        "height": file.height,
        "content_type": file.content_type,
        "bytes": image.bytes,
        "sha256": image.sha256,
        "usage": image.usage,
        "cost_usd": dollars(image.cost_micro_usd),
        "chat_cost_usd": dollars(prompt.chat_cost_micro_usd),
        "possibly_paid": image.possibly_paid,
        "run_started": prompt.started,
        "stored_at": facts["stored_at"],
        "sizes": facts["sizes"],
        "digital_source_type": facts["digital_source_type"],
        "provenance": PROVENANCE,
    }
    return json.dumps(lineage, indent=2, ensure_ascii=False).encode()


def _origin(reference: Reference) -> dict[str, str]:
    """Return which version of an image this one was made from."""
    key, version_id = reference.key, reference.version_id
    return {"key": key, "version_id": version_id, "sha256": reference.sha256}


prepare(lambda: SERVICES.bucket, lambda: SERVICES.ledger)
