"""A random walk.

Concurrent runs go through faults drawn from a seed, and are resumed until they end. Some are made
from images, which are deleted, replaced or purged meanwhile, and some are lines of batches. Then
they are checked against the invariants.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.faults import inputs
from tests.faults.fault_menu import Fault, draw, draw_for_order
from tests.faults.faulty_stack import FaultyStack
from tests.faults.invariants import Tally, check_inputs, check_run, check_whole
from tests.faults.lease_clock import run_out_after_kills
from tests.faults.scenario import SMALL
from tests.faults.walk_plans import BatchPlan, Plan, make_plans
from tests.support.images import png

AT_ONCE = 6
LOST_INPUT = ("InputError", "ReferenceGoneError")  # before and after the prompt was written
TRIES = 12  # how often a person resumes a run; each fault strikes a few times at most
# A person has to decide about these errors, and resuming the run changes nothing.
FOR_GOOD = ("OutcomeUnknownError", "BadImageError")


@dataclass(kw_only=True)
class WalkResult:
    """The result of a walk.

    `injected` is how often a fault struck, and `kills` is how often a function was killed.
    `files_left` is how many input images are at OpenAI in the end, and `files_lost` is how many of
    them faults explain.
    """

    tally: Tally
    injected: int = 0
    kills: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    chat_paid: int = 0
    chat_known: int = 0
    from_images: int = 0
    in_batches: int = 0
    in_economy: int = 0
    files_left: int = 0
    files_lost: int = 0

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
                    f"made from images {self.from_images}, in batches {self.in_batches}, of these"
                    f" in economy {self.in_economy}; input files left at OpenAI {self.files_left},"
                    f" lost by faults at most {self.files_lost}"
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


def walk(stack: FaultyStack, *, seed: str, runs: int) -> WalkResult:
    """Make this many runs, and check them all."""
    inputs.prepare(stack)
    request = {"prompt": "A kite", "folder_name": f"inputs-{seed}", **SMALL}
    (earlier,) = stack.run(request)["report"]["pictures"]
    plans = make_plans(seed, runs=runs, earlier=earlier["key"])
    stack.forget()
    run_out_after_kills(stack)
    walking = Walk(stack)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        endings = {
            run_id: ending
            for pairs in pool.map(walking.take, plans)
            for run_id, ending in pairs.items()
        }
    return _check(walking, plans, endings, prefix=f"walk-{seed}")


class Walk:
    """A walk while it runs. `scripted` are the rules of the stand-in so far."""

    def __init__(self, stack: FaultyStack) -> None:
        self.stack = stack
        self.scripted: list[dict[str, Any]] = []

    def take(self, plan: Plan | BatchPlan) -> dict[str, str]:
        """Take a run or a batch to its end. Return each run's final error or status by its id."""
        if isinstance(plan, BatchPlan):
            return self._take_batch(plan)
        return {plan.run_id: self._take_run(plan)}

    def struck(self, path: str = "") -> int:
        """Return how often the stand-in's rules for paths that begin like this were used."""
        return sum(
            rule.get("times", 1) * sign
            for rules, sign in ((self.scripted, 1), (self.stack.script(), -1))
            for rule in rules
            if rule["path"].startswith(path)
        )

    def _take_run(self, plan: Plan) -> str:
        """Redrive a run or start it again, as a person would if it fails."""
        stack = self.stack
        self._prepare(plan)
        started = [stack.start(plan.request) for _ in range(2 if plan.twice else 1)]
        self._change_inputs(plan, is_over=lambda: stack.has_ended(started[-1]))
        execution = [stack.wait_for_end(arn) for arn in started][-1]
        for _ in range(TRIES):
            if execution["status"] == "SUCCEEDED" or is_final(execution["error"], plan):
                break
            if execution["error"] == "ClaimHeldError":
                # A claim was written although its function got an error. On AWS, the state machine
                # polls for longer than a lease.
                stack.let_leases_run_out(plan.run_id)
            if execution["error"] == "InputError":
                inputs.restore(stack, plan.inputs)
            if plan.rng.random() < 0.5:
                stack.states.redrive_execution(executionArn=execution["executionArn"])
                execution = stack.wait_for_end(execution["executionArn"])
            else:
                execution = stack.run(plan.request)
        return str(execution.get("error") or execution["status"])

    def _take_batch(self, batch: BatchPlan) -> dict[str, str]:
        """Start a batch again as long as that may make more of its images."""
        for plan in batch.plans:
            self._prepare(plan)
        if batch.economy:
            faults = [draw_for_order(batch.rng) for _ in range(batch.rng.randint(0, 3))]
            self._script(faults)
        with ThreadPoolExecutor(2 + len(batch.plans)) as pool:
            started = [pool.submit(self._run, batch) for _ in range(2 if batch.twice else 1)]
            is_over = started[-1].done
            changes = [
                pool.submit(self._change_inputs, plan, is_over=is_over) for plan in batch.plans
            ]
            for change in changes:
                change.result()
            execution = [start.result() for start in started][-1]
        for _ in range(TRIES):
            endings = _endings(batch, execution)
            if all(
                endings[plan.run_id] == "SUCCEEDED" or is_final(endings[plan.run_id], plan)
                for plan in batch.plans
            ):
                break
            for plan in batch.plans:
                self.stack.let_leases_run_out(plan.run_id)
                inputs.restore(self.stack, plan.inputs)
            execution = self._run(batch)
        return _endings(batch, execution)

    def _run(self, batch: BatchPlan) -> dict[str, Any]:
        lines = [plan.line for plan in batch.plans]
        options = {"economy": batch.economy, "tolerated_failure_percentage": 100}
        return self.stack.run_batch(batch.name, lines, **options)

    def _prepare(self, plan: Plan) -> None:
        """Upload the image that only this run is made from, and script the run's faults."""
        if plan.own:
            inputs.upload(self.stack, plan.own, png(*inputs.SIZE, "green"))
        number = plan.rng.choice([0, 1, 1, 2, 3])
        self._script([draw(plan.rng, plan.target) for _ in range(number)])

    def _script(self, faults: Sequence[Fault]) -> None:
        self.stack.aws_faults.script(*[fault.aws for fault in faults if fault.aws])
        self.stack.openai_faults.script(*[fault.openai for fault in faults if fault.openai])
        rules = [fault.stand_in for fault in faults if fault.stand_in]
        self.scripted += rules
        self.stack.script(*rules)

    def _change_inputs(self, plan: Plan, *, is_over: Callable[[], bool]) -> None:
        """Change a run's inputs as its plan says: at once, or when they have been looked up."""
        changes = [(plan.change, plan.inputs[-1])] if plan.change else []
        changes += [("deleted", plan.inputs[0])] if plan.deletes else []
        if changes and plan.rng.random() < 0.7:
            self.stack.until(lambda: is_over() or self._has_prompt(plan.run_id))
        for change, key in changes:
            inputs.CHANGES[change](self.stack, key)

    def _has_prompt(self, run_id: str) -> bool:
        return any(item["sk"] == "prompt" for item in self.stack.records(run_id))


