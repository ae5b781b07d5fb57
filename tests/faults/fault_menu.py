"""The faults from which a random walk draws.

They cover failures of OpenAI, S3 and DynamoDB, and the death of functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.faults.rule import Rule

CHAT, IMAGES = "/v1/chat/completions", "/v1/images/generations"
EDITS = "/v1/images/edits"
STEPS = ("Prompt", "Image", "Upload", "Cleanup")
S3_CALLS = ("PutObject", "CopyObject", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObjects")
TABLE_CALLS = ("GetItem", "TransactWriteItems", "Query")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault, scripted in one of three places.

    These are the proxy before AWS, the proxy before OpenAI, and the stand-in itself.
    """

    aws: Rule | None = None
    openai: Rule | None = None
    stand_in: dict[str, Any] | None = None


Maker = Callable[[Random, str, str], Fault]


def draw(rng: Random, *, run_id: str, name: str) -> Fault:
    """Return a fault for one run only.

    `name` is a part of its final keys that no other run's keys contain.
    """
    makers, weights = zip(*MENU, strict=True)
    maker: Maker = rng.choices(makers, weights)[0]
    return maker(rng, run_id, name)


def _openai_status(rng: Random, run_id: str, _name: str) -> Fault:
    status, code = rng.choice(
        [
            (429, None),
            (500, None),
            (503, None),
            (529, None),
            (502, None),
            (504, None),
            (408, None),
            (409, None),
            (400, "moderation_blocked"),
            (401, "invalid_api_key"),
            (429, "insufficient_quota"),
            (403, None),
        ]
    )
    error = {
        "error": {"message": "no", "type": "x", "code": code, "param": "prompt" if code else None}
    }
    is_charged = status in (502, 504, 408, 409) and rng.random() < 0.5
    return Fault(
        stand_in={
            "path": _path(rng),
            "contains": run_id,
            "status": status,
            "body": error,
            "charged": is_charged,
        }
    )


def _openai_odd(rng: Random, run_id: str, _name: str) -> Fault:
    path = _path(rng)
    odd: list[dict[str, Any]] = [
        {"cut": True},
        {"answer": "<html>busy</html>", "charged": True},
        {"answer": {"data": [], "choices": []}, "charged": True},
    ]
    return Fault(stand_in={"path": path, "contains": run_id} | rng.choice(odd))


def _openai_connection(rng: Random, run_id: str, _name: str) -> Fault:
    return Fault(
        openai=Rule(operation=rng.choice(["chat", "image"]), contains=run_id, **_broken(rng))
    )


def _openai_death(rng: Random, run_id: str, _name: str) -> Fault:
    return Fault(
        openai=Rule(
            operation=rng.choice(["chat", "image"]),
            contains=run_id,
            kill=rng.choice(["before", "after"]),
        )
    )


def _s3_status(rng: Random, run_id: str, name: str) -> Fault:
    status, code = rng.choice(
        [
            (503, "SlowDown"),
            (500, "InternalError"),
            (409, "ConditionalRequestConflict"),
            (400, "RequestTimeout"),
            (403, "AccessDenied"),
        ]
    )
    return Fault(aws=_s3(rng, run_id, name, status=status, code=code, times=rng.randint(1, 3)))


def _s3_connection(rng: Random, run_id: str, name: str) -> Fault:
    return Fault(aws=_s3(rng, run_id, name, **_broken(rng)))


def _s3_corrupt(rng: Random, run_id: str, _name: str) -> Fault:
    return Fault(
        aws=Rule(
            operation="PutObject",
            contains=f"staging/{run_id}/",
            skip=rng.randint(0, 2),
            corrupt=True,
        )
    )


def _s3_delete(_rng: Random, run_id: str, _name: str) -> Fault:
    return Fault(
        aws=Rule(
            operation="DeleteObjects",
            contains=f"staging/{run_id}/",
            object_errors=[(".json", "InternalError")],
        )
    )


def _s3_death(rng: Random, run_id: str, name: str) -> Fault:
    return Fault(aws=_s3(rng, run_id, name, kill=rng.choice(["before", "after"])))


def _table_error(rng: Random, run_id: str, _name: str) -> Fault:
    status, code = rng.choice(
        [
            (500, "InternalServerError"),
            (400, "ThrottlingException"),
            (400, "ProvisionedThroughputExceededException"),
        ]
    )
    return Fault(aws=_table(rng, run_id, status=status, code=code, times=rng.randint(1, 4)))


def _table_conflict(rng: Random, run_id: str, _name: str) -> Fault:
    times = rng.choice([1, 2, 3, 9])  # one call of the function gives up before nine conflicts
    return Fault(
        aws=Rule(
            operation="TransactWriteItems",
            contains=run_id,
            cancelled=("TransactionConflict", "None"),
            times=times,
        )
    )


def _table_connection(rng: Random, run_id: str, _name: str) -> Fault:
    return Fault(aws=_table(rng, run_id, **_broken(rng)))


def _table_death(rng: Random, run_id: str, _name: str) -> Fault:
    return Fault(aws=_table(rng, run_id, kill=rng.choice(["before", "after"])))


MENU: list[tuple[Maker, int]] = [
    (_openai_status, 6),
    (_openai_odd, 3),
    (_openai_connection, 3),
    (_openai_death, 2),
    (_s3_status, 4),
    (_s3_connection, 3),
    (_s3_corrupt, 1),
    (_s3_delete, 1),
    (_s3_death, 2),
    (_table_error, 3),
    (_table_conflict, 2),
    (_table_connection, 3),
    (_table_death, 2),
]


def _path(rng: Random) -> str:
    return rng.choice([CHAT, IMAGES, IMAGES])


def _broken(rng: Random) -> dict[str, Any]:
    return {rng.choice(["refuse", "lose_answer"]): True, "times": rng.randint(1, 3)}


def _s3(rng: Random, run_id: str, name: str, **fault: Any) -> Rule:
    operation = rng.choice(S3_CALLS)
    contains = name if operation == "CopyObject" else rng.choice([f"staging/{run_id}/", name])
    return Rule(operation=operation, contains=contains, skip=rng.choice([0, 0, 1, 2]), **fault)


def _table(rng: Random, run_id: str, **fault: Any) -> Rule:
    return Rule(
        operation=rng.choice(TABLE_CALLS),
        contains=run_id,
        step=rng.choice(STEPS),
        skip=rng.choice([0, 0, 1, 2]),
        **fault,
    )
