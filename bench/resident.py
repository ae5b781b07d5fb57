"""The peak resident memory of each function, with usual inputs and with the largest it accepts.

Run it with `python -m bench.resident`.

The sizes in infra/functions/catalogue.py follow from these results, as
docs/decisions/0023-size-each-function-by-measurement.md explains. Here a function's process uses
this machine's Python and architecture. Lambda's own runtime adds about 30 MB.
"""

import io
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import painters, process_memory, sink, stacks
from bench.batch import MANIFEST, BenchBatch, print_rows
from bench.cold import ENVIRONMENT
from bench.section import MB
from infra import ROOT
from local import processes, stack
from local.processes import living_processes

USUAL: dict[str, Any] = {"folder_name": "resident", "size": "1536x1024", "count": 4}
LINES = 50_000
# The upload step's limits: bytes, and pixels per side of a square.
LARGEST_BYTES, LARGEST_EDGE = 64 * 2**20, 7071
VERIFY = """
import hashlib, pathlib, sys
from bench import process_memory
from easel.images.image_file import verify
data = pathlib.Path(sys.argv[1]).read_bytes()
verify(data, sha256=hashlib.sha256(data).hexdigest(), where="here")
print(process_memory.peak())
"""


def main() -> None:
    """Measure, and print the results in MB."""
    with processes.end_on_signals(), tempfile.TemporaryDirectory() as folder:
        usual = _on_a_stack()
        largest = {
            "image, 64 MiB": _largest_image(),
            "upload, 50 million pixels in 64 MiB": _largest_upload(Path(folder)),
        }
    print_rows(
        "Resident at the most, MB",
        {name: f"{size / MB:.0f}" for name, size in (usual | largest).items()},
    )


def _on_a_stack() -> dict[str, int]:
    """Run usual images, a large check and a folder delete, and return each function's peak."""
    settings = (f"max_batch_lines={LINES}", "monthly_budget_usd=100000")
    with stacks.running(settings=settings, stand_in=("--paint-once",)) as local:
        aws = stacks.client_of(local)
        for _ in range(5):
            aws.run(USUAL)
        BenchBatch(aws=aws, items=LINES, chat=False).upload()
        call = {
            "stateMachineArn": aws.outputs["batch_state_machine_arn"],
            "input": json.dumps({"manifest": MANIFEST, "dry_run": True}),
        }
        assert (
            aws.wait_for_end(aws.states.start_execution(**call)["executionArn"])["status"]
            == "SUCCEEDED"
        )
        for number in range(3000):
            aws.s3.put_object(Bucket=aws.bucket, Key=f"resident/{number}", Body=b"")
        aws.run({"action": "delete_folder", "folder_name": "resident", "confirm": True})
        return _of_functions(stack.started_processes(local)["emulator"])


def _of_functions(emulator: int) -> dict[str, int]:
    peaks: dict[str, int] = {}
    for pid in set(living_processes(emulator)) - {emulator}:
        variables = dict(
            pair.partition("=")[::2]
            for pair in Path(f"/proc/{pid}/environ").read_text().split("\0")
        )
        name = variables.get("AWS_LAMBDA_FUNCTION_NAME", "?")
        peaks[name] = max(peaks.get(name, 0), process_memory.peak(pid))
    return dict(sorted(peaks.items()))


def _largest_image() -> int:
    with sink.running() as environment:
        result = painters.once(
            "Easel", size=LARGEST_BYTES, count=1, environment=os.environ | ENVIRONMENT | environment
        )
    return int(result["resident_bytes"])


def _largest_upload(folder: Path) -> int:
    from PIL import Image

    noise = Image.frombytes(
        "RGBA", (LARGEST_EDGE, 2200), random.Random(1).randbytes(LARGEST_EDGE * 2200 * 4)
    )
    picture, out = Image.new("RGBA", (LARGEST_EDGE, LARGEST_EDGE)), io.BytesIO()
    picture.paste(noise)
    picture.save(out, "PNG")
    (folder / "picture").write_bytes(out.getvalue())
    command = [sys.executable, "-c", VERIFY, str(folder / "picture")]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
