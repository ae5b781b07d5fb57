"""`make models`: compares models.toml with the installed openai package.

It also lists the models that will soon be shut down.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

from openai.types.image_generate_params import ImageGenerateParamsBase
from openai.types.image_model import ImageModel
from openai.types.shared.chat_model import ChatModel
from openai.types.shared.reasoning_effort import ReasoningEffort
from rich.console import Console
from rich.table import Table

from easel.request import models

SOON_DAYS = 90


def main() -> int:
    """Print the table's age, its gaps and wrong facts, and the models that end soon.

    Return 1 if an image model of the package has no price in the table, or a fact is wrong.
    """
    console, today = Console(highlight=False), datetime.now(UTC).date()
    date, sources = models.price_source()
    age = (today - date).days
    console.print(f"The table was read on {date} ({age} days ago) from {', '.join(sources)}.")
    known = models.known_models()
    images, chats = set(get_args(ImageModel)), set(get_args(ChatModel))
    unpriced = sorted(images - known["image"] - known["shutdown"])
    unknown = sorted((known["image"] - images) | (known["chat"] - chats))
    for names, where in (
        (unpriced, "in the openai package, but without a price here"),
        (unknown, "here, but not in the openai package"),
    ):
        console.print(f"{', '.join(names)}: {where}" if names else f"No model is {where}.")
    wrong = list(wrong_facts())
    for fact in wrong:
        console.print(fact)
    retiring = models.retiring_models(today=today, days=SOON_DAYS)
    table = Table(title=f"Shut down within {SOON_DAYS} days", title_justify="left")
    for column in ("model", "on", "in days", "use instead"):
        table.add_column(column)
    for name, (day, successor) in sorted(retiring.items(), key=lambda model: model[1]):
        table.add_row(name, str(day), str((day - today).days), successor)
    console.print(table)
    return 1 if unpriced or wrong else 0


def wrong_facts() -> Iterator[str]:
    """Yield the facts of the table that the package's own parameters do not accept."""
    hints = get_type_hints(ImageGenerateParamsBase)
    qualities, backgrounds, sizes = (
        _literals(hints[name]) for name in ("quality", "background", "size")
    )
    efforts = _literals(ReasoningEffort)
    for name in models.known_models()["image"]:
        facts = models.image_facts(name)
        if facts:
            yield from _unknown(name, "quality", facts.effort, qualities)
            yield from _unknown(name, "background", facts.backgrounds, backgrounds)
    for name in models.known_models()["chat"]:
        chat = models.chat_facts(name)
        yield from _unknown(name, "effort", chat.efforts if chat else (), efforts)
    yield from _unknown("every model", "size", models.STANDARD_SIZES, sizes)


def _unknown(model: str, name: str, values: Any, known: set[Any]) -> Iterator[str]:
    for value in values:
        if value not in known:
            yield f"{model}: the openai package has no {name} {value}"


def _literals(hint: Any) -> set[Any]:
    """Return the values of all Literals in a type."""
    parts = get_args(hint)
    nested = (_literals(part) for part in parts if get_args(part))
    return {part for part in parts if isinstance(part, str)}.union(*nested)


if __name__ == "__main__":
    sys.exit(main())
