"""The upper bound of a run before anything is bought: the chat call, if any, and the images."""

from dataclasses import dataclass, replace
from datetime import date

from easel.contract.errors import ConfigError
from easel.contract.money import add
from easel.contract.settings import RequestSettings
from easel.request import models, prompt_text
from easel.request.references import Inputs
from easel.request.request import Request

ATTEMPTS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Question:
    """The question to the chat model. It is asked once more if the answer contains no prompt.

    `thumbnails` is the number of reference images that the model sees.
    """

    model: str
    user: str
    has_references: bool = False
    thumbnails: int = 0

    @property
    def system(self) -> str:
        """Return the instruction to the chat model."""
        return prompt_text.SYSTEM + (prompt_text.WITH_REFERENCES if self.has_references else "")

    def bound(self, attempt: int) -> int | None:
        """Return the upper bound of an attempt (1 or 2) in micro-dollars, or None if unknown."""
        messages = self.system + self.user
        return models.estimate_chat(
            self.model, messages=messages, attempt=attempt, images=self.thumbnails
        )

    @property
    def estimate_micro_usd(self) -> int | None:
        """Return the upper bound of both attempts, or None if the price is unknown."""
        return add(self.bound(attempt) for attempt in ATTEMPTS)


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The purchases of a request: the chat call, if the prompt is not given, and the images.

    `inputs` are the images that they are made from. `prompt` is the text that the images are
    painted from, or None if it is not written yet.
    """

    request: Request
    question: Question | None
    prompt: str | None
    inputs: Inputs

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
            inputs=self.inputs.sizes,
            economy=economy,
        )
        chat = self.question.estimate_micro_usd if self.question else 0
        if per_image is None or chat is None:
            return None
        return chat + (request.count if images is None else images) * per_image

    def with_prompt(self, text: str) -> "Quote":
        """Return the quote with the written prompt."""
        return replace(self, prompt=text)

    def without_question(self, text: str) -> "Quote":
        """Return the quote for the images only, after the prompt is written and paid."""
        return replace(self, question=None, prompt=text)


def quote(
    request: Request, topic: str, settings: RequestSettings, *, today: date, inputs: Inputs
) -> Quote:
    """Return the purchases of a request. `inputs` are the images that it names.

    Raises ModelRetiredError, or ConfigError for a chat model without a known price.
    """
    if request.prompt:
        return Quote(request=request, question=None, prompt=request.prompt, inputs=inputs)
    model = settings.chat_model
    models.check_not_retired(model, today=today)
    user = request.user_message(topic, inputs)
    question = Question(
        model=model,
        user=user,
        has_references=bool(inputs),
        thumbnails=len(inputs.images) if _shows_images(model, settings) else 0,
    )
    if question.estimate_micro_usd is None and not settings.unpriced_models_allowed:
        raise ConfigError(
            f"chat model {model!r} has no known price; set chat_model to another model, or set "
            "unpriced_models to allow"
        )
    return Quote(request=request, question=question, prompt=None, inputs=inputs)


def _shows_images(model: str, settings: RequestSettings) -> bool:
    return settings.chat_sees_references and models.sees_images(model)


def dearest_topic(request: Request) -> str:
    """Return the topic with the longest question, for a run without a chosen topic yet."""
    return max(request.possible_topics, key=lambda topic: len(request.user_message(topic).encode()))
