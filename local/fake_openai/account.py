"""The charges of the account, which tests count, and its limit of image requests per minute."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.fake_openai.inputs import Inputs

# Sums of floats have rounding errors. Without this tolerance, a caller that waited exactly as long
# as required could be refused.
ROUNDING_SECONDS = 1e-6
MAX_EDITS = 1_000


@dataclass
class Ledger:
    """Counts of chat calls, images, batches, and image requests that the rate limit refused.

    `images` includes the images of batches. `edits` has the latest valid edits, with the SHA-256
    sums of their files.
    """

    chat: int = 0
    images: int = 0
    batch_images: int = 0
    batches: int = 0
    limited: int = 0
    images_by_prompt: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    edits: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_EDITS))

    def image(self, prompt: str) -> int:
        """Charge one image, and return how many images of this prompt have been charged."""
        short = _short(prompt)
        self.images += 1
        self.images_by_prompt[short] += 1
        return self.images_by_prompt[short]

    def call(self, body: Mapping[str, Any], inputs: Inputs | None = None) -> None:
        """Count the call for its end user if the request names one. Record the files of an edit."""
        if "safety_identifier" in body:
            self.users[body["safety_identifier"]] += 1
        if inputs:
            edit = {"prompt": _short(body["prompt"]), "images": inputs.images, "mask": inputs.mask}
            self.edits.append(edit)

    def clear(self) -> None:
        """Reset all counts."""
        self.chat = self.images = self.batch_images = self.batches = self.limited = 0
        self.images_by_prompt.clear()
        self.users.clear()
        self.edits.clear()

    def to_json(self) -> dict[str, Any]:
        """Return the body of `/_charged`."""
        names = ("chat", "images", "batch_images", "batches", "limited")
        counts = {name: getattr(self, name) for name in names}
        by_prompt, users = dict(self.images_by_prompt), dict(self.users)
        return counts | {"images_by_prompt": by_prompt, "users": users, "edits": list(self.edits)}


def _short(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


class SlidingWindow:
    """A limit of `limit` requests in any `seconds`. Each check takes constant time.

    A refused request does not count.
    """

    def __init__(
        self, limit: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if limit < 1 or seconds <= 0:
            raise ValueError(
                f"a window needs a limit and a length above 0, not {limit} in {seconds} s"
            )
        self.limit, self.seconds, self._clock = limit, seconds, clock
        # Only the last `limit` admissions can fill a window. When the oldest of them leaves it,
        # there is room for the next request.
        self._admitted: deque[float] = deque(maxlen=limit)

    def admit(self) -> float:
        """Return 0.0 if the request is admitted, or the seconds until there is room for it."""
        now = self._clock()
        if len(self._admitted) == self.limit:
            wait = self._admitted[0] + self.seconds - now
            if wait > ROUNDING_SECONDS:
                return wait
        self._admitted.append(now)
        return 0.0
