"""One OpenAI account. The SDK never retries, and only short waits are spent in the function."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import httpx2
import openai
from openai import OpenAI

from easel.contract.errors import RateLimitedError, RetryableError
from easel.openai_client.credentials import Credential
from easel.openai_client.errors import translate
from easel.openai_client.parameters import AcceptedParameters
from easel.openai_client.waits import retry_after
from easel.request.time_limits import TURN_SECONDS

MAX_WAITS = 3
T = TypeVar("T")


class Account:
    """One account at one base URL. Parameters in `omitted` are not sent."""

    def __init__(
        self, credential: Credential, *, base_url: str | None, omitted: Collection[str] = ()
    ) -> None:
        self.accepted = AcceptedParameters(omitted)
        self._credential = credential
        self._client = OpenAI(api_key="set at the first call", base_url=base_url, max_retries=0)

    def call(self, call: Callable[[OpenAI], T]) -> T:
        """Call with the credential. If OpenAI refuses it, call once more with a fresh one."""
        credential = self._credential.value()
        try:
            return call(self._client.with_options(api_key=credential))
        except openai.AuthenticationError:
            # The credential may have been rotated or withdrawn since it was read. A second refusal
            # is final.
            return call(self._client.with_options(api_key=self._credential.refresh()))

    def call_within(
        self,
        call: Callable[[OpenAI], T],
        *,
        end: float,
        doing: str,
        parameters: Mapping[str, Any],
        slow_down: Callable[[float | None], None] | None = None,
    ) -> T:
        """Call, and repeat an unpaid call after the waits that OpenAI asks for, if they are short.

        Their sum is at most TURN_SECONDS; for a longer wait the step fails and is retried.
        `parameters` are the call's, to name a refused value. Half of the time until `end`
        (monotonic clock) is reserved for the call itself. `slow_down` is called for each rate limit
        error, with the seconds to wait or None. Raises EaselError.
        """
        half, waits, patience = (end - time.monotonic()) / 2, 0, float(TURN_SECONDS)
        while True:
            try:
                return self.call(call)
            except (openai.OpenAIError, httpx2.HTTPError) as error:
                failure, wait = translate(error, doing, parameters), retry_after(error)
                if slow_down and isinstance(failure, RateLimitedError):
                    slow_down(wait)
                unpaid = isinstance(failure, RetryableError) and not failure.possibly_paid
                fits = wait is not None and wait <= min(patience, end - time.monotonic() - half)
                if waits == MAX_WAITS or not unpaid or wait is None or not fits:
                    raise failure from error
                waits, patience = waits + 1, patience - wait
                time.sleep(wait)


def seconds_until(end: float) -> float:
    """Return the timeout of a call that must end at this time of the monotonic clock."""
    return max(1.0, end - time.monotonic())
