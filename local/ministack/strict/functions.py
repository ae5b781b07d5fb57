"""Gaps in the process of a function: its temporary files have no limit, and its clock is exact.

On AWS, the folder /tmp of a function holds its ephemeral storage of 512 MB or more, and a write
beyond that fails with ENOSPC. Without root, no folder can be limited in a way that works
everywhere: a limit of the process (RLIMIT_FSIZE) is for each file and fails with EFBIG, and a tmpfs
in a user namespace is forbidden in most containers. So the module `tempfile` counts what is written
to its files, all of them together. A file in this folder that is opened in another way does not
count until a temporary file is written, and is never refused.

The clock is off by the same time in each process, alternately ahead and behind.
"""

import inspect
import itertools
from importlib.util import find_spec
from typing import Any

from ministack.core import lambda_runtime

from local.ministack.edits import edit, edit_text, replace
from local.ministack.strict import worker_side
from local.ministack.strict.strictness import VARIABLE, StrictnessError

_MEGABYTE = 1024 * 1024

_ENVIRONMENT = '    spawn_env.setdefault("_LAMBDA_TIMEOUT", str(self.config.get("Timeout", 30)))\n'
_WITH_LIMITS = f"{_ENVIRONMENT}    spawn_env.update(_easel_limits(self.config))\n"
_PREPARED = "    os.environ.update(env)\n"
_LIMITED = f"{_PREPARED}    apply_limits(os.path.dirname(code_dir))\n"


def apply(*, tmp: float, clock_skew: float) -> None:
    """Limit temporary files to this share of the storage, and set the clocks off by this time."""
    if clock_skew and find_spec("time_machine") is None:
        raise StrictnessError(
            f"{VARIABLE} sets clock_skew, which needs time-machine; install requirements-dev.txt"
        )
    skews = itertools.cycle((clock_skew, -clock_skew))

    def limits(config: dict[str, Any]) -> dict[str, str]:
        megabytes = config.get("EphemeralStorage", {}).get("Size", 512)
        return {
            worker_side.TMP_BYTES: str(int(megabytes * _MEGABYTE * tmp)),
            worker_side.CLOCK_SKEW: str(next(skews)),
        }

    edit(lambda_runtime.Worker, "_spawn", [(_ENVIRONMENT, _WITH_LIMITS)], _easel_limits=limits)
    replace(
        lambda_runtime,
        "_PYTHON_WORKER_SCRIPT",
        lambda script: inspect.getsource(worker_side) + script,
    )
    edit_text(lambda_runtime, "_PYTHON_WORKER_SCRIPT", [(_PREPARED, _LIMITED)])
