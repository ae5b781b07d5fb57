"""Simulate a day of 1,000,000 images, and show which limit it reaches first."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench import pace_simulation
from bench.day_load import Day, simulate
from bench.drawing import BARE, OURS, PEER, set_title, styled, svg_of
from bench.section import Figure, Options, Result, table
from infra import ROOT

NAME, TITLE = "day", "A day of 1,000,000 images"
IMAGES = 1_000_000
PLOT = ROOT / "docs" / "scale.svg"
# The relative load of each hour, from midnight: quiet at night, and busy from nine to six.
SHAPE = (1, 1, 1, 1, 1, 2, 3, 4, 6, 7, 8, 8, 7, 7, 8, 8, 7, 6, 4, 3, 2, 2, 2, 1)
SECONDS = 5  # of each hour that are simulated
GIVEN, RAISED = 250, 2_000  # images per minute: OpenAI's highest published tier, and a raised one
SATURATED = 500  # images that wait for the given limit


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A documented limit, and the part of it that one image a second uses at the peak."""

    name: str
    limit: float
    needed: float
    remedy: str


def limits(at_once_per_second: float, slot_units: float) -> list[Limit]:
    """Return the limits, with the functions and slots in use for each image a second."""
    return [
        Limit(
            name="OpenAI, images per minute (the highest published tier)",
            limit=GIVEN,
            needed=60,
            remedy="ask OpenAI for more, or `economy: true`, which has limits of its own",
        ),
        Limit(
            name="`max_parallel_images`, at most 400",
            limit=400,
            needed=at_once_per_second,
            remedy="a second deployment with a bucket and a table of its own",
        ),
        Limit(
            name="writes of the rate limit's record, units per second",
            limit=1_000,
            needed=slot_units,
            remedy="the same",
        ),
        Limit(
            name="Lambda, functions at once (the default; ten in a new account)",
            limit=1_000,
            needed=18.0,
            remedy="a quota increase, usually granted in a day",
        ),
        Limit(
            name="Step Functions, transitions per second (smaller regions)",
            limit=800,
            needed=6,
            remedy="a quota increase, or one of the three large regions (5,000)",
        ),
        Limit(
            name="Step Functions, starts per second (smaller regions)",
            limit=150,
            needed=1,
            remedy="a quota increase, or batches, whose lines start as children",
        ),
        Limit(
            name="DynamoDB, units per second in the partition of the month's charges",
            limit=1_000,
            needed=8,
            remedy="charges of a month in several partitions",
        ),
        Limit(
            name="DynamoDB, write units per second of a new table on demand",
            limit=4_000,
            needed=65,
            remedy="it doubles by itself within half an hour, or warm throughput",
        ),
        Limit(
            name="S3, writes per second under one prefix",
            limit=3_500,
            needed=7,
            remedy="S3 splits busy prefixes by itself",
        ),
    ]


def measure(_options: Options) -> Result:
    """Simulate seconds of each hour with a raised limit, and a queue at the given limit."""
    logging.disable()
    day = Day(images_per_minute=RAISED)
    hours = []
    for rate in _rates():
        window = simulate(day, per_second=rate, seconds=SECONDS)
        hours.append(
            {
                "per_second": rate,
                "runs": window.runs,
                "images": window.images,
                "retries": window.retries,
                "refused": window.refused,
                "gave_up": window.ledger.gave_up,
                "p99": window.ledger.percentile(0.99),
                "conflicts": window.ledger.conflicts,
            }
        )
    queue = pace_simulation.simulate(items=SATURATED, setting=GIVEN, limit=GIVEN)
    return {
        "hours": hours,
        "throughput": queue.throughput_percentage / 100,
        "retries_in_queue": (queue.no_slot + queue.retries) / SATURATED,
        "slot_units_per_image": queue.write_units / SATURATED,
    }


def figures(result: Result) -> Iterable[Figure]:
    """Return what the busiest hour shows, and the first limit."""
    hours = result["hours"]
    images, runs = (sum(hour[name] for hour in hours) for name in ("images", "runs"))
    yield Figure("simulated runs of the day with an image", f"{images:,} of {runs:,}", "all")
    gave_up, slowest = sum(hour["gave_up"] for hour in hours), max(hour["p99"] for hour in hours)
    yield Figure(
        "claims and settlements that gave up, longest wait of 99%",
        f"{gave_up}, {slowest:.2f} s",
        "0, ≤ 1 s",
    )
    first = min(_limits(), key=lambda each: each.limit / each.needed)
    yield Figure(
        "the first limit, in images a day at this shape",
        f"{_a_day(first):,.0f} ({first.name.partition(',')[0]})",
        "none set",
    )


def text(result: Result) -> str:
    """Return the limits, sorted by the images a day that reach them, and write the plot."""
    PLOT.write_text(draw(result))
    peak = max(_rates())
    about = (
        f"The simulation has {SECONDS} seconds of each hour in virtual time, and {SATURATED} "
        "images that wait for OpenAI's limit. The ledger, the rate limit and the retries are the "
        "code that ships. "
        f"The busiest hour has {peak:.1f} images a second. OpenAI's and AWS's limits are "
        "parameters, as documented in 2025. The number of functions at once is computed from the "
        "duration of each function."
    )
    rows = [
        (each.name, f"{each.limit:,.0f}", f"{peak * each.needed:,.0f}", f"{_a_day(each):,.0f}")
        for each in sorted(_limits(), key=_a_day)
    ]
    head = ("limit", "documented", "at the peak", "images a day that reach it")
    return f"{about}\n\n{table(head, rows)}"


def draw(result: Result) -> str:
    """Return the plot of a day at OpenAI's given limit: images requested, made and waiting."""
    from matplotlib.figure import Figure as Drawing

    requests = [3600 * rate / 1000 for rate in _rates()]
    images, waiting = zip(*_queue(result), strict=True)
    with styled():
        drawing = Drawing(figsize=(8.4, 3))
        left, right = drawing.subplots(1, 2)
        hours = range(24)
        left.step(hours, requests, where="mid", color=OURS, label="requested")
        left.step(hours, images, where="mid", color=PEER, label=f"made at {GIVEN} a minute")
        set_title(left, "Thousand images per hour")
        left.set_ylim(top=1.3 * max(requests))  # the legend is above the curves
        left.legend(frameon=False, loc="upper left")
        right.fill_between(hours, waiting, color=BARE)
        set_title(right, "Thousand images that wait")
        for axes in (left, right):
            axes.set_xlabel("hour of the day")
            axes.set_xticks(range(0, 25, 6))
            axes.set_ylim(bottom=0)
        drawing.tight_layout()
        return svg_of(drawing)


def _rates() -> list[float]:
    """Return the images a second of each hour."""
    return [IMAGES * share / sum(SHAPE) / 3600 for share in SHAPE]


def _queue(result: Result) -> Iterator[tuple[float, float]]:
    """Yield the thousand images that each hour makes at the given limit, and that wait after it."""
    capacity, waiting = 60 * GIVEN * result["throughput"] / 1000, 0.0
    for rate in _rates():
        waiting += 3600 * rate / 1000
        images = min(capacity, waiting)
        waiting -= images
        yield images, waiting


def _limits() -> list[Limit]:
    # An image holds its slot for 15 seconds, and the record grows by 30 bytes for each.
    peak = max(_rates())
    kilobytes = 1 + 15 * peak * 30 / 1024
    return limits(15.0, 2 * kilobytes)


def _a_day(each: Limit) -> float:
    """Return the images of a day whose peak just reaches a limit."""
    return each.limit / each.needed * 3600 * sum(SHAPE) / max(SHAPE)