def is_final(error: str, plan: Plan) -> bool:
    """Return whether resuming a run with this error changes nothing."""
    is_gone = plan.change in ("replaced", "purged")
    return error in FOR_GOOD or (error in LOST_INPUT and is_gone)


def _endings(batch: BatchPlan, execution: dict[str, Any]) -> dict[str, str]:
    """Return the final error or status of each line, by its run id."""
    report = execution["report"]
    if report is None:
        return {plan.run_id: str(execution.get("error")) for plan in batch.plans}
    errors = {failure["line"]: failure["error"] for failure in report["failures"]}
    rest = "NotStarted" if report["not_started"] else "SUCCEEDED"
    return {plan.run_id: errors.get(line, rest) for line, plan in enumerate(batch.plans, 1)}


def _check(
    walking: Walk, plans: Sequence[Plan | BatchPlan], endings: dict[str, str], *, prefix: str
) -> WalkResult:
    stack, result = walking.stack, WalkResult(tally=Tally(), endings=Counter(endings.values()))
    applied = [call.fault for call in stack.calls() if call.fault]
    result.injected, result.kills = len(applied) + walking.struck(), applied.count("kill")
    charges = stack.charges()
    batches = [plan for plan in plans if isinstance(plan, BatchPlan)]
    runs = [plan for plan in plans if isinstance(plan, Plan)]
    runs += [plan for batch in batches for plan in batch.plans]
    result.from_images = sum(bool(plan.inputs) for plan in runs)
    result.in_batches = sum(len(batch.plans) for batch in batches)
    result.in_economy = sum(len(batch.plans) for batch in batches if batch.economy)
    for plan in runs:
        request, ending = plan.request, endings[plan.run_id]
        if ending != "SUCCEEDED" and not is_final(ending, plan):
            result.stuck.append(f"{plan.run_id}: {ending}")
        check_run(
            stack,
            result.tally,
            plan.run_id,
            folder=request["folder_name"],
            count=request["count"],
            paid_by_prompt=charges["images_by_prompt"],
            is_cut_short=ending in LOST_INPUT,
        )
        check_inputs(stack, result.tally, plan.run_id, request, edits=charges["edits"])
        for item in stack.records(plan.run_id):
            if item["sk"] == "chat":
                result.chat_known += item["possibly_paid"] + (item["status"] == "written")
    result.chat_paid = charges["chat"]
    result.files_left, result.files_lost = len(stack.files_at_openai()), _lost_files(walking)
    check_whole(
        stack,
        result.tally,
        folders={plan.request["folder_name"] for plan in runs},
        prefix=prefix,
        paid=charges["images"],
    )
    return result


def _lost_files(walking: Walk) -> int:
    """Return how many input files may be left at OpenAI.

    Their ids did not arrive or were not listed, or they could not be deleted.
    """
    calls = [call for call in walking.stack.calls("Economy") if call.fault]
    lists = [call for call in calls if call.target.startswith("staging/@/")]
    files = [call for call in calls if call.operation in ("file", "delete_file")]
    return len(lists) + len(files) + walking.struck("/v1/files/delete")
