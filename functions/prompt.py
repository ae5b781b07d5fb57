"""Checks the whole request, then writes and stores the image prompt."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import Deadline, prepare
from easel.aws.observability import gauge, log_result, logger, spend, step
from easel.contract import metric_names, naming
from easel.contract.errors import (
    BadPromptError,
    ClaimHeldError,
    ConfigError,
    ConflictError,
    EaselError,
)
from easel.contract.messages import RunPlan, StartRun
from easel.contract.money import add
from easel.ledger.attribution import Attribution
from easel.ledger.budget import month_of
from easel.ledger.purchase import Purchases
from easel.ledger.records import ChatRecord, PromptRecord
from easel.openai_client.chat import ChatAnswer, ChatCall, ChatModel
from easel.request import models, prompt_answer, prompt_text
from easel.request.estimate import ATTEMPTS, Question, Quote, quote
from easel.request.names import check_run_id
from easel.request.presets import apply_preset
from easel.request.prompt_text import PromptTexts
from easel.request.request import choices, digest, kept_request, parse
from easel.services import SERVICES, Services

MARGIN_SECONDS = 10.0
LEAST_CALL_SECONDS = 5.0
MAX_THUMBNAIL_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A run without a prompt yet. `call_seconds` is the time limit of one chat call."""

    start: StartRun
    preset: dict[str, Any] | None
    run_id: str
    topic: str
    quote: Quote
    call_seconds: int

    @property
    def attribution(self) -> Attribution:
        """Return the attribution of the chat call."""
        request, question = self.quote.request, self.quote.question
        return Attribution(
            folder=request.folder_name,
            person=request.person,
            trigger=request.started_by(self.run_id),
            model=question.model if question else request.model,
            tags=request.tags or (),
        )


@step("prompt")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Take a StartRun and return a RunPlan."""
    return run(StartRun.from_state(event), SERVICES, Deadline(context)).to_state()


def run(start: StartRun, services: Services, deadline: Deadline) -> RunPlan:
    """Make sure that the run has a prompt record, with at most one paid chat call."""
    today, ledger = services.now().date(), services.ledger
    expanded, preset = _expand(start, services)
    request = parse(expanded, services.requests, today=today)
    if request.action != "create":
        raise ConfigError(
            f"the prompt step received a {request.action} request; the state machine may be older "
            "than the functions: deploy the stack again"
        )
    run_id = request.request_id or check_run_id(start.execution_name, "the execution's name")
    logger.append_keys(run_id=run_id)
    _report_days_left(request.model, services)
    # The chat record must be read first: if it is finished, the prompt record is there as well.
    earlier, known = ledger.chat(run_id), ledger.prompt(run_id)
    if known is None:
        if earlier and not request.dry_run:
            # This waits for a running call. A call with an unknown outcome is repeated once. It is
            # settled before the inputs are looked up, because the run ends here if one is gone.
            earlier = services.purchases(deadline).recover_chat(earlier)
        topic = request.pick_topic(run_id)
        inputs = services.references().resolve(request)
        run_quote = quote(request, topic, services.requests, today=today, inputs=inputs)
        if request.dry_run:
            return _plan(run_id, 0, run_quote.total(), dry_run=True)
        draft = Draft(
            start=start,
            preset=preset,
            run_id=run_id,
            topic=topic,
            quote=run_quote,
            call_seconds=services.time_limits.chat_seconds,
        )
        known = _write(draft, earlier, services, deadline)
    if known.digest != digest(start.request, known.inputs, preset=known.preset):
        raise ConflictError(
            f"run id {run_id!a} belongs to another request; use another request_id, or send the "
            "first request unchanged"
        )
    if known.execution != start.execution_id and not request.dry_run:
        ledger.note_execution(known, start.execution_id)
    count = 0 if request.dry_run or request.only_prompt else request.count
    if count and request.edited_prompt not in (None, known.text):
        known = ledger.edit_prompt(known, str(request.edited_prompt))
    return _plan(run_id, count, known.estimate_micro_usd, dry_run=request.dry_run)


def _expand(start: StartRun, services: Services) -> tuple[Any, dict[str, Any] | None]:
    """Return the request with the fields of its preset, and these fields or None.

    A run that has begun keeps the fields that the preset had.
    """
    raw = start.request
    if not isinstance(raw, dict) or raw.get("preset") is None:
        return raw, None
    run_id = check_run_id(raw.get("request_id") or start.execution_name, "request_id")
    known = services.ledger.prompt(run_id)
    if known and known.preset is not None:
        return apply_preset(raw, known.preset), known.preset
    return services.presets.expand(raw)


def _plan(run_id: str, count: int, estimate: int | None, *, dry_run: bool) -> RunPlan:
    numbers = tuple(range(1, count + 1))
    return RunPlan(run_id=run_id, variations=numbers, dry_run=dry_run, estimate_micro_usd=estimate)


def _report_days_left(image_model: str, services: Services) -> None:
    """Report how many days the run's models are still available, if a shutdown date is known."""
    used = (image_model, services.requests.chat_model)
    ends = [end for model in used if (end := models.shutdown(model))]
    if ends:
        today = services.now().date()
        left = min((day - today).days for day, _ in ends)
        gauge(metric_names.MODEL_DAYS_LEFT, left)


