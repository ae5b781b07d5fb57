"""The names of the states and of their steps.

The stack builds the state machines with them. The API and the command line read them from an
execution's history.
"""

from enum import StrEnum


class State(StrEnum):
    """The states of both machines, including the states inside their Maps."""

    CHOOSE_ACTION = "Which action?"
    WRITE_PROMPT = "Write the prompt"
    EACH_VARIATION = "For each variation"
    MAKE_IMAGE = "Make the image"
    STORE_IMAGE = "Store the image"
    NO_PICTURE = "No image"
    EACH_STORED = "For each stored image"
    MIRROR_IMAGE = "Mirror the image"
    REPORT = "Clean up and report"
    UPKEEP = "Delete, restore or share"

    CHECK_MANIFEST = "Check the manifest"
    ANYTHING_TO_MAKE = "Anything to make?"
    ONLY_CHECKED = "Only checked"
    EACH_LINE = "For each line"
    REPORT_BATCH = "Report the batch"

    EACH_PROMPT = "Write each prompt"
    WRITE_LINE_PROMPT = "Write the line's prompt"
    PLAN_ORDERS = "Plan the orders"
    ANYTHING_TO_ORDER = "Anything to order?"
    EACH_ORDER = "For each order"
    PLACE_ORDER = "Place the order"
    WAIT_FOR_OPENAI = "Wait for OpenAI"
    LOOK_AT_ORDER = "Look at the order"
    IS_IT_DONE = "Is it done?"
    WAIT_FOR_QUEUE = "Wait for OpenAI's queue"
    COLLECT = "Collect the images"
    LIST_STAGED = "List the staged images"
    ANYTHING_TO_STORE = "Anything to store?"
    STORE_EACH_LINE = "Store each line"
    EACH_STAGED = "For each staged image"
    STORE_STAGED = "Store the staged image"
    NOT_STORED = "Not stored"
    MIRROR_STAGED = "Mirror the staged image"
    REPORT_LINE = "Clean up the line"


class Step(StrEnum):
    """The steps of a run that its owner can see."""

    PROMPT = "prompt"
    IMAGE = "image"
    UPLOAD = "upload"
    CLEANUP = "cleanup"


STEP_OF: dict[str, Step] = {
    State.WRITE_PROMPT: Step.PROMPT,
    State.MAKE_IMAGE: Step.IMAGE,
    State.STORE_IMAGE: Step.UPLOAD,
    State.REPORT: Step.CLEANUP,
    State.UPKEEP: Step.CLEANUP,
    "Delete or restore": Step.CLEANUP,  # its name in executions of version 1
}


class ExecutionStatus(StrEnum):
    """The statuses of an execution, as Step Functions names them."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"


class Task(StrEnum):
    """The task that a state requests from a function with several tasks."""

    PLAN = "plan"
    PLACE = "place"
    LOOK = "look"
    COLLECT = "collect"
    LIST_STAGED = "came"
