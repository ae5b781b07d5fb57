"""All benchmarks in one run: `make bench` prints the results and writes bench/results.md.

The competitors take turns on one machine, and the lowest of ROUNDS measurements counts, since a
disturbance can only add to it. Times depend on the machine, and ratios depend on it much less. With
N8N=1, n8n is measured too, which takes 3 GB and ten more minutes.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.markdown import Markdown

from bench import cold, frame, gallery, n8n, painters, runs, sink
from bench.runs import Runs
from infra import ROOT
from infra.functions import layers
from local.deploy import zip_folder

ROUNDS = 7
RESULTS = Path(__file__).parent / "results.md"
SIZES = {1_500_000: 15, 8_000_000: 5}  # bytes of an image, and how many images make one measurement
COLD = ("bare script", "naive handler", "the SDKs alone", *cold.STEPS)
LIBRARIES = (
    "openai",
    "boto3",
    "aws-lambda-powertools",
    "pydantic",
    "jiter",
    "pybase64",
    "pillow",
    "ministack",
)
MB, MIB = 1_000_000, 2**20
T = TypeVar("T")
Figures = list[tuple[str, str, str]]  # name, measured value, limit


def main() -> None:
    """Measure, print the results and write them."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--n8n", action="store_true", help="measure n8n, too")
    with_n8n = parser.parse_args().n8n
    if not Path("/proc/self/clear_refs").exists():
        raise SystemExit("the benchmark reads memory and CPU from /proc: it runs on Linux alone")
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # ends everything that was started, as Ctrl-C does
    if with_n8n:
        n8n.install()  # first, so that a missing tool is reported before anything is measured
    try:
        _measure(with_n8n)
    except KeyboardInterrupt:
        raise SystemExit("Interrupted: nothing is written") from None


def _measure(with_n8n: bool) -> None:
    figures: Figures = []
    parts = [_paint(figures), _cold(figures), _zips(figures), _frame(figures), _sizes(figures)]
    print("Measuring the local stack …", file=sys.stderr)
    measured = runs.measure()
    parts += [
        _runs(measured, figures),
        *([_n8n(measured, figures)] if with_n8n else []),
        _gallery(figures),
    ]
    text = (
        "\n\n".join(
            [
                "# Benchmark",
                _where(),
                "## Figures",
                _table(("figure", "measured", "reach"), figures),
                *parts,
            ]
        )
        + "\n"
    )
    RESULTS.write_text(text)
    Console(highlight=False).print(Markdown(text))
    print(f"Written to {RESULTS.relative_to(ROOT)}")


def _paint(figures: Figures) -> str:
    """Compare the image step with its competitors, from the call to the stored image."""
    rows: list[tuple[str, ...]] = []
    with sink.running() as environment:
        for size, count in SIZES.items():
            once = partial(
                painters.once,
                size=size,
                count=count,
                environment=os.environ | cold.ENVIRONMENT | cold.ON_LAMBDA | environment,
            )
            samples = _in_turns(tuple(painters.PAINTERS), once, f"pictures of {size:,} bytes")
            rows += _paint_rows(
                size,
                {
                    name: {kind: min(sample[kind] for sample in group) for kind in group[0]}
                    for name, group in samples.items()
                },
                figures,
            )
    head = ("picture", "way", "CPU ms", "/ bare", "/ floor", "peak bytes a byte", "resident MB")
    about = (
        "From the call to the bytes in the bucket, over TLS on loopback; claims and records are in "
        "the runs below alone. Bare script: openai's and boto3's own calls. Naive handler: with "
        "Tracer, parser and a resource of boto3. Floor: raw HTTP with base64 and one signed PUT. "
        "Size untold: the server does not say before how long its answer is; of both rows of Easel "
        "the figures above take the worse. Peak: what a picture takes on top of what was resident "
        "before it."
    )
    return f"## A picture's way\n\n{about}\n\n{_table(head, rows)}"


def _paint_rows(
    size: int, least: Mapping[str, Mapping[str, float]], figures: Figures
) -> Iterator[tuple[str, ...]]:
    # The worse of the two counts, since a server need not announce the length of its response.
    ours = {
        kind: max(least[name][kind] for name in ("Easel", "Easel, size untold"))
        for kind in least["Easel"]
    }
    bare, floor = least["bare script"]["cpu_seconds"], least["floor"]["cpu_seconds"]
    mb = f"{size / MB:g} MB"
    if size == painters.USUAL:
        figures.append(
            (
                f"image step, CPU a picture of {mb} / bare script",
                f"{ours['cpu_seconds'] / bare:.2f}",
                "≤ 0.55",
            )
        )
    else:
        figures.append(
            (f"image step, peak bytes a byte of {mb}", f"{ours['peak_bytes'] / size:.2f}", "≤ 2.8")
        )
        figures.append(
            (
                f"image step, resident with a picture of {mb}",
                f"{ours['resident_bytes'] / MB:.0f} MB",
                "≤ 110 MB",
            )
        )
    figures.append(
        (
            f"image step, CPU a picture of {mb} / floor",
            f"{ours['cpu_seconds'] / floor:.2f}",
            "≤ 3.0",
        )
    )
    for name, figure in least.items():
        cpu, resident = figure["cpu_seconds"], figure["resident_bytes"] / MB
        # Usual images also warm the process up, so one of the same size reuses its memory and the
        # peak means nothing.
        peak = f"{figure['peak_bytes'] / size:.2f}" if size != painters.USUAL else "–"
        yield (
            mb,
            name,
            f"{cpu * 1000:.1f}",
            f"{cpu / bare:.2f}",
            f"{cpu / floor:.2f}",
            peak,
            f"{resident:.0f}",
        )


