"""The Batch API: up to 200 images in one file, made in the background and charged at the end."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.fake_openai import edits
from local.fake_openai.account import Ledger
from local.fake_openai.batch import ENDED, Batch, Outcome, shuffle
from local.fake_openai.batch_input import Line, read
from local.fake_openai.faults import Faults
from local.fake_openai.files import File, Files
from local.fake_openai.painting import ImageRequest, Painter
from local.fake_openai.requests import EDITS, RefusedError, check_batch, check_image
from local.fake_openai.responses import (
    ApiError,
    answer,
    is_done,
    is_replaced,
    page,
    refusal,
    to_bytes,
)

# The path of a fault rule that ends the next batch early. The rule's answer is the number of images
# after which it ends.
EXPIRE = "/v1/batches/expire"
# The path of a fault rule that fails the next batch as a whole. The rule's answer is the code, such
# as token_limit_exceeded.
FAIL = "/v1/batches/fail"
# The fractions of a batch's time after which it is validated, and after which its requests are
# done.
VALIDATED, DONE = 0.1, 0.9
UNDONE = {
    "expired": {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    },
    "cancelled": {
        "code": "batch_cancelled",
        "message": "This request was not executed: the batch was cancelled.",
    },
}
LOST = {"code": "request_timeout", "message": "The underlying call to the model timed out."}
# A result line, with the number of its request in the input.
NumberedLine = tuple[int, Callable[[], bytes]]


class Batches:
    """The batches of an account, oldest first.

    A batch takes `seconds`. With 0 seconds it ends when it is first read.
    """

    def __init__(
        self, files: Files, *, faults: Faults, ledger: Ledger, painter: Painter, seconds: float
    ) -> None:
        self._files, self._faults, self._ledger, self._painter = files, faults, ledger, painter
        self._seconds = seconds
        self._batches: dict[str, Batch] = {}
        # Reading the images of edits takes time, in which another request must not run the batch.
        self._lock = asyncio.Lock()

    async def clear(self) -> None:
        """Delete all batches."""
        async with self._lock:
            self._batches.clear()

    async def settle(self) -> None:
        """Charge the batches that have ended by now, including those that nobody has read."""
        if self._seconds:
            await self._advance(*self._batches.values())

    async def create(self, request: Request) -> Response:
        """Answer POST /v1/batches."""
        body = await request.json()
        try:
            fields = check_batch(body)
        except RefusedError as refused:
            return ApiError.of(refused).response(400)
        file_id = fields["input_file_id"]
        file = self._files.find(file_id)
        if not file or file.purpose != "batch":
            return refusal(f"No such File object: {file_id}", None, "input_file_id", status=404)
        rule = self._faults.take(request.url.path, json.dumps(body, ensure_ascii=False))
        if not is_done(rule):
            return await answer({}, rule)
        lines, errors = read(file.content(), fields["endpoint"])
        metadata = json.dumps(fields["metadata"], ensure_ascii=False)
        failure, expiry = (self._faults.take(path, metadata) for path in (FAIL, EXPIRE))
        if failure:
            message = "Enqueued token limit reached. Please try again once some batches are done."
            problem = {"code": failure.answer, "message": message, "param": None, "line": None}
            errors = [*errors, problem]
        batch = Batch(
            request=fields,
            lines=shuffle(lines),
            errors=errors,
            began=time.monotonic(),
            expires_after=int(expiry.answer) if expiry else None,
        )
        if not self._seconds and not errors:
            batch.enter("in_progress")
        self._batches[batch.id] = batch
        self._ledger.batches += 1
        return await answer(batch.to_json(), rule)

    async def list(self, request: Request) -> Response:
        """Answer GET /v1/batches, newest first."""
        newest_first = list(reversed(self._batches.values()))
        await self._advance(*newest_first)
        shown = [batch.to_json() for batch in newest_first]
        return page(shown, request, default=20, maximum=100)

    async def show(self, request: Request) -> Response:
        """Answer GET /v1/batches/{id}."""
        batch = self._batches.get(request.path_params["id"])
        if not batch:
            return _unknown(request)
        await self._advance(batch)
        return JSONResponse(batch.to_json())

    async def cancel(self, request: Request) -> Response:
        """Answer POST /v1/batches/{id}/cancel. Requests that are done are kept and charged."""
        batch = self._batches.get(request.path_params["id"])
        if not batch:
            return _unknown(request)
        async with self._lock:
            if self._seconds:
                await self._advance_one(batch)
            if batch.status in ENDED:
                message = f"Cannot cancel a batch with status '{batch.status}'."
                return refusal(message, None, None, status=409)
            batch.enter("cancelling")
        return JSONResponse(batch.to_json())

    async def _advance(self, *batches: Batch) -> None:
        """Move batches to the status that fits their age."""
        async with self._lock:
            for batch in batches:
                await self._advance_one(batch)

    async def _advance_one(self, batch: Batch) -> None:
        age = min(1.0, (time.monotonic() - batch.began) / self._seconds) if self._seconds else 1.0
        if batch.status in ENDED or age < VALIDATED:
            return
        if batch.status == "cancelling":
            self._end(batch, "cancelled")
        elif batch.errors:
            batch.enter("failed")
        else:
            batch.enter("in_progress")
            share = min(1.0, (age - VALIDATED) / (DONE - VALIDATED))
            await self._run(batch, upto=int(len(batch.lines) * share))
            if age >= DONE:
                batch.enter("finalizing")
            if age >= 1:
                is_complete = len(batch.outcomes) == len(batch.lines)
                self._end(batch, "completed" if is_complete else "expired")

    async def _run(self, batch: Batch, *, upto: int) -> None:
        """Carry out the requests up to this many, unless the batch expires first."""
        for line in batch.lines[len(batch.outcomes) : upto]:
            succeeded = [outcome for outcome in batch.outcomes if outcome.status == 200]
            finished = sum(outcome.line.pictures for outcome in succeeded)
            if batch.expires_after is not None and finished + line.pictures > batch.expires_after:
                return
            batch.outcomes.append(await self._outcome(line, batch.request["endpoint"]))

    async def _outcome(self, line: Line, endpoint: str) -> Outcome:
        try:
            request = await self._checked(line.body, endpoint)
        except RefusedError as refused:
            return Outcome(line=line, status=400, body=ApiError.of(refused).to_json())
        rule = self._faults.take(endpoint, line.body["prompt"])
        if rule and is_replaced(rule):
            body = rule.body if rule.status else rule.answer
            status = rule.status or 200
            charged = rule.charged and status == 200  # no line of the error file costs anything
            return Outcome(line=line, request=request, status=status, body=body, charged=charged)
        if rule and rule.cut:
            return Outcome(line=line, request=request, error=LOST, charged=rule.charged)
        return Outcome(line=line, request=request, status=200, charged=True)

    async def _checked(self, body: Mapping[str, Any], endpoint: str) -> ImageRequest:
        if endpoint == EDITS:
            return await asyncio.to_thread(edits.check, body, self._files)
        check_image(body)
        return ImageRequest(parameters=body)

    def _end(self, batch: Batch, status: str) -> None:
        """Charge the images, and store the two result files."""
        undone = batch.lines[len(batch.outcomes) :]
        batch.outcomes += [Outcome(line=line, error=UNDONE[status]) for line in undone]
        now = int(time.time())
        succeeded: list[NumberedLine] = []
        failed: list[NumberedLine] = []
        for outcome in batch.outcomes:
            numbers = self._charge(outcome) if outcome.charged else []
            result = (outcome.line.number, partial(self._write, outcome, numbers, now))
            (succeeded if outcome.status == 200 else failed).append(result)
        batch.output_file_id = self._store(f"{batch.id}_output.jsonl", succeeded)
        batch.error_file_id = self._store(f"{batch.id}_error.jsonl", failed)
        batch.tokens = _tokens([outcome for outcome in batch.outcomes if outcome.charged])
        batch.enter(status)

    def _charge(self, outcome: Outcome) -> Sequence[int]:
        """Charge a request, and return the number of each image among those of its prompt."""
        line, request = outcome.line, outcome.request
        self._ledger.batch_images += line.pictures
        self._ledger.call(line.body, request.inputs if request else None)
        return [self._ledger.image(line.body["prompt"]) for _ in range(line.pictures)]

    def _write(self, outcome: Outcome, numbers: Sequence[int], created: int) -> bytes:
        """Return a result line. Each read paints it again, with the same result."""
        body = outcome.body
        if outcome.status == 200 and body is None and outcome.request:
            body = self._painter.body(outcome.request, numbers, created=created)
        return to_bytes(outcome.to_json(body)) + b"\n"

    def _store(self, name: str, lines: Sequence[NumberedLine]) -> str | None:
        """Return the id of a file with these lines, or None if there are no lines."""
        if not lines:
            return None
        numbers = [number for number, _ in lines]
        # One file's lines may be in order even though the batch's lines are shuffled.
        in_order = numbers == sorted(numbers)
        pieces = [make for _, make in (reversed(lines) if in_order else lines)]
        return self._files.add(File(filename=name, purpose="batch_output", pieces=pieces))


def _tokens(outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    usages = [
        outcome.request.usage(outcome.line.pictures) for outcome in outcomes if outcome.request
    ]
    input_tokens, output_tokens = (
        sum(tokens[name] for tokens in usages) for name in ("input_tokens", "output_tokens")
    )
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }


def _unknown(request: Request) -> Response:
    message = f"No batch found with id '{request.path_params['id']}'."
    return refusal(message, None, None, status=404)
