"""Ctrl-C and SIGTERM while a process is started: without care it is born and nobody knows its number."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held() -> Iterator[None]:
    """Keep the two signals until the block is done, then let them do what they would have done.

    They are not masked, which a process that is started here would inherit.
    """
    if threading.current_thread() is not threading.main_thread():  # Python gives signals to the main thread alone
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = {name: signal.signal(name, lambda *call: came.append(call)) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    for number, frame in came:
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.raise_signal(number)