def _cold(figures: Figures) -> str:
    samples = _in_turns(COLD, cold.once, "cold starts")
    cpu, memory = (
        {peer: min(sample[part] for sample in group) for peer, group in samples.items()}
        for part in (0, 1)
    )
    bare = cpu["bare script"]
    for step, limit in (
        ("image", "1.10"),
        ("prompt", "1.05"),
        ("upload", "0.50"),
        ("cleanup", "0.45"),
    ):
        figures.append(
            (f"cold start of {step}, CPU / bare script", f"{cpu[step] / bare:.2f}", f"≤ {limit}")
        )
    rows = [
        (peer, f"{cpu[peer] * 1000:.0f}", f"{cpu[peer] / bare:.2f}", f"{memory[peer] / MB:.0f}")
        for peer in COLD
    ]
    about = (
        "A new process until its first call can be served: imports, and the clients that the call "
        "needs. Bytecode is there. Easel's have the garbage collector off until then, which the "
        "others have not: so the image step can start sooner than its SDKs alone."
    )
    return (
        f"## Cold starts\n\n{about}\n\n{_table(('what', 'CPU ms', '/ bare', 'resident MB'), rows)}"
    )


def _zips(figures: Figures) -> str:
    with cold.unpack_folder() as folder:
        samples = _in_turns(
            ("installed", "shipped", "bare"),
            cold.UnpackedLayers(Path(folder)).once,
            "imports from layers",
        )
    least = {where: min(group) for where, group in samples.items()}
    figures.append(
        (
            "import from layer zips built for this Python / warm .pyc",
            f"{least['shipped'] / least['installed']:.2f}",
            "≤ 1.1",
        )
    )
    names = {
        "installed": "this environment, warm .pyc",
        "shipped": "layer zips with bytecode",
        "bare": "layer zips without",
    }
    rows = [
        (name, f"{least[where] * 1000:.0f}", f"{least[where] / least['installed']:.2f}")
        for where, name in names.items()
    ]
    about = (
        "Bytecode ships where the layers are built by Lambda's own Python, 3.14; here both are "
        "built for this one."
    )
    return (
        "## The image step from its "
        f"layers\n\n{about}\n\n{_table(('from', 'CPU ms', '/ warm'), rows)}"
    )


def _frame(figures: Figures) -> str:
    samples = _in_turns(tuple(frame.HANDLERS), frame.seconds, "the frame of a call")
    micro = {name: min(group) * 1_000_000 for name, group in samples.items()}
    figures.append(
        ("Powertools, an invocation", f"{micro['framed'] - micro['plain']:.0f} µs", "≤ 150 µs")
    )
    return "## The frame of an invocation\n\n" + _table(
        ("handler", "CPU µs"), [(name, f"{seconds:.1f}") for name, seconds in micro.items()]
    )


def _parts(peaks: Mapping[str, int]) -> str:
    return ", ".join(f"{part} {used / MIB:.0f}" for part, used in peaks.items())


