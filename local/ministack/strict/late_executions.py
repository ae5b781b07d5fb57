"""Gap: an execution is known as soon as it has started.

AWS calls DescribeExecution and ListExecutions eventually consistent: their answers may not reflect
very recent changes. Its documentation does not call GetExecutionHistory so, which answers from the
same records. StopExecution and ListMapRuns know an execution at once.
"""

import functools
import json
import time
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import stepfunctions

from local.ministack.edits import replace


def apply(seconds: float) -> None:
    """Keep each execution unknown for this time after its start."""
    known_from: dict[str, float] = {}

    def is_late(arn: Any) -> bool:
        return known_from.get(arn, 0) > time.monotonic()

    def noting_starts(start: Any) -> Any:
        @functools.wraps(start)
        def starting(request: dict[str, Any]) -> Any:
            answer = start(request)
            if answer[0] == 200:
                now = time.monotonic()
                for arn, known in list(known_from.items()):
                    if known <= now:
                        known_from.pop(arn, None)
                known_from[json.loads(answer[2])["executionArn"]] = now + seconds
            return answer

        return starting

    def refusing(read: Any) -> Any:
        @functools.wraps(read)
        def reading(request: dict[str, Any]) -> Any:
            arn = request.get("executionArn")
            if is_late(arn):
                message = f"Execution Does Not Exist: '{arn}'"
                return error_response_json("ExecutionDoesNotExist", message, 400)
            return read(request)

        return reading

    def leaving_out(list_executions: Any) -> Any:
        @functools.wraps(list_executions)
        def listing(request: dict[str, Any]) -> Any:
            answer = list_executions(request)
            if answer[0] != 200:
                return answer
            page = json.loads(answer[2])
            known = [item for item in page["executions"] if not is_late(item["executionArn"])]
            return json_response({**page, "executions": known})

        return listing

    replace(stepfunctions, "_start_execution", noting_starts)
    replace(stepfunctions, "_describe_execution", refusing)
    replace(stepfunctions, "_get_execution_history", refusing)
    replace(stepfunctions, "_list_executions", leaving_out)
