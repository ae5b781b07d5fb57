"""A random walk.

Concurrent runs go through faults drawn from a seed, and are resumed until they end. Then they are
checked against the invariants.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any

from easel.contract import naming
from tests.faults.fault_menu import draw
from tests.faults.faulty_stack import FaultyStack
from tests.faults.invariants import Tally, check_run, check_whole
from tests.faults.lease_clock import run_out_after_kills

AT_ONCE = 6
TRIES = 12  # how often a person resumes a run; each fault strikes a few times at most
# A person has to decide about these errors, and resuming the run changes nothing.
FOR_GOOD = ("OutcomeUnknownError", "BadImageError")


@dataclass(kw_only=True)
class WalkResult:
    """The result of a walk.

    `injected` is how often a fault struck, and `kills` is how often a function was killed.
    """

    tally: Tally
    injected: int = 0
    kills: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    chat_paid: int = 0
    chat_known: int = 0

    def __str__(self) -> str:
        tally = self.tally
        broken = Counter(
            problem.partition(": ")[2].partition("(")[0].strip() for problem in tally.broken
        )
        return "\n".join(
            [
                (
                    f"runs {tally.runs}, pictures asked for {tally.requested}:"
                    f" stored {tally.stored},"
                    f" refused {tally.refused}, left to a person {tally.given_up}, not begun"
                    f" {tally.requested - tally.stored - tally.refused - tally.given_up}"
                ),
                (
                    f"faults injected {self.injected}, of these kills {self.kills}; runs ended "
                    f"{dict(self.endings)}, stuck {len(self.stuck)}"
                ),
                (
                    f"pictures paid {tally.paid}, counted possibly paid {tally.possibly_paid}; "
                    f"chat calls paid {self.chat_paid}, written or possibly paid {self.chat_known}"
                ),
                f"promises broken {len(tally.broken)} {dict(broken) if broken else ''}",
            ]
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run of the walk."""

    run_id: str
    request: dict[str, Any]
    twice: bool
    rng: Random


def walk(stack: FaultyStack, *, seed: str, runs: int) -> WalkResult:
    """Make this many runs, and check them all."""
    stack.forget()
    run_out_after_kills(stack)
    plans = [_plan(seed, number) for number in range(runs)]
    result = WalkResult(tally=Tally())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for plan, (scripted, ending) in zip(
            plans, pool.map(lambda plan: _through(stack, plan), plans), strict=True
        ):
            result.injected += scripted
            result.endings[ending] += 1
            result.stuck += (
                [f"{plan.run_id}: {ending}"] if ending not in ("SUCCEEDED", *FOR_GOOD) else []
            )
    applied = [call.fault for call in stack.calls() if call.fault]
    result.injected += len(applied) - sum(rule["times"] for rule in stack.script())
    result.kills = applied.count("kill")
    _check(stack, result, plans, prefix=f"walk-{seed}")
    return result


def _plan(seed: str, number: int) -> Plan:
    rng = Random(f"{seed}-{number}")  # noqa: S311 - to be repeated, no secret
    run_id = f"walk-{seed}-{number}"
    words = {"prompt" if rng.random() < 0.3 else "description": f"A kite over the bay, {run_id}."}
    request = {
        "request_id": run_id,
        "folder_name": f"walk-{seed}/{number % 7}",
        "count": rng.choice([1, 1, 2, 3]),
        "size": "1024x640",
        "quality": "low",
    }
    return Plan(run_id=run_id, request=request | words, twice=rng.random() < 0.2, rng=rng)


def _through(stack: FaultyStack, plan: Plan) -> tuple[int, str]:
    """Take a run to its end: redrive it or start it again, as a person would if it fails.

    Return the number of the stand-in's rules, and the final error or status.
    """
    faults = [
        draw(plan.rng, run_id=plan.run_id, name=f"_{naming.run8(plan.run_id)}_")
        for _ in range(plan.rng.choice([0, 1, 1, 2, 3]))
    ]
    stack.aws_faults.script(*[fault.aws for fault in faults if fault.aws])
    stack.openai_faults.script(*[fault.openai for fault in faults if fault.openai])
    stack.script(*[fault.stand_in for fault in faults if fault.stand_in])
    started = [stack.start(plan.request) for _ in range(2 if plan.twice else 1)]
    execution = [stack.wait_for_end(arn) for arn in started][-1]
    for _ in range(TRIES):
        if execution["status"] == "SUCCEEDED" or execution["error"] in FOR_GOOD:
            break
        if execution["error"] == "ClaimHeldError":
            # A claim was written although its function got an error. On AWS, the state machine
            # polls for longer than a lease.
            stack.let_leases_run_out(plan.run_id)
        if plan.rng.random() < 0.5:
            stack.states.redrive_execution(executionArn=execution["executionArn"])
            execution = stack.wait_for_end(execution["executionArn"])
        else:
            execution = stack.run(plan.request)
    return (
        sum(fault.stand_in is not None for fault in faults),
        execution.get("error") or execution["status"],
    )


def _check(stack: FaultyStack, result: WalkResult, plans: Sequence[Plan], *, prefix: str) -> None:
    charges = stack.charges()
    for plan in plans:
        request = plan.request
        check_run(
            stack,
            result.tally,
            plan.run_id,
            folder=request["folder_name"],
            count=request["count"],
            paid_by_prompt=charges["images_by_prompt"],
        )
        for item in stack.records(plan.run_id):
            if item["sk"] == "chat":
                result.chat_known += item["possibly_paid"] + (item["status"] == "written")
    result.chat_paid = charges["chat"]
    check_whole(
        stack,
        result.tally,
        folders={plan.request["folder_name"] for plan in plans},
        prefix=prefix,
        paid=charges["images"],
    )
