"""`make models`: compares models.toml with the installed openai package.

It also lists the models that will soon be shut down.
"""

import sys
from datetime import UTC, datetime
from typing import get_args

from openai.types.image_model import ImageModel
from openai.types.shared.chat_model import ChatModel
from rich.console import Console
from rich.table import Table

from easel.request import models

SOON_DAYS = 90


def main() -> int:
    """Print the table's age, its gaps, and the models that end soon.

    Return 1 if an image model of the package has no price in the table.
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
    retiring = models.retiring_models(today=today, days=SOON_DAYS)
    table = Table(title=f"Shut down within {SOON_DAYS} days", title_justify="left")
    for column in ("model", "on", "in days", "use instead"):
        table.add_column(column)
    for name, (day, successor) in sorted(retiring.items(), key=lambda model: model[1]):
        table.add_row(name, str(day), str((day - today).days), successor)
    console.print(table)
    return 1 if unpriced else 0


if __name__ == "__main__":
    sys.exit(main())
