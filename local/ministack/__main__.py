"""Run the emulator: `python -m local.ministack`, with the environment of `EmulatorConfig`."""

import logging
import os
import sys

from local.ministack import (
    awslambda,
    cloudformation,
    cloudfront,
    cloudwatch,
    cognito,
    eventbridge,
    front,
    iam,
    s3,
    scheduler,
    sign_in_session,
    sns,
    stepfunctions,
    strict,
)
from local.ministack.awslambda import workers
from local.ministack.edits import PatchError
from local.ministack.strict.strictness import Strictness, StrictnessError


def main() -> None:
    """Patch MiniStack and run it until SIGTERM."""
    try:
        awslambda.apply(at_most=_workers())
        cloudformation.apply()
        cloudfront.apply()
        cloudwatch.apply()
        cognito.apply()
        eventbridge.apply()
        front.apply()
        iam.apply()
        s3.apply()
        scheduler.apply()
        sign_in_session.apply()
        sns.apply()
        stepfunctions.apply()
        strict.apply(Strictness.of(os.environ))
    except (PatchError, StrictnessError) as error:
        sys.exit(str(error))
    from ministack import app

    try:
        front.guard(app)
    except PatchError as error:
        sys.exit(str(error))
    try:
        app.main()
    finally:
        workers.end_all()
        logging.shutdown()
    # Threads of running executions would keep the process alive as long as their retries last.
    os._exit(0)


def _workers() -> int:
    text = os.environ.get("EASEL_LOCAL_WORKERS") or str(workers.AT_MOST)
    if not text.isdecimal() or int(text) == 0:
        sys.exit(
            f"EASEL_LOCAL_WORKERS is {text!r}; allowed: the number of processes per function, 1 or "
            "more"
        )
    return int(text)


if __name__ == "__main__":
    main()
