"""Checks a request's choices against the facts of its image model, before anything is paid."""

from datetime import date
from typing import TYPE_CHECKING

from easel.contract.errors import ConfigError, InputError, Summary
from easel.contract.settings import RequestSettings
from easel.request import models, sizes

if TYPE_CHECKING:
    from easel.request.request import Request


def check_model(request: "Request", settings: RequestSettings, *, today: date) -> None:
    """Raise an error if the model is shut down, has no price, or does not offer a choice.

    Raises ModelRetiredError, ConfigError or InputError.
    """
    models.check_not_retired(request.model, today=today)
    facts = models.image_facts(request.model)
    if facts is None and not settings.unpriced_models_allowed:
        if request.model == settings.image_model:
            raise ConfigError(
                f"the setting image_model is {request.model!r}, which has no known price, so the "
                "monthly cap cannot be kept; set it to another model, or set unpriced_models to "
                "allow, which exempts it from the cap"
            )
        known = ", ".join(models.image_models(today=today))
        raise InputError(
            "model",
            request.model,
            f"one with a known price: {known} (the setting unpriced_models allows others)",
        )
    if facts:
        _check_facts(request, facts)
    names = request.reference_images or ()
    if request.mask and request.mask.key in [name.key for name in names]:
        raise InputError("mask", request.mask.key, "another image than the reference images")
    if request.reference_images and request.moderation != "auto":
        reason = "OpenAI does not offer it for images from images"
        allowed = "auto with reference_images"
        raise InputError("moderation", request.moderation, allowed, but=reason)
    if request.background == "transparent" and request.output_format == "jpeg":
        allowed = "auto or opaque with output_format jpeg, which has no transparency"
        raise InputError("background", "transparent", allowed)
    if request.output_compression is not None and request.output_format == "png":
        allowed, value = "with output_format jpeg or webp", request.output_compression
        raise InputError("output_compression", value, allowed, but="png is always lossless")


def _check_facts(request: "Request", facts: models.ImageFacts) -> None:
    """Raise InputError for a choice that the model does not offer."""
    sizes.check(request.size, request.model, facts)
    names = request.reference_images or ()
    if names and not facts.inputs:
        allowed = "no reference images, or a model that makes images from images"
        raise InputError("reference_images", Summary(f"a list of {len(names)}"), allowed)
    if len(names) > facts.inputs:
        allowed = f"at most {facts.inputs} with {request.model}"
        raise InputError("reference_images", Summary(f"a list of {len(names)}"), allowed)
    for field, offered in (
        ("quality", ("auto", *facts.effort)),
        ("background", tuple(facts.backgrounds)),
    ):
        value = getattr(request, field)
        if value not in offered:
            raise InputError(field, value, f"{', '.join(offered)} with {request.model}")