def _write(
    draft: Draft, earlier: ChatRecord | None, services: Services, deadline: Deadline
) -> PromptRecord:
    """Write the prompt and store its record. Return another execution's record if it was first."""
    purchases, ledger = services.purchases(deadline), services.ledger
    request, question = draft.quote.request, draft.quote.question
    # The marker proves the bucket and the permissions before anything is paid.
    marker = naming.folder_marker(request.folder_name)
    services.bucket.put_if_absent(marker, b"", content_type="application/x-directory")
    month, images = month_of(services.now()), 0 if request.only_prompt else request.count
    total = draft.quote.total(images=images)
    ledger.claims.check(month, draft.attribution, total, f"run {draft.run_id}")
    services.reference_users.keep(
        draft.quote.inputs,
        run_id=draft.run_id,
        started=draft.start.started,
        images=request.count,
    )
    if question is None:
        record = _record(draft, prompt_text.from_caller(request.prompt or ""), chat_cost=0)
        is_kept = ledger.keep_prompt(record, paid=None)
    else:
        chat = earlier or ChatRecord(run_id=draft.run_id)
        thumbnails = _thumbnails(draft, question, services)
        model = services.chat_model
        claim, texts, chat_cost = _ask(draft, question, chat, purchases, model, thumbnails)
        record = _record(draft, texts, chat_cost=chat_cost)
        is_kept = purchases.write_only_copy(lambda: ledger.keep_prompt(record, paid=claim))
    if is_kept:
        return record
    first = ledger.prompt(draft.run_id)
    if first is None:
        raise ClaimHeldError(f"another execution has taken over the prompt of run {draft.run_id}")
    return first


def _ask(
    draft: Draft,
    question: Question,
    chat: ChatRecord,
    purchases: Purchases,
    chat_model: ChatModel,
    thumbnails: tuple[bytes, ...],
) -> tuple[ChatRecord, PromptTexts, int | None]:
    """Ask for the prompt, and once more with more room if the answer contains none.

    Return the claim, the texts, and the cost of all answers in micro-dollars. The claim is settled
    later, when the prompt record is stored. Raises BadPromptError.
    """
    while True:
        purchases.require_seconds(LEAST_CALL_SECONDS + MARGIN_SECONDS, chat.label)
        attempt = chat.purchase + 1
        claim = purchases.claim(chat, bound=question.bound(attempt), attribution=draft.attribution)
        call = _call(question, draft.quote.request.safety_identifier, attempt, thumbnails)
        try:
            left = purchases.deadline.seconds() - MARGIN_SECONDS
            answer = chat_model.write(call, timeout=min(draft.call_seconds, left))
        except EaselError as error:
            purchases.give_up(claim, error)
            raise
        texts = prompt_answer.read_answer(answer.text, cut=answer.cut)
        cost = models.chat_cost(call.model, answer.usage)
        if texts:
            spend(cost)
            log_result("prompt written", model=call.model)
            return claim, texts, add([claim.wasted_micro_usd or 0, cost])
        chat = purchases.waste(claim, cost=cost)
        problem = _describe(answer, call)
        if attempt == ATTEMPTS[-1]:
            raise BadPromptError(f"{problem}; shorten the idea, or write the prompt yourself")
        logger.warning("the chat model is asked again", reason=problem)


def _describe(answer: ChatAnswer, call: ChatCall) -> str:
    """Return what is wrong with an answer, without its words."""
    if answer.cut:
        effort = f", effort {call.effort}" if call.effort else ""
        problem = f"was cut off at its limit of {call.max_tokens:,} tokens{effort}"
    elif not answer.text.strip():
        problem = "is empty"
    else:
        problem = f"contains no prompt ({len(answer.text):,} characters)"
    return f"{call.model}'s answer {problem} (request {answer.request_id})"


def _thumbnails(draft: Draft, question: Question, services: Services) -> tuple[bytes, ...]:
    """Return what the chat model sees of the reference images. One without a thumbnail is left out.

    They are read before the call is claimed.
    """
    if not question.thumbnails:
        return ()
    keys = (naming.thumbnail_key(image.key) for image in draft.quote.inputs.images)
    found = (services.bucket.get(key, limit=MAX_THUMBNAIL_BYTES) for key in keys)
    return tuple(data for data in found if data)


def _call(
    question: Question, safety_identifier: str | None, attempt: int, thumbnails: tuple[bytes, ...]
) -> ChatCall:
    return ChatCall(
        model=question.model,
        system=question.system,
        user=question.user,
        schema=prompt_text.SCHEMA,
        max_tokens=models.chat_tokens(question.model, attempt=attempt),
        effort=models.chat_effort(question.model, attempt=attempt),
        safety_identifier=safety_identifier,
        images=thumbnails,
    )


def _record(draft: Draft, texts: PromptTexts, *, chat_cost: int | None) -> PromptRecord:
    request, question = draft.quote.request, draft.quote.question
    return PromptRecord(
        run_id=draft.run_id,
        digest=digest(draft.start.request, draft.quote.inputs, preset=draft.preset),
        started=draft.start.started,
        text=texts.prompt,
        title=texts.title,
        alt_text=texts.alt_text,
        tags=texts.tags,
        topic=draft.topic,
        choices=choices(request),
        estimate_micro_usd=draft.quote.with_prompt(texts.prompt).total(),
        chat_model=question.model if question else None,
        chat_cost_micro_usd=chat_cost,
        execution=draft.start.execution_id,
        inputs=draft.quote.inputs,
        request=kept_request(draft.start.request),
        person=request.person,
        trigger=request.started_by(draft.run_id),
        preset=draft.preset,
    )


prepare(lambda: SERVICES.chat_model, lambda: SERVICES.bucket, lambda: SERVICES.ledger)
