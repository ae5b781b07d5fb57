"""The steps of a run, with all their collaborators in memory."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO, Any

import pytest

from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.contract import naming
from easel.contract.batch_messages import BatchPlan, BatchReport, Order, PlacedOrder
from easel.contract.messages import (
    ImageTask,
    Removal,
    Report,
    Restoration,
    RunPlan,
    Several,
    Sharing,
    StagedImage,
    StartRun,
    StoredImage,
)
from easel.contract.status import Status
from easel.ledger.batches import order_key
from easel.ledger.budget import month_of
from easel.ledger.ledger import Ledger
from easel.ledger.records import ChatRecord, ImageRecord, to_item
from easel.openai_client.batches import Endpoint, PlacedBatch
from easel.openai_client.images import InputImage
from easel.request import request
from functions import image, prompt
from functions.batch.check import check
from functions.batch.report import report_batch
from functions.cleanup.actions import Outcome, carry_out
from functions.cleanup.handler import finish
from functions.economy.collect import collect
from functions.economy.place import place
from functions.upload import handler as upload
from tests.support.images import png
from tests.support.records import claimed, prompt_record
from tests.support.services import (
    BUCKET,
    FakeChat,
    FakeDeadline,
    FakePainter,
    FakeServices,
)

MANIFEST = "batches/spring.jsonl"
WORK = "staging/@spring/first/"
LATER = "2999-01-01T00:00:00Z"  # later than all objects that a test has stored


class Step:
    """A step, with the services that it uses."""

    def __init__(self, services: FakeServices) -> None:
        self.services = services
        self.deadline = FakeDeadline()

    @property
    def ledger(self) -> Ledger:
        return self.services.ledger

    @property
    def bucket(self) -> Bucket:
        return self.services.bucket

    @bucket.setter
    def bucket(self, bucket: Any) -> None:
        self.services.bucket = self.services.staging = bucket

    def money(self, moment: datetime | None = None) -> tuple[int, int]:
        """Return what is committed and spent in the month."""
        month = self.ledger.budget.read(month_of(moment or self.services.now()))
        return month.committed, month.spent


class PromptStep(Step):
    """The prompt step."""

    def __init__(self, services: FakeServices) -> None:
        super().__init__(services)
        self.chat = FakeChat()
        self.deadline.left = 90

    def run(self, request: Any = None, name: str = "execution-1") -> RunPlan:
        self.services.chat_model = self.chat  # type: ignore[assignment]
        start = StartRun(
            request={} if request is None else request,
            execution_name=name,
            started="2026-11-24T03:15:02.100Z",
        )
        return prompt.run(start, self.services, self.deadline)

    def crash(self) -> None:
        """Leave a claim with an expired lease, as a killed function does."""
        self.chat.error = RuntimeError("killed")
        self.deadline.now -= 1_000
        with pytest.raises(RuntimeError):
            self.run()
        self.deadline.now += 1_000
        self.chat.error = None

    def call(self) -> ChatRecord:
        record = self.ledger.chat("execution-1")
        assert record is not None
        return record


class ImageStep(Step):
    """The image step after a prompt was written."""

    def __init__(self, services: FakeServices) -> None:
        super().__init__(services)
        self.painter = FakePainter()
        services.clock = datetime.now(UTC)
        services.ledger.keep_prompt(prompt_record(), paid=None)

    def run(self, n: int = 1, run_id: str = "run-1") -> StagedImage:
        self.services.image_model = self.painter  # type: ignore[assignment]
        return image.run(ImageTask(run_id=run_id, n=n), self.services, self.deadline)

    def record(self, n: int = 1) -> ImageRecord:
        image = self.ledger.image("run-1", n)
        assert image is not None
        return image

    def crash(self) -> None:
        """Leave a claim with an expired lease and no bytes, as a killed function does."""
        self.painter.error = RuntimeError("killed")
        self.deadline.now -= 1_000
        with pytest.raises(RuntimeError):
            self.run()
        self.deadline.now += 1_000
        self.painter.error = None


class UploadStep(Step):
    """The upload step after an image was staged."""

    def __init__(self, services: FakeServices) -> None:
        super().__init__(services)
        choices = {"moderation": "low", "safety_identifier": "5e1f"}
        services.ledger.keep_prompt(prompt_record(choices=choices), paid=None)

    def staged(self, data: bytes, n: int = 1, run_id: str = "run-1") -> StagedImage:
        key, sha256 = naming.staged_key(run_id, n, 1), hashlib.sha256(data).hexdigest()
        self.bucket.put(key, data, content_type="application/octet-stream")
        claim = claimed(self.ledger, run_id=run_id, n=n)
        staged = replace(
            claim,
            status=Status.STAGED,
            staged_key=key,
            bytes=len(data),
            sha256=sha256,
            usage={"output_tokens": 430},
            cost_micro_usd=13_000,
        )
        self.ledger.mark_staged(claim, staged)
        return StagedImage(run_id=run_id, n=n, key=key, sha256=sha256)

    def run(self, staged: StagedImage) -> StoredImage:
        return upload.run(staged, self.services)


class CleanupStep(Step):
    """The cleanup step, with the earlier steps if a test needs images."""

    def __init__(self, services: FakeServices) -> None:
        super().__init__(services)
        self.upload = UploadStep(services)

    def stored(self, n: int = 1) -> str:
        """Return the key of a new image."""
        return str(self.upload.run(self.upload.staged(png(colour=f"#0000{n:02d}"), n=n)).key)

    def finish(self, **message: Any) -> Report:
        values: dict[str, Any] = {
            "run_id": "run-1",
            "variations": (1, 2),
            "dry_run": False,
            "estimate_micro_usd": 30_000,
        }
        return finish(RunPlan(**values | message), self.services)

    def delete(self, **request: Any) -> Removal:
        result = self.do(request)
        assert isinstance(result, Removal)
        return result

    def restore(self, **request: Any) -> Restoration:
        result = self.do(request)
        assert isinstance(result, Restoration)
        return result

    def share(self, **request: Any) -> Sharing:
        result = self.act(**request)
        assert isinstance(result, Sharing)
        return result

    def act(self, **request: Any) -> Outcome | Several:
        """Carry out a request for existing images."""
        start = StartRun(request=request, execution_name="e", started=LATER)
        return carry_out(start, self.services, self.deadline)

    def do(
        self,
        request: Any,
        *,
        started: str = LATER,
        bucket: Any = None,
        ledger: Any = None,
        deadline: FakeDeadline | None = None,
    ) -> Removal | Restoration:
        """Delete or restore, for this call with another bucket, ledger or deadline."""
        own = self.services.bucket, self.services.ledger
        self.services.bucket, self.services.ledger = bucket or own[0], ledger or own[1]
        start = StartRun(request=request, execution_name="e", started=started)
        try:
            result = carry_out(start, self.services, deadline or self.deadline)
        finally:
            self.services.bucket, self.services.ledger = own
        assert isinstance(result, Removal | Restoration)
        return result

    def status(self, n: int = 1) -> str:
        image = self.ledger.image("run-1", n)
        assert image is not None
        return image.status


class BatchStep(Step):
    """The batch step with its manifests."""

    def __init__(self, services: FakeServices, s3: Any) -> None:
        super().__init__(services)
        self.s3 = s3
        self.requests: dict[str, Any] = {}

    def put(self, *lines: Any, key: str = MANIFEST) -> None:
        self.put_bytes("".join(json.dumps(line) + "\n" for line in lines).encode(), key=key)

    def put_bytes(self, body: bytes, *, key: str = MANIFEST) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def check(self, *, execution: str = "first", **fields: Any) -> BatchPlan:
        start = StartRun(
            request={"manifest": MANIFEST} | fields,
            execution_name=execution,
            started="2026-11-24T03:15:00Z",
        )
        plan = check(start, self.services)
        lines = self.read(plan.lines_key)
        self.requests |= {item["run_id"]: item["request"] for item in lines}
        return plan

    def report(self, plan: BatchPlan) -> BatchReport:
        return report_batch(plan, self.services)

    def read(self, key: str) -> list[Any]:
        body = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return [json.loads(line) for line in body.splitlines()]

    def make(self, run_id: str, **image: Any) -> None:
        """Leave the records of a run whose image is stored, or as `image` describes it."""
        if self.ledger.prompt(run_id) is None:
            digest = request.digest(self.requests[run_id])
            prompt = prompt_record(run_id=run_id, digest=digest, chat_cost_micro_usd=50)
            self.ledger.keep_prompt(prompt, paid=None)
        fields: dict[str, Any] = {
            "run_id": run_id,
            "n": 1,
            "status": Status.STORED,
            "purchase": 1,
            "month": "2026-11",
            "reserved_micro_usd": 9_000,
            "cost_micro_usd": 6_000,
        } | image
        record = ImageRecord(**fields)
        table = self.services.table
        table.write(table.put(to_item(record)))

    def results(self, plan: BatchPlan, *failed: tuple[str, str, str]) -> None:
        """Write what Step Functions writes at the end of a Map Run."""
        folder = f"{plan.results_prefix}/0b1c"

        def child(run_id: str, error: str, message: str) -> dict[str, Any]:
            execution = {"Input": json.dumps({"execution_name": run_id})}
            if not error:
                return execution | {"Status": "ABORTED"}
            cause = json.dumps({"errorMessage": message})
            return execution | {"Status": "FAILED", "Error": error, "Cause": cause}

        self.put(*(child(*line) for line in failed), key=f"{folder}/FAILED_0.jsonl")
        files = {
            "FAILED": [{"Key": f"{folder}/FAILED_0.jsonl", "Size": 1}],
            "PENDING": [],
            "SUCCEEDED": [],
        }
        manifest = {"DestinationBucket": BUCKET, "MapRunArn": "arn", "ResultFiles": files}
        self.put(manifest, key=f"{folder}/manifest.json")


@dataclass
class FakeOpenAIBatches:
    """A Batch API that keeps its batches. It fails or loses its answer if told to."""

    orders: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    fails: list[Exception] = field(default_factory=list)
    status: str = "completed"
    answers: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    searched: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    uploaded: int = 0
    endpoint: str | None = None
    problem: str | None = None

    def adapt(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return parameters

    def find(self, order: str, *, since: datetime) -> PlacedBatch | None:  # noqa: ARG002
        self.searched += 1
        return self.look(order) if order in self.orders else None

    def upload(self, image: InputImage) -> str:
        self.uploaded += 1
        file = f"file-{self.uploaded}"
        self.files[file] = image.file.read()
        return file

    def delete(self, file: str) -> None:
        self.files.pop(file, None)

    def create(self, order: str, requests: IO[bytes], *, endpoint: Endpoint) -> PlacedBatch:
        requests.seek(0)
        assert order not in self.orders, "placed twice"
        self.endpoint = endpoint
        self.orders[order] = [json.loads(line) for line in requests]
        if self.fails:
            raise self.fails.pop()
        return self.look(order)

    def look(self, batch: str) -> PlacedBatch:
        return PlacedBatch(
            id=batch,
            status=self.status,
            answers="answers",
            errors="errors",
            problem=self.problem,
        )

    def lines(self, file: str) -> Iterator[bytes]:
        lines = self.answers if file == "answers" else self.errors
        return iter([json.dumps(line).encode() for line in lines])


class EconomyStep(Step):
    """The economy step with a fake of OpenAI's Batch API."""

    def __init__(self, services: FakeServices, s3: Any) -> None:
        super().__init__(services)
        self.s3, self.openai = s3, FakeOpenAIBatches()
        services.clock = datetime.now(UTC)
        services.openai_batches = self.openai  # type: ignore[assignment]
        self.deadline.left = 900

    @property
    def table(self) -> Table:
        return self.services.table

    def prompt(self, run_id: str, **choices: Any) -> None:
        record = prompt_record(
            run_id=run_id,
            text=f"A kite for {run_id}",
            chat_cost_micro_usd=50,
            choices={"quality": "low"} | choices,
        )
        self.ledger.keep_prompt(record, paid=None)

    def order(self, *run_ids: str) -> Order:
        for run_id in run_ids:
            if self.ledger.prompt(run_id) is None:
                self.prompt(run_id)
        images = tuple({"run_id": run_id, "n": 1} for run_id in run_ids)
        key = order_key(f"{run_id}#1" for run_id in run_ids)
        return Order(order=key, pictures=images, work=WORK)

    def place(self, order: Order) -> PlacedOrder:
        return place(order, self.services, self.deadline)

    def let_lock_expire(self, order: Order) -> None:
        """Let the lock of a function that died expire."""
        key, values = (f"order#{order.order}", "order"), {":past": 1}
        self.table.write(self.table.update(key, "SET #held_until = :past", values=values))

    def collect(self, placement: PlacedOrder) -> dict[str, Any]:
        return collect(placement, self.services, self.deadline)

    def record(self, run_id: str) -> ImageRecord | None:
        return self.ledger.image(run_id, 1)

    def unmade_lines(self, order: str) -> list[dict[str, Any]]:
        body = self.s3.get_object(Bucket=BUCKET, Key=f"{WORK}unmade/{order}.jsonl")["Body"].read()
        return [json.loads(line) for line in body.splitlines()]
