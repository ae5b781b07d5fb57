"""The CPU, the cold starts and the price of a whole run, next to a bare script."""

from collections.abc import Iterable, Mapping
from typing import Any

from bench.section import Figure, Options, Result, table
from bench.versions import run_with

NAME, TITLE = "whole-run", "A whole run"
WHOLE_CORE_MB = 1769  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
# Assumptions: the durations of a warm function's calls, in seconds.
OPENAI = {"prompt": 2.0, "image": 15.0}
LATENCY = {"TransactWriteItems": 0.02, "PutObject": 0.04, "CopyObject": 0.05, "GetObject": 0.03}
OTHER_LATENCY = 0.01
COLD_SHARE = 0.6  # the limit, as a share of the earlier version's cold starts


def measure(options: Options) -> Result:
    """Return the CPU time and calls of each function, for each version."""
    return {
        version: run_with(root, "bench.run_cost") for version, root in options.versions().items()
    }


def figures(result: Result) -> Iterable[Figure]:
    """Return the sums over the functions of a run."""
    now, before = result["now"], result.get("before")
    yield Figure(
        "CPU of a whole warm run / bare script",
        f"{_warm(now) / now['bare']['warm']:.2f}",
        "≤ 1.6",
        f"{_warm(before) / before['bare']['warm']:.2f}" if before else "",
    )
    yield Figure(
        "cold starts of a whole run, at each function's share of a core",
        f"{_cold(now['steps'], now):.1f} s",
        f"≤ {COLD_SHARE * _cold(before['steps'], before):.1f} s" if before else "none set",
        f"{_cold(before['steps'], before):.1f} s" if before else "",
    )
    yield Figure(
        "the same without bytecode",
        f"{_cold(now['without_bytecode'], now):.1f} s",
        "none set",
        f"{_cold(before['without_bytecode'], before):.1f} s" if before else "",
    )
    yield Figure(
        "Lambda, GB-seconds of a warm run, with OpenAI's 17 s",
        f"{_gb_seconds(now):.2f}",
        "none set",
        f"{_gb_seconds(before):.2f}" if before else "",
    )


def text(result: Result) -> str:
    """Return the parts of the sums."""
    about = (
        "Each function runs in a fresh process against the local stack. The table has the CPU time "
        "until its module is imported, of its first call, and of a warm call. Seconds are CPU "
        f"seconds divided by the function's share of a core (its memory / {WHOLE_CORE_MB} MB). "
        "Lambda gives a function a whole core while it imports its module, so a real cold start is "
        "shorter. Billed: a warm call, including its calls of AWS and OpenAI, with assumed "
        f"durations ({OPENAI['image']:.0f} s for an image, {OPENAI['prompt']:.0f} s for a prompt). "
        "The bare script makes the same calls to OpenAI, checks and scales the image, and stores "
        "the same four objects. Without bytecode: like layers that were built without Lambda's own "
        "Python."
    )
    head = ("function", "version", "MB", "import ms", "first ms", "warm ms", "cold s", "billed s")
    rows = [
        (
            *(step, version, str(each["memory_mb"])),
            *(f"{1000 * each[name]:.0f}" for name in ("init", "first", "warm")),
            f"{(each['init'] + each['first']) / _share(each):.2f}",
            f"{_billed(step, each):.2f}",
        )
        for version, run in result.items()
        for step, each in run["steps"].items()
    ]
    bare = result["now"]["bare"]
    rows.append(
        (
            *("bare script", "", ""),
            *(f"{1000 * bare[name]:.0f}" for name in ("init", "first", "warm")),
            *("", ""),
        )
    )
    return f"{about}\n\n{table(head, rows)}"


def _warm(run: Mapping[str, Any]) -> float:
    return float(sum(each["warm"] for each in run["steps"].values()))


def _cold(steps: Mapping[str, Any], run: Mapping[str, Any]) -> float:
    """Return the seconds of all cold starts. `run` has the memory of each function."""
    return sum(
        (float(each["init"]) + float(each["first"])) / _share(run["steps"][name])
        for name, each in steps.items()
    )


def _share(step: Mapping[str, Any]) -> float:
    return float(step["memory_mb"]) / WHOLE_CORE_MB


def _billed(name: str, step: Mapping[str, Any]) -> float:
    """Return the seconds of a warm call: computing, waiting for AWS, and waiting for OpenAI."""
    waits = sum(
        int(number) * LATENCY.get(call.partition(".")[2], OTHER_LATENCY)
        for call, number in step["calls"].items()
    )
    return float(step["warm"]) / _share(step) + waits + OPENAI.get(name, 0)


def _gb_seconds(run: Mapping[str, Any]) -> float:
    return sum(
        _billed(name, each) * int(each["memory_mb"]) / 1024 for name, each in run["steps"].items()
    )
