"""The upper bound of a run before anything is bought: the chat call, if any, and the images."""

from dataclasses import dataclass
from datetime import date

from easel.contract.errors import ConfigError
from easel.contract.money import add
from easel.contract.settings import RequestSettings
from easel.request import models, prompt_text
from easel.request.request import Request

ATTEMPTS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Question:
    """The question to the chat model. It is asked once more if the answer contains no prompt."""

    model: str
    user: str

    def bound(self, attempt: int) -> int | None:
        """Return the upper bound of an attempt (1 or 2) in micro-dollars, or None if unknown."""
        messages = prompt_text.SYSTEM + self.user
        return models.estimate_chat(self.model, messages=messages, attempt=attempt)

    @property
    def estimate_micro_usd(self) -> int | None:
        """Return the upper bound of both attempts, or None if the price is unknown."""
        return add(self.bound(attempt) for attempt in ATTEMPTS)


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The purchases of a request: the chat call, if the prompt is not given, and the images.

    `prompt` is the text that the images are painted from, or None if it is not written yet.
    """

    request: Request
    question: Question | None
    prompt: str | None

    def total(self, *, images: int | None = None, economy: bool = False) -> int | None:
        """Return the upper bound in micro-dollars, or None if a price is unknown.

        `images` is the number of images to buy, by default the request's count.
        """
        request = self.request
        per_image = models.estimate_image(
            request.model,
            prompt=self.prompt,
            size=request.size,
            quality=request.quality,
            economy=economy,
        )
        chat = self.question.estimate_micro_usd if self.question else 0
        if per_image is None or chat is None:
            return None
        return chat + (request.count if images is None else images) * per_image

    def with_prompt(self, text: str) -> "Quote":
        """Return the quote with the written prompt."""
        return Quote(request=self.request, question=self.question, prompt=text)

    def without_question(self, text: str) -> "Quote":
        """Return the quote for the images only, after the prompt is written and paid."""
        return Quote(request=self.request, question=None, prompt=text)


def quote(request: Request, topic: str, settings: RequestSettings, *, today: date) -> Quote:
    """Return the purchases of a request.

    Raises ModelRetiredError, or ConfigError for a chat model without a known price.
    """
    if request.prompt:
        return Quote(request=request, question=None, prompt=request.prompt)
    model = settings.chat_model
    models.check_not_retired(model, today=today)
    user = request.user_message(topic)
    question = Question(model=model, user=user)
    if question.estimate_micro_usd is None and not settings.unpriced_models_allowed:
        raise ConfigError(
            f"chat model {model!r} has no known price; set chat_model to another model, or set "
            "unpriced_models to allow"
        )
    return Quote(request=request, question=question, prompt=None)


def dearest_topic(request: Request) -> str:
    """Return the topic with the longest question, for a run without a chosen topic yet."""
    return max(request.possible_topics, key=lambda topic: len(request.user_message(topic).encode()))
