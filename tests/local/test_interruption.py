"""A signal while a process is started waits until its number is known."""

import signal

import pytest

from local import interruption


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_block_does_its_work_after_it(name: signal.Signals) -> None:
    done: list[str] = []
    before = signal.signal(name, lambda *_: done.append("the signal"))
    try:
        with interruption.held():
            signal.raise_signal(name)
            done.append("the block")
        assert done == ["the block", "the signal"]
        assert callable(signal.getsignal(name))
    finally:
        signal.signal(name, before)


def test_without_a_signal_everything_is_as_before() -> None:
    before = [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)]
    with interruption.held():
        pass
    assert [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)] == before
