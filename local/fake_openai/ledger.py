"""What the stand-in charged and refused, for tests to count."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """Chat calls, pictures (those of batches too), pictures by prompt, calls by end user, and the image requests that the limit refused."""

    chat: int = 0
    images: int = 0
    batch_images: int = 0
    batches: int = 0
    limited: int = 0
    images_by_prompt: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)

    def image(self, prompt: str) -> int:
        """Charge one picture; gives how many of this prompt that makes."""
        short = hashlib.sha256(prompt.encode()).hexdigest()[:16]
        self.images += 1
        self.images_by_prompt[short] += 1
        return self.images_by_prompt[short]

    def call(self, body: Mapping[str, Any]) -> None:
        """Note whom a call was made for, where it says so."""
        if "safety_identifier" in body:
            self.users[body["safety_identifier"]] += 1

    def clear(self) -> None:
        """Start again at nothing."""
        self.chat = self.images = self.batch_images = self.batches = self.limited = 0
        self.images_by_prompt.clear()
        self.users.clear()

    def to_json(self) -> dict[str, Any]:
        """As `/_charged` answers it."""
        counts = {name: getattr(self, name) for name in ("chat", "images", "batch_images", "batches", "limited")}
        return counts | {"images_by_prompt": dict(self.images_by_prompt), "users": dict(self.users)}
