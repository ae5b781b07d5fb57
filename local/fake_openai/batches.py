"""The stand-in's Batch API: up to 200 pictures in one file, made in the background, and charged when the batch ends."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.fake_openai.answers import answer, error_body, is_done, is_replaced, refusal, written
from local.fake_openai.batch import ENDED, Batch, Outcome, unordered
from local.fake_openai.batch_input import Line, read
from local.fake_openai.faults import Faults
from local.fake_openai.files import File, Files
from local.fake_openai.ledger import Ledger
from local.fake_openai.pages import page
from local.fake_openai.pictures import Painter, usage
from local.fake_openai.requests import RefusedError, check_batch, check_image

EXPIRE = "/v1/batches/expire"  # what a rule calls the end of the next batch's time; its answer is a number of pictures
# The shares of a batch's time at which it has been validated and at which all its requests are done.
VALIDATED, DONE = 0.1, 0.9
UNDONE = {
    "expired": {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."},
    "cancelled": {"code": "batch_cancelled", "message": "This request was not executed: the batch was cancelled."},
}
Numbered = tuple[int, Callable[[], bytes]]  # a line of a result, with the number of its request in the input
LOST = {"code": "request_timeout", "message": "The underlying call to the model timed out."}


class Batches:
    """The batches of an account, oldest first. One takes `seconds`; with 0 it ends when it is looked at for the first time."""

    def __init__(
        self,
        files: Files,
        *,
        faults: Faults,
        ledger: Ledger,
        painter: Painter,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files, self._faults, self._ledger, self._painter = files, faults, ledger, painter
        self._seconds, self._clock = seconds, clock
        self._made: dict[str, Batch] = {}

    def clear(self) -> None:
        """Forget all batches."""
        self._made.clear()

    def settle(self) -> None:
        """Charge what has ended by now, also where nobody has looked."""
        if self._seconds:
            for batch in self._made.values():
                self._look(batch)

    async def create(self, request: Request) -> Response:
        """POST /v1/batches."""
        body = await request.json()
        try:
            asked = check_batch(body)
        except RefusedError as refused:
            return refusal(str(refused), refused.code, refused.param)
        file = self._files.find(asked["input_file_id"])
        if not file or file.purpose != "batch":
            return refusal(f"No such File object: {asked['input_file_id']}", None, "input_file_id", status=404)
        rule = self._faults.take(request.url.path, json.dumps(body, ensure_ascii=False))
        if not is_done(rule):
            return await answer({}, rule)
        lines, errors = read(b"".join(make() for make in file.pieces), asked["endpoint"])
        expiry = self._faults.take(EXPIRE, json.dumps(asked["metadata"], ensure_ascii=False))
        batch = Batch(asked=asked, lines=unordered(lines), errors=errors, began=self._clock())
        batch.expires_after = int(expiry.answer) if expiry else None
        if not self._seconds and not errors:
            batch.enter("in_progress")
        self._made[batch.id] = batch
        self._ledger.batches += 1
        return await answer(batch.to_json(), rule)

    async def list(self, request: Request) -> Response:
        """GET /v1/batches, the newest first."""
        return page([self._look(batch).to_json() for batch in reversed(self._made.values())], request, usual=20, most=100)

    async def one(self, request: Request) -> Response:
        """GET /v1/batches/{id}."""
        batch = self._made.get(request.path_params["id"])
        return JSONResponse(self._look(batch).to_json()) if batch else _unknown(request)

    async def cancel(self, request: Request) -> Response:
        """POST /v1/batches/{id}/cancel. What is done by now is kept, and charged."""
        batch = self._made.get(request.path_params["id"])
        if not batch:
            return _unknown(request)
        if self._seconds:
            self._look(batch)
        if batch.status in ENDED:
            return refusal(f"Cannot cancel a batch with status '{batch.status}'.", None, None, status=409)
        batch.enter("cancelling")
        return JSONResponse(batch.to_json())

    def _look(self, batch: Batch) -> Batch:
        """Bring a batch to where it is by now."""
        gone = min(1.0, (self._clock() - batch.began) / self._seconds) if self._seconds else 1.0
        if batch.status in ENDED or gone < VALIDATED:
            return batch
        if batch.status == "cancelling":
            self._end(batch, "cancelled")
        elif batch.errors:
            batch.enter("failed")
        else:
            batch.enter("in_progress")
            self._run(batch, upto=int(len(batch.lines) * min(1.0, (gone - VALIDATED) / (DONE - VALIDATED))))
            if gone >= DONE:
                batch.enter("finalizing")
            if gone >= 1:
                self._end(batch, "completed" if len(batch.outcomes) == len(batch.lines) else "expired")
        return batch

    def _run(self, batch: Batch, *, upto: int) -> None:
        """Let the requests have their turns up to this many, unless its time is over before."""
        for line in batch.lines[len(batch.outcomes) : upto]:
            finished = sum(outcome.line.pictures for outcome in batch.outcomes if outcome.status == 200)
            if batch.expires_after is not None and finished + line.pictures > batch.expires_after:
                return
            batch.outcomes.append(self._outcome(line))

    def _outcome(self, line: Line) -> Outcome:
        try:
            check_image(line.body)
        except RefusedError as refused:
            body = error_body("invalid_request_error", str(refused), refused.code, refused.param)
            return Outcome(line=line, status=400, body=body)
        rule = self._faults.take("/v1/images/generations", line.body["prompt"])
        if rule and is_replaced(rule):
            return Outcome(line=line, status=rule.status or 200, body=rule.body if rule.status else rule.answer, charged=rule.charged)
        if rule and rule.cut:
            return Outcome(line=line, error=LOST, charged=rule.charged)
        return Outcome(line=line, status=200, charged=True)

    def _end(self, batch: Batch, status: str) -> None:
        """Charge what was made, and write the two files."""
        undone = batch.lines[len(batch.outcomes) :]
        batch.outcomes += [Outcome(line=line, error=UNDONE[status]) for line in undone]
        now = int(time.time())
        good: list[Numbered] = []
        bad: list[Numbered] = []
        for outcome in batch.outcomes:
            numbers = [self._charge(outcome.line) for _ in range(outcome.line.pictures)] if outcome.charged else []
            (good if outcome.status == 200 else bad).append((outcome.line.number, partial(self._write, outcome, numbers, now)))
        batch.output_file_id = self._keep(f"{batch.id}_output.jsonl", good)
        batch.error_file_id = self._keep(f"{batch.id}_error.jsonl", bad)
        batch.tokens = _tokens([outcome.line for outcome in batch.outcomes if outcome.charged])
        batch.enter(status)

    def _charge(self, line: Line) -> int:
        self._ledger.batch_images += 1
        self._ledger.call(line.body)
        return self._ledger.image(line.body["prompt"])

    def _write(self, outcome: Outcome, numbers: Sequence[int], created: int) -> bytes:
        """A line of a result. It is painted each time that it is read, and is the same each time."""
        true = outcome.status == 200 and outcome.body is None
        body = self._painter.answer(outcome.line.body, numbers, created=created) if true else outcome.body
        return written(outcome.to_json(body)) + b"\n"

    def _keep(self, name: str, lines: Sequence[Numbered]) -> str | None:
        """The id of a file of these lines, None for one that has none."""
        if not lines:
            return None
        numbers = [number for number, _ in lines]
        in_order = numbers == sorted(numbers)
        pieces = [make for _, make in (reversed(lines) if in_order else lines)]
        return self._files.add(File(filename=name, purpose="batch_output", pieces=pieces))


def _tokens(lines: Sequence[Line]) -> Mapping[str, Any]:
    used = [usage(line.body, line.pictures) for line in lines]
    asked, drawn = (sum(one[name] for one in used) for name in ("input_tokens", "output_tokens"))
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": drawn,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": asked + drawn,
    }


def _unknown(request: Request) -> Response:
    return refusal(f"No batch found with id '{request.path_params['id']}'.", None, None, status=404)
