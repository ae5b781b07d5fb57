"""How the command line writes money and lines."""

from rich.console import Console

from easel.contract import money


def dollars(usd: float | None) -> str:
    """Return an amount of dollars as text; one that is not known is "unknown"."""
    return "unknown" if usd is None else money.show(money.micro_dollars(usd))


def say(console: Console, line: str) -> None:
    """Print a line as it is: no colours for numbers, no line breaks of rich's own."""
    console.print(line, highlight=False, soft_wrap=True)
