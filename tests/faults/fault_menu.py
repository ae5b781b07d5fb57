"""The faults from which a random walk draws.

They cover failures of OpenAI, S3 and DynamoDB, and the death of functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.faults.rule import Moment, Rule

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


@dataclass(frozen=True, kw_only=True)
class Target:
    """The run that a fault hits.

    `name` is a part of its final keys that no other run's keys contain. `inputs` are the keys of
    the images that it is made from, which other runs may also use.
    """

    run_id: str
    name: str
    inputs: Sequence[str] = ()

    @property
    def images(self) -> str:
        """Return the path of its image calls."""
        return EDITS if self.inputs else IMAGES


Maker = Callable[[Random, Target], Fault]


def draw(rng: Random, target: Target) -> Fault:
    """Return a fault for a run."""
    menu = [*MENU, *(INPUT_MENU if target.inputs else [])]
    makers, weights = zip(*menu, strict=True)
    maker: Maker = rng.choices(makers, weights)[0]
    return maker(rng, target)


def draw_for_order(rng: Random) -> Fault:
    """Return a fault for the next order of images in economy."""
    makers, weights = zip(*ORDER_MENU, strict=True)
    maker: Callable[[Random], Fault] = rng.choices(makers, weights)[0]
    return maker(rng)


def _openai_status(rng: Random, target: Target) -> Fault:
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
            "path": _path(rng, target),
            "contains": target.run_id,
            "status": status,
            "body": error,
            "charged": is_charged,
        }
    )


def _openai_odd(rng: Random, target: Target) -> Fault:
    path = _path(rng, target)
    odd: list[dict[str, Any]] = [
        {"cut": True},
        {"answer": "<html>busy</html>", "charged": True},
        {"answer": {"data": [], "choices": []}, "charged": True},
    ]
    return Fault(stand_in={"path": path, "contains": target.run_id} | rng.choice(odd))


def _openai_connection(rng: Random, target: Target) -> Fault:
    return Fault(
        openai=Rule(operation=rng.choice(["chat", "image"]), contains=target.run_id, **_broken(rng))
    )


def _openai_death(rng: Random, target: Target) -> Fault:
    return Fault(
        openai=Rule(
            operation=rng.choice(["chat", "image"]),
            contains=target.run_id,
            kill=rng.choice(["before", "after"]),
        )
    )


def _s3_status(rng: Random, target: Target) -> Fault:
    status, code = rng.choice(
        [
            (503, "SlowDown"),
            (500, "InternalError"),
            (409, "ConditionalRequestConflict"),
            (400, "RequestTimeout"),
            (403, "AccessDenied"),
        ]
    )
    return Fault(aws=_s3(rng, target, status=status, code=code, times=rng.randint(1, 3)))


def _s3_connection(rng: Random, target: Target) -> Fault:
    return Fault(aws=_s3(rng, target, **_broken(rng)))


def _s3_corrupt(rng: Random, target: Target) -> Fault:
    return Fault(
        aws=Rule(
            operation="PutObject",
            contains=f"staging/{target.run_id}/",
            skip=rng.randint(0, 2),
            corrupt=True,
        )
    )


def _s3_delete(_rng: Random, target: Target) -> Fault:
    return Fault(
        aws=Rule(
            operation="DeleteObjects",
            contains=f"staging/{target.run_id}/",
            object_errors=[(".json", "InternalError")],
        )
    )


def _s3_death(rng: Random, target: Target) -> Fault:
    return Fault(aws=_s3(rng, target, kill=rng.choice(["before", "after"])))


def _table_error(rng: Random, target: Target) -> Fault:
    status, code = rng.choice(
        [
            (500, "InternalServerError"),
            (400, "ThrottlingException"),
            (400, "ProvisionedThroughputExceededException"),
        ]
    )
    return Fault(aws=_table(rng, target, status=status, code=code, times=rng.randint(1, 4)))


def _table_conflict(rng: Random, target: Target) -> Fault:
    times = rng.choice([1, 2, 3, 9])  # one call of the function gives up before nine conflicts
    return Fault(
        aws=Rule(
            operation="TransactWriteItems",
            contains=target.run_id,
            cancelled=("TransactionConflict", "None"),
            times=times,
        )
    )


def _table_connection(rng: Random, target: Target) -> Fault:
    return Fault(aws=_table(rng, target, **_broken(rng)))


def _table_death(rng: Random, target: Target) -> Fault:
    return Fault(aws=_table(rng, target, kill=rng.choice(["before", "after"])))


def _input_error(rng: Random, target: Target) -> Fault:
    operation = rng.choice(["GetObject", "HeadObject", "PutObjectTagging"])
    status, code = rng.choice([(503, "SlowDown"), (500, "InternalError"), (403, "AccessDenied")])
    kinds: list[dict[str, Any]] = [{"status": status, "code": code}, {"lose_answer": True}]
    times = rng.randint(1, 3)
    contains = rng.choice(target.inputs)
    rule = Rule(operation=operation, contains=contains, times=times, **rng.choice(kinds))
    return Fault(aws=rule)


def _input_death(rng: Random, target: Target) -> Fault:
    operation = rng.choice(["GetObject", "GetObject", "PutObjectTagging"])
    kill: Moment = rng.choice(["before", "after"])
    return Fault(aws=Rule(operation=operation, contains=rng.choice(target.inputs), kill=kill))


def _sending(rng: Random, target: Target) -> Fault:
    kind: dict[str, Any] = rng.choice([{"cut": True}, {"kill": "during"}])
    return Fault(openai=Rule(operation="image", contains=target.run_id, **kind))


def _order_answer(rng: Random) -> Fault:
    rules: list[dict[str, Any]] = [
        {"path": "/v1/batches", "cut": True},
        {"path": "/v1/batches/expire", "answer": rng.randint(0, 2)},
        {"path": "/v1/batches/fail", "answer": "token_limit_exceeded"},
        {"path": "/v1/files/content", "cut": True},
        {"path": "/v1/files/delete", "status": 500, "times": rng.randint(1, 2)},
    ]
    return Fault(stand_in=rng.choice(rules))


def _order_connection(rng: Random) -> Fault:
    operation = rng.choice(["file", "file", "batch", "delete_file"])
    return Fault(openai=Rule(operation=operation, step="Economy", **_broken(rng)))


def _order_death(rng: Random) -> Fault:
    operation = rng.choice(["file", "batch", "delete_file"])
    kill: Moment = rng.choice(["before", "after"])
    return Fault(openai=Rule(operation=operation, step="Economy", kill=kill))


def _order_aws(rng: Random) -> Fault:
    operation = rng.choice(
        ["PutObject", "GetObject", "GetItem", "UpdateItem", "TransactWriteItems", "BatchGetItem"]
    )
    kinds: list[dict[str, Any]] = [
        {"kill": rng.choice(["before", "after"])},
        {"kill": rng.choice(["before", "after"])},
        _broken(rng),
    ]
    skip = rng.randint(0, 6)
    return Fault(aws=Rule(operation=operation, step="Economy", skip=skip, **rng.choice(kinds)))


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
# More faults for runs that are made from images.
INPUT_MENU: list[tuple[Maker, int]] = [(_input_error, 6), (_input_death, 4), (_sending, 6)]
ORDER_MENU: list[tuple[Callable[[Random], Fault], int]] = [
    (_order_answer, 4),
    (_order_connection, 3),
    (_order_death, 3),
    (_order_aws, 4),
]


def _path(rng: Random, target: Target) -> str:
    return rng.choice([CHAT, target.images, target.images])


def _broken(rng: Random) -> dict[str, Any]:
    return {rng.choice(["refuse", "lose_answer"]): True, "times": rng.randint(1, 3)}


def _s3(rng: Random, target: Target, **fault: Any) -> Rule:
    operation = rng.choice(S3_CALLS)
    places = (
        [target.name]
        if operation == "CopyObject"
        else [
            f"staging/{target.run_id}/",
            target.name,
        ]
    )
    contains = rng.choice(places)
    return Rule(operation=operation, contains=contains, skip=rng.choice([0, 0, 1, 2]), **fault)


def _table(rng: Random, target: Target, **fault: Any) -> Rule:
    return Rule(
        operation=rng.choice(TABLE_CALLS),
        contains=target.run_id,
        step=rng.choice(STEPS),
        skip=rng.choice([0, 0, 1, 2]),
        **fault,
    )
