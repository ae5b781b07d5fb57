"""Changes to MiniStack made in memory, each refused in one line when MiniStack no longer reads as the patch expects."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import FunctionType, ModuleType
from typing import Any


class PatchError(RuntimeError):
    """MiniStack has changed where a patch meant to change it."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(
            f"MiniStack {version('ministack')}: {place} {problem}. "
            "Look whether this release closes the gap, then delete or adapt the patch in local/emulator/."
        )


# inspect.getsource reads the file, which does not know of an earlier patch to the same function.
_edited: dict[FunctionType, str] = {}


def replace(owner: ModuleType | type, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of the attribute."""
    if not hasattr(owner, name):
        raise PatchError(f"{owner.__name__}.{name}", "is gone")
    setattr(owner, name, make(getattr(owner, name)))


def edit(owner: ModuleType | type, name: str, changes: Sequence[tuple[str, str]], **names: Any) -> None:
    """Rewrite lines inside a function, which then also sees `names`; for gaps that no wrapper around it can reach.

    The function stays the same object, so whoever has imported or wrapped it has the change too.
    """
    function = inspect.unwrap(getattr(owner, name, None))  # type: ignore[arg-type]  # None is answered below
    if not isinstance(function, FunctionType):
        raise PatchError(f"{owner.__name__}.{name}", "is gone")
    source = _edited.get(function) or textwrap.dedent(inspect.getsource(function))
    source = _changed(source, changes, f"{owner.__name__}.{name}")
    scope: dict[str, Any] = {}
    # The blank lines keep the line numbers of tracebacks near those of the file.
    lines = "\n" * (function.__code__.co_firstlineno - 1) + source
    exec(compile(lines, inspect.getfile(function), "exec", dont_inherit=True), function.__globals__, scope)  # noqa: S102  the text is ours and MiniStack's
    function.__globals__.update(names)
    function.__code__ = scope[name].__code__
    _edited[function] = source


def edit_text(owner: ModuleType, name: str, changes: Sequence[tuple[str, str]]) -> None:
    """Rewrite lines of a text that the module keeps."""
    replace(owner, name, lambda text: _changed(text, changes, f"{owner.__name__}.{name}"))


def _changed(text: str, changes: Sequence[tuple[str, str]], place: str) -> str:
    for old, new in changes:
        if text.count(old) != 1:
            raise PatchError(place, f"no longer contains {old.strip()!r} exactly once")
        text = text.replace(old, new)
    return text
