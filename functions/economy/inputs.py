"""The input images of an order at OpenAI.

Each image is uploaded once for an order, however many of its images are made from it. The ids of
the files are listed in staging after each upload. So another attempt, or another start of the
batch, uses the same files, and whoever collects the order deletes them all. Each batch of
an order has a list of its own, because another execution may still collect the earlier batch.
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from easel.aws.lambda_runtime import Deadline
from easel.aws.observability import logger
from easel.contract import naming
from easel.contract.errors import EaselError, TransientError
from easel.ledger.batches import order_mark
from easel.ledger.records import PromptRecord
from easel.openai_client.batches import (
    CALL_SECONDS,
    GENERATIONS,
    INPUT_SECONDS,
    UPLOAD_SECONDS,
    Endpoint,
)
from easel.request.references import Inputs, Reference
from easel.services import Services
from functions.economy.plan import endpoint

MAX_LIST_BYTES = 10_000_000
JSON = "application/json"
BATCH_SECONDS = 24 * 60 * 60  # in which OpenAI ends a batch
SPARE_SECONDS = 60 * 60  # until the batch is created, with all retries
MARGIN_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class UploadedFile:
    """A file at OpenAI. A batch that is created until `usable_until` (epoch seconds) may use it."""

    id: str
    usable_until: int


class OrderInputs:
    """The input images of one order. `endpoint` is the order's endpoint, once a body was made."""

    def __init__(self, order: str, number: int, services: Services, deadline: Deadline) -> None:
        self.endpoint: Endpoint = GENERATIONS
        self._key = naming.order_inputs_key(order_mark(order, number))
        self._earlier_key = naming.order_inputs_key(order_mark(order, number - 1))
        self._bucket, self._batches = services.bucket, services.openai_batches
        self._references, self._deadline = services.reference_files, deadline
        self._by_sha256: dict[str, UploadedFile] | None = None

    def __len__(self) -> int:
        return len(self._by_sha256 or {})

    def body(self, prompt: PromptRecord) -> dict[str, Any]:
        """Return the body of the request for one of a run's images.

        Raises ReferenceGoneError if an input no longer exists, and TransientError if too little
        time is left to upload it.
        """
        self.endpoint = endpoint(prompt)
        body = self._batches.adapt(prompt.image_call()) | {"n": 1}
        inputs = prompt.inputs
        if inputs:
            body["images"] = [self._file(reference) for reference in inputs.images]
        if inputs.mask:
            body["mask"] = self._file(inputs.mask)
        return body

    def delete(self) -> None:
        """Delete the files. OpenAI deletes those later that cannot be deleted now."""
        try:
            self._delete()
        except EaselError as error:
            logger.warning("input images stay at OpenAI for three days", reason=str(error))

    def _delete(self) -> None:
        files = self._read()
        if not files:
            return
        # An order of the same images must not use a deleted file.
        unusable = {sha256: replace(file, usable_until=0) for sha256, file in files.items()}
        self._write(self._key, unusable)
        for file in files.values():
            if self._deadline.seconds() < CALL_SECONDS + MARGIN_SECONDS:
                logger.warning("no time is left to delete the other input images")
                break
            try:
                self._batches.delete(file.id)
            except EaselError as error:
                logger.warning("an input image stays at OpenAI for three days", reason=str(error))

    def _file(self, reference: Reference) -> dict[str, str]:
        if self._by_sha256 is None:
            self._by_sha256 = self._read()
        file = self._by_sha256.get(reference.sha256)
        if file is None or file.usable_until < time.time():
            file = self._upload(reference)
            self._by_sha256[reference.sha256] = file
            self._write(self._key, self._by_sha256)
        return {"file_id": file.id}

    def _upload(self, reference: Reference) -> UploadedFile:
        if self._deadline.seconds() < UPLOAD_SECONDS + MARGIN_SECONDS:
            raise TransientError(
                f"{len(self)} input images are uploaded, and the time is over; another attempt "
                "uploads the others"
            )
        until = int(time.time()) + INPUT_SECONDS - BATCH_SECONDS - SPARE_SECONDS
        with self._references.open(Inputs(images=(reference,))) as (file,):
            return UploadedFile(id=self._batches.upload(file), usable_until=until)

    def _read(self) -> dict[str, UploadedFile]:
        files = self._listed(self._key)
        if files is None:
            # If OpenAI's queue was full, the files of the earlier order are still there. They move
            # to this list, so that whoever collects the earlier order does not delete them.
            files = self._listed(self._earlier_key) or {}
            if files:
                self._write(self._key, files)
                self._write(self._earlier_key, {})
        return files

    def _listed(self, key: str) -> dict[str, UploadedFile] | None:
        listed = self._bucket.get(key, limit=MAX_LIST_BYTES)
        if listed is None:
            return None
        return {sha256: UploadedFile(**file) for sha256, file in json.loads(listed).items()}

    def _write(self, key: str, files: dict[str, UploadedFile]) -> None:
        listed = {sha256: asdict(file) for sha256, file in files.items()}
        self._bucket.put(key, json.dumps(listed).encode(), content_type=JSON)
