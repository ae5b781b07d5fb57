"""Checks the whole request, then writes and keeps the image prompt."""

from datetime import UTC, date, datetime
from typing import Any, Protocol

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start, keys, models, request, signals
from functions.adapters import openai_api
from functions.adapters.budget import Budget, month_of
from functions.adapters.claims import CLAIMED, check_purchases
from functions.adapters.object_store import ObjectStore, store
from functions.adapters.openai_api import ChatAnswer
from functions.adapters.records import ChatRecord, PromptRecord, Records
from functions.adapters.table import table
from functions.contract import Prompt, Start
from functions.deadline import Deadline
from functions.errors import ClaimHeldError, ConfigError, ConflictError, EaselError, TransientError
from functions.prompt import pricing, writing
from functions.prompt.pricing import Question
from functions.request import Request
from functions.settings import Settings, settings
from functions.telemetry import gauge, logger, say, spend, step

CHAT_SECONDS, MARGIN_SECONDS = 60.0, 10.0
LEAST_CALL_SECONDS = 5.0
# What later steps need of the request, fixed by the run's first execution.
CHOICES = (
    "folder_name", "file_name", "style", "count", "model", "size", "quality", "output_format", "output_compression", "background",
    "moderation", "safety_identifier",
)  # fmt: skip


class Chat(Protocol):
    """What this step needs of OpenAI."""

    def chat(
        self, *, model: str, system: str, user: str, schema: dict[str, Any], safety_identifier: str | None, timeout: float
    ) -> ChatAnswer:
        """One answer."""


@step("prompt")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Entry point of the prompt step: Start in, Prompt out."""
    budget = Budget(table(), setting=settings().monthly_budget_micro_usd)
    outside: dict[str, Any] = {"chat": openai_api.api(), "book": Records(table(), budget), "budget": budget, "store": store()}
    return run(Start.from_state(event), settings=settings(), now=datetime.now(UTC), deadline=Deadline(context), **outside).to_state()


def run(
    start: Start,
    *,
    settings: Settings,
    now: datetime,
    deadline: Deadline,
    chat: Chat,
    book: Records,
    budget: Budget,
    store: ObjectStore,
) -> Prompt:
    """Make sure that the run's prompt record stands, at the price of at most one chat call."""
    wanted = request.parse(start.request, request.defaults(settings), today=now.date())
    if wanted.action != "create":
        raise ConfigError(f"a {wanted.action} request came to the prompt step; is the state machine older than the functions?")
    run_id = wanted.request_id or keys.check_run_id(start.execution_name, field="the execution's name")
    logger.append_keys(run_id=run_id)
    _tell_days_left(wanted, settings, today=now.date())
    # The chat call first: once it is written, the prompt is there, too.
    earlier, known = book.chat(run_id), book.prompt(run_id)
    if known is None:
        topic = writing.pick_topic(wanted, run_id=run_id)
        question = pricing.question(wanted, topic, settings, today=now.date())
        estimate = pricing.estimate(wanted, question)
        if wanted.dry_run:
            return Prompt(run_id=run_id, variations=(), dry_run=True, estimate_micro_usd=estimate)
        if earlier:
            # Waited for while it lasts; of an unknown outcome, it is made again once.
            earlier = book.claims.outlived(earlier)
            check_purchases(earlier)
        # The marker proves the bucket and the rights before anything is paid.
        store.put_if_absent(keys.folder_marker(wanted.folder_name), b"", content_type="application/x-directory")
        budget.check(budget.read(month_of(now)), estimate, purpose=f"run {run_id}")
        known = _written(start, wanted, question, earlier, run_id=run_id, topic=topic, now=now, deadline=deadline, chat=chat, book=book)
    if known.digest != request.digest(start.request):
        raise ConflictError(f"run id {run_id} belongs to another request; use another request_id, or the first request unchanged")
    if known.execution != start.found_by and not wanted.dry_run:
        book.note_execution(known, start.found_by)
    variations = () if wanted.dry_run else tuple(range(1, wanted.count + 1))
    return Prompt(run_id=run_id, variations=variations, dry_run=wanted.dry_run, estimate_micro_usd=known.estimate_micro_usd)