def _sizes(figures: Figures) -> str:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"CDK_OUTDIR": folder}
        subprocess.run(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        template = json.loads((Path(folder) / "Easel.template.json").read_text())
        code = {
            resource["Properties"]["Description"].removeprefix("Easel: "): len(
                zip_folder(Path(folder) / f"asset.{hash_}")
            )
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::Lambda::Function"
            and resource["Properties"].get("Description", "").startswith("Easel: ")
            for hash_ in [resource["Properties"]["Code"]["S3Key"].removesuffix(".zip")]
        }
    built = {name: len(zip_folder(layers.build(name))) for name in layers.NAMES}
    largest = max(size for name, size in code.items() if name != "api")
    figures.append(
        (
            "code of a function, zipped, the largest but the API",
            f"{largest / 1000:.0f} KB",
            "≤ 95 KB",
        )
    )
    figures.append(
        ("code of the API with its page, zipped", f"{code['api'] / 1000:.0f} KB", "≤ 300 KB")
    )
    compiled = "with bytecode" if layers.LAMBDA.compiler else "without bytecode"
    figures.append(
        (f"all layers, zipped, {compiled}", f"{sum(built.values()) / MB:.1f} MB", "≤ 12 MB without")
    )
    rows = [
        *((name, f"{size / 1000:,.0f}") for name, size in code.items()),
        *((f"layer {n}", f"{s / 1000:,.0f}") for n, s in built.items()),
    ]
    return f"## Sizes, zipped\n\n{_table(('what', 'KB'), rows)}"


def _runs(results: Runs, figures: Figures) -> str:
    for count, limit in ((1, "6"), (3, "10")):
        figures.append(
            (
                f"state transitions (counted locally; AWS bills them) of a run of {count}",
                str(results.transitions[count]),
                limit,
            )
        )
    figures.append(("Lambda invocations of a run of 1", str(results.invocations[1]), "≤ 4"))
    rows = [
        (
            str(load.at_once),
            f"{load.pictures_per_second:.1f}",
            f"{load.bare_pictures_per_second:.1f}",
            *(f"{seconds * 1000:.0f}" for seconds in load.cpu_seconds_per_picture.values()),
            (f"{load.peak_bytes / MIB:.0f} ({_parts(load.peak_parts)})"),
        )
        for load in results.loads
    ]
    head = (
        "at once",
        "pictures/s",
        "bare script",
        *(f"{part}, CPU ms" for part in results.loads[0].cpu_seconds_per_picture),
        "peak MiB",
    )
    alone = (
        f"{results.run_seconds * 1000:.0f} ms a run alone, the bare script "
        f"{results.bare_seconds * 1000:.0f} ms."
    )
    # The parts are the emulator of AWS, the functions' processes, and the stand-in for OpenAI.
    about = (
        f"Whole runs of one picture of {results.picture_bytes / MB:.2f} MB each, with an OpenAI "
        f"that takes no time. {alone}"
    )
    return f"## Local stack\n\n{about}\n\n{_table(head, rows)}"


def _n8n(results: Runs, figures: Figures) -> str:
    print("Measuring n8n …", file=sys.stderr)
    peer = n8n.measure([load.at_once for load in results.loads])
    rows = []
    for ours, theirs in zip(results.loads, peer, strict=True):
        faster, smaller = (
            ours.pictures_per_second / theirs.pictures_a_second,
            ours.peak_bytes / theirs.resident,
        )
        rows.append(
            (
                str(ours.at_once),
                f"{theirs.pictures_a_second:.1f}",
                f"{faster:.2f}",
                f"{theirs.resident / MIB:.0f}",
                f"{smaller:.2f}",
            )
        )
        if ours.at_once > 1:
            figures.append(
                (
                    f"local pictures/s / n8n's, {ours.at_once} at once",
                    f"{faster:.2f}",
                    "≥ 2" if ours.at_once == 4 else "none set",
                )
            )
            figures.append(
                (
                    f"memory of the local stack / n8n's, {ours.at_once} at once",
                    f"{smaller:.2f}",
                    "≤ 0.75",
                )
            )
    head = ("at once", "n8n, pictures/s", "Easel's / n8n's", "n8n, peak MiB", "Easel's / n8n's")
    return (
        f"## n8n {n8n.VERSION}\n\nThe workflow that this project remakes, on the same stand-in and "
        f"bucket.\n\n{_table(head, rows)}"
    )


def _gallery(figures: Figures) -> str:
    print("Measuring the gallery …", file=sys.stderr)
    own, tables = gallery.measure()
    few, many = sorted(own)
    figures.append(
        (
            f"the gallery's first page of {many:,} pictures / of {few:,}, the function's own time",
            f"{own[many] / own[few]:.2f}",
            "flat",
        )
    )
    rows = [
        (f"{pictures:,}", f"{own[pictures]:.1f}", f"{tables[pictures]:.1f}")
        for pictures in (few, many)
    ]
    return (
        f"## Gallery\n\n{_table(('pictures', 'ms of the function', 'ms of the local table'), rows)}"
    )


def _in_turns(names: Sequence[str], once: Callable[[str], T], doing: str) -> dict[str, list[T]]:
    """Return the results of `once` for each name. The names take turns, ROUNDS times."""
    print(f"Measuring {doing} …", file=sys.stderr)
    rounds = [{name: once(name) for name in names} for _ in range(ROUNDS)]
    return {name: [turn[name] for turn in rounds] for name in names}


def _where() -> str:
    return "\n".join(f"- {line}" for line in _machine())


def _machine() -> Iterator[str]:
    cpu = next(
        (
            line.partition(": ")[2]
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield (
        f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {cpu or platform.machine()}, "
        f"{memory:.0f} GiB, {platform.system()}"
    )
    yield f"Python {platform.python_version()}, {platform.libc_ver()[0]} {platform.libc_ver()[1]}"
    yield ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield f"The image step, cold starts, imports and frame: in turns, the least of {ROUNDS} counts."
    yield (
        "Local stack and n8n: one after the other; of 3 rounds the best rate, the mean CPU, the "
        "most memory."
    )
    yield "Gallery: the median of 40 calls."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
