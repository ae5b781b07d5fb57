"""What a function makes once, before its first call: Lambda gives it a whole core for that, whatever its memory."""

import gc
from collections.abc import Callable
from contextlib import suppress

from functions import ON_LAMBDA


def ready(*resources: Callable[[], object]) -> None:
    """The last line of a handler's module: on Lambda, call these functions, which keep what they make, before any call does.

    Elsewhere nothing is made: an import needs neither environment nor credentials.
    """
    if not ON_LAMBDA:
        return
    for resource in resources:
        # What can't be made is asked for again by the call, which tells why.
        with suppress(Exception):
            resource()
    # What is there by now stays: the collector, off until here, is on again and never walks through it.
    gc.freeze()
    gc.enable()
