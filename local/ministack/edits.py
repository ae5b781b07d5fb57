"""Tools that change MiniStack in memory. A change that no longer fits raises a one-line error."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import FunctionType, ModuleType
from typing import Any


class PatchError(RuntimeError):
    """MiniStack's code has changed where a patch applies."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(
            f"MiniStack {version('ministack')}: {place} {problem}. Check whether this release "
            "closes the gap, then delete or adapt the patch in local/ministack/."
        )


# The source of functions that were already edited, since inspect.getsource reads the unchanged
# file.
_edited: dict[FunctionType, str] = {}


def replace(owner: ModuleType | type, name: str, make: Callable[[Any], Any]) -> None:
    """Replace the attribute by `make(original)`."""
    if not hasattr(owner, name):
        raise PatchError(f"{owner.__name__}.{name}", "is gone")
    setattr(owner, name, make(getattr(owner, name)))


def edit(
    owner: ModuleType | type, name: str, changes: Sequence[tuple[str, str]], **names: Any
) -> None:
    """Rewrite lines inside a function, for gaps that a wrapper around it cannot close.

    The function can use `names` afterwards. It stays the same object, so the change also reaches
    modules that have already imported or wrapped it.
    """
    attribute: Any = getattr(owner, name, None)
    function = inspect.unwrap(attribute)
    if not isinstance(function, FunctionType):
        raise PatchError(f"{owner.__name__}.{name}", "is gone")
    source = _edited.get(function) or textwrap.dedent(inspect.getsource(function))
    source = _apply_changes(source, changes, f"{owner.__name__}.{name}")
    scope: dict[str, Any] = {}
    # The blank lines keep the line numbers in tracebacks close to those in the file.
    lines = "\n" * (function.__code__.co_firstlineno - 1) + source
    code = compile(lines, inspect.getfile(function), "exec", dont_inherit=True)
    exec(code, function.__globals__, scope)  # noqa: S102  the text is ours and MiniStack's
    function.__globals__.update(names)
    function.__code__ = scope[name].__code__
    _edited[function] = source


def edit_text(owner: ModuleType, name: str, changes: Sequence[tuple[str, str]]) -> None:
    """Rewrite lines of a text that a module contains."""
    replace(owner, name, lambda text: _apply_changes(text, changes, f"{owner.__name__}.{name}"))


def _apply_changes(text: str, changes: Sequence[tuple[str, str]], place: str) -> str:
    for old, new in changes:
        if text.count(old) != 1:
            raise PatchError(place, f"no longer contains {old.strip()!r} exactly once")
        text = text.replace(old, new)
    return text
