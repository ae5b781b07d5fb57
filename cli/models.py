"""Checks the models' table against the installed openai package, and tells what is shut down soon: `make models`."""

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
    """Print the table's age, what it lacks, and what ends soon; 1 where an image model that can be bought has no price here."""
    console, today = Console(highlight=False), datetime.now(UTC).date()
    read, sources = models.read_on()
    console.print(f"The table was read on {read} ({(today - read).days} days ago) from {', '.join(sources)}.")
    priced, images, chats = models.known(), set(get_args(ImageModel)), set(get_args(ChatModel))
    lacking = sorted(images - priced["image"] - priced["shutdown"])
    unknown = sorted((priced["image"] - images) | (priced["chat"] - chats))
    for names, said in ((lacking, "in the openai package, and without a price here"), (unknown, "here, and not in the openai package")):
        console.print(f"{', '.join(names)}: {said}" if names else f"No model is {said}.")
    table = Table(title=f"Shut down within {SOON_DAYS} days", title_justify="left")
    for column in ("model", "on", "in days", "use in its place"):
        table.add_column(column)
    for name, (day, successor) in sorted(models.retiring(today=today, days=SOON_DAYS).items(), key=lambda one: one[1]):
        table.add_row(name, str(day), str((day - today).days), successor)
    console.print(table)
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
