"""What runs and gallery tell alike of a picture."""

from dataclasses import asdict

from functions.adapters.records import PromptRecord
from functions.api import answers
from functions.api.outside import Outside

PROMPT_SHOWN = 1_000


def links(key: str, outside: Outside) -> answers.Links:
    """The links of a stored picture."""
    return answers.Links.model_validate(asdict(outside.links.of(key)))


def cut(prompt: PromptRecord | None) -> tuple[str, bool]:
    """A prompt's beginning, and whether there is more of it."""
    text = prompt.text if prompt else ""
    return text[:PROMPT_SHOWN], len(text) > PROMPT_SHOWN
