"""What IAM decided during a test run, and what it should not have decided.

Every emulator of the run writes its decisions into one folder (local/ministack/iam.py). A denial
that no test provokes is a missing permission. An action that a role is granted and never uses is a
permission to remove. tests/infra/test_permissions.py shows that the template grants what the
catalogue lists.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infra.api.link_roles import READER, UPLOADER
from infra.functions.catalogue import ADOPTION, CATALOGUE

# The constructs of the roles, with the grants of each.
GRANTS = {
    **{row.name.capitalize(): row.grants for row in CATALOGUE if row is not ADOPTION},
    "ExistingFunction": ADOPTION.grants,
    "Reader": READER.grants,
    "Uploader": UPLOADER.grants,
}
ROLE = re.compile(r"Easel-(\w+?)Role[0-9A-F]{8}-")
BY_LAMBDA = "Lambda itself uses it, with the function's role"
FOR_404 = "no call needs it: without it, S3 answers 403 instead of 404 for a missing object"
STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
# Actions that are granted and that no function calls here, each with the reason.
UNUSED = {
    **{
        (construct, f"dynamodb:{action}"): BY_LAMBDA
        for construct in ("Events", "Index")
        for action in STREAM_ACTIONS
    },
    ("Events", "sqs:SendMessage"): BY_LAMBDA,
    ("References", "sqs:SendMessage"): BY_LAMBDA,
    ("Index", "sqs:SendMessage"): BY_LAMBDA,
    ("Api", "iam:PassRole"): "Scheduler asks for it when a schedule is stored",
    ("References", "s3:PutObjectTagging"): "S3 asks for it when a PutObject has tags",
    **{
        (construct, "s3:ListBucket"): FOR_404
        for construct in ("Api", "Image", "Upload", "Mirror", "Economy", "References")
    },
}
# Denials that tests provoke, each with the reason.
PROVOKED = {
    ("Prompt", "s3:ListBucket"): "botocore asks for the bucket's region after a scripted 400",
}


@dataclass(frozen=True)
class Decisions:
    """The decisions in the files of a folder."""

    folder: Path

    @cached_property
    def counts(self) -> Counter[tuple[str, str, str, str]]:
        """Return how often each construct, action, decision and denied resource occurred."""
        return Counter(self._read())

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """Return the pairs of role and action that were decided."""
        return {(construct, action) for construct, action, _, _ in self.counts}

    def denials(self) -> list[str]:
        """Return a line for each denial that no test provokes."""
        return [
            f"{construct} may not {action} on {resource}: {decision}, {number} times"
            for (construct, action, decision, resource), number in sorted(self.counts.items())
            if decision != "Allow" and (construct, action) not in PROVOKED
        ]

    def unused(self) -> list[str]:
        """Return a line for each action that is granted, never used and not excepted."""
        granted = {
            (construct, action)
            for construct, grants in GRANTS.items()
            for grant in grants
            if not grant.deny
            for action in grant.actions
        }
        unused = sorted(granted - self.pairs - UNUSED.keys())
        used = sorted(self.pairs & UNUSED.keys())
        return [
            *(f"{construct} has {action} and never uses it" for construct, action in unused),
            *(f"{construct} does use {action}: delete the exception" for construct, action in used),
        ]

    def summary(self) -> str:
        """Return the figures of the run."""
        denied = sum(n for (_, _, decision, _), n in self.counts.items() if decision != "Allow")
        return (
            f"IAM: {self.counts.total():,} decisions about {len(self.pairs)} pairs of role and "
            f"action; {denied} denied"
        )

    def _read(self) -> Iterator[tuple[str, str, str, str]]:
        for file in self.folder.glob("*.jsonl"):
            for line in file.read_text().splitlines():
                entry = json.loads(line)
                role = ROLE.match(entry["role"])
                if role:  # the others belong to the tests of the emulator
                    decision = entry["decision"]
                    resource = "" if decision == "Allow" else entry["resource"]
                    yield role[1], entry["action"], decision, resource