def _tell_days_left(wanted: Request, settings: Settings, *, today: date) -> None:
    """How long the models of this run are still there, as far as an end is known."""
    ends = [end for model in (wanted.model, settings.chat_model) if (end := models.shutdown(model))]
    if ends:
        gauge(signals.MODEL_DAYS_LEFT, min((day - today).days for day, _ in ends))


def _written(
    start: Start,
    wanted: Request,
    question: Question | None,
    earlier: ChatRecord | None,
    *,
    run_id: str,
    topic: str,
    now: datetime,
    deadline: Deadline,
    chat: Chat,
    book: Records,
) -> PromptRecord:
    """The run's prompt record as it stands now: ours, or that of another execution that was first."""
    claim, written, cost = None, writing.as_given(wanted.prompt or ""), None if question else 0
    if question:
        claim = _claim(run_id, question, earlier, now=now, deadline=deadline, book=book)
        timeout = min(CHAT_SECONDS, deadline.seconds() - MARGIN_SECONDS)
        written, cost = _ask(question, claim, user=wanted.safety_identifier, timeout=timeout, chat=chat, book=book)
    record = PromptRecord(
        run_id=run_id,
        digest=request.digest(start.request),
        started=start.started,
        text=written.prompt,
        title=written.title,
        alt_text=written.alt_text,
        tags=written.tags,
        topic=topic,
        choices={name: getattr(wanted, name) for name in CHOICES},
        estimate_micro_usd=pricing.estimate(wanted, question, text=written.prompt),
        chat_model=question.model if question else None,
        chat_cost_micro_usd=cost,
        execution=start.found_by,
    )
    if book.keep_prompt(record, paid=claim):
        return record
    kept = book.prompt(run_id)
    if kept is None:
        raise ClaimHeldError(f"the prompt of run {run_id} was taken over by another execution")
    return kept


def _claim(run_id: str, question: Question, earlier: ChatRecord | None, *, now: datetime, deadline: Deadline, book: Records) -> ChatRecord:
    """The claim of the chat call, taken; `earlier` is one whose outcome is unknown."""
    if deadline.seconds() < LEAST_CALL_SECONDS + MARGIN_SECONDS:
        raise TransientError(f"the prompt of run {run_id}: {deadline.seconds():.0f} s are too few to ask for it; a new try has more")
    claim = ChatRecord(
        run_id=run_id,
        status=CLAIMED,
        purchase=earlier.purchase + 1 if earlier else 1,
        possibly_paid=earlier.possibly_paid if earlier else 0,
        lease_until=deadline.epoch(),
        month=month_of(now),
        reserved_micro_usd=question.estimate_micro_usd,
    )
    book.claims.take(claim, after=earlier)
    return claim


def _ask(
    question: Question, claim: ChatRecord, *, user: str | None, timeout: float, chat: Chat, book: Records
) -> tuple[writing.Written, int | None]:
    """One chat call: what it wrote and its cost in micro-dollars, which is settled with the record."""
    asked: dict[str, Any] = {"system": writing.SYSTEM, "user": question.user, "schema": writing.SCHEMA}
    try:
        answer = chat.chat(model=question.model, **asked, safety_identifier=user, timeout=timeout)
        written = writing.read_answer(answer.text)
        if written is None:
            raise TransientError(f"{question.model} wrote an empty prompt (request {answer.request_id})", possibly_paid=True)
    except EaselError as error:
        book.claims.give_up(claim, error)
        raise
    cost = models.chat_cost(question.model, answer.usage)
    spend(cost)
    say("prompt written", model=question.model)
    return written, cost


cold_start.ready(openai_api.api, store, table)
