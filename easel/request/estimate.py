"""What a request costs at most, before any of it is bought: the chat call, if there is one, and the pictures."""

from dataclasses import dataclass
from datetime import date

from functions import models
from functions.errors import ConfigError
from functions.prompt import writing
from functions.request import Request
from functions.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the chat model is asked, and the upper bound of that call; micro-dollars, None where its price is unknown."""

    model: str
    user: str
    estimate_micro_usd: int | None


def question(wanted: Request, topic: str, settings: Settings, *, today: date) -> Question | None:
    """The question to the chat model, None where the caller gives the prompt. Raises ModelRetiredError or ConfigError (no known price)."""
    if wanted.prompt:
        return None
    model = settings.chat_model
    models.check_not_retired(model, today=today)
    user = writing.user_message(wanted, topic=topic)
    bound = models.estimate_chat(model, messages=writing.SYSTEM + user)
    if bound is None and not settings.unpriced_models_allowed:
        raise ConfigError(f"chat model {model!r} has no known price; set chat_model to another, or unpriced_models to allow")
    return Question(model=model, user=user, estimate_micro_usd=bound)


def estimate(
    wanted: Request, question: Question | None, *, text: str | None = None, pictures: int | None = None, economy: bool = False
) -> int | None:
    """Upper bound of the run in micro-dollars, None where a price is unknown; `text` is the prompt, once it is written.

    `pictures` is how many have to be bought, where that is not the request's count.
    """
    picture = models.estimate_image(wanted.model, prompt=text or wanted.prompt, size=wanted.size, quality=wanted.quality, economy=economy)
    chat = question.estimate_micro_usd if question else 0
    return None if picture is None or chat is None else chat + (wanted.count if pictures is None else pictures) * picture


def dearest_topic(wanted: Request) -> str:
    """The topic that makes the longest question, where the run's id has yet to choose."""
    return max(writing.topics_of(wanted), key=lambda topic: len(writing.user_message(wanted, topic=topic).encode()))
