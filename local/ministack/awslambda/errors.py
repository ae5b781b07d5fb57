"""Gap: MiniStack names every failure `Runtime.HandlerError` and kills the worker of a handler that raised."""

import functools
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.ministack.edits import edit_text, replace

_REPORTED = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
# MiniStack kills a worker that answers "error"; one whose handler raised is as healthy as on AWS, so it answers "ok".
# The first frame is the worker's own.
_REPORTED_BY_CLASS = """{"status": "ok", "failure": {
                "errorMessage": str(e), "errorType": type(e).__name__,
                "stackTrace": traceback.format_tb(e.__traceback__)[1:]}}"""


class _Failure(dict[str, Any]):
    """What a handler raised, on its way through code that takes it for a result."""


def apply() -> None:
    """Name a failure by the exception's class, a death `Runtime.ExitError`, and keep the worker of the former."""
    edit_text(lambda_runtime, "_PYTHON_WORKER_SCRIPT", [(_REPORTED, _REPORTED_BY_CLASS)])
    replace(lambda_runtime.Worker, "invoke", _marking_failures)
    replace(lambda_svc, "_execute_function_warm", _answering_as_lambda_does)


def _marking_failures(invoke: Any) -> Any:
    @functools.wraps(invoke)
    def marking(*args: Any, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = invoke(*args, **options)
        if "failure" in answer:
            answer["result"] = _Failure(answer.pop("failure"))
        return answer

    return marking


def _answering_as_lambda_does(execute: Any) -> Any:
    @functools.wraps(execute)
    def answering(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = execute(func, event, request_id)
        body: Any = answer.get("body")
        if isinstance(body, _Failure):
            trace = "".join(["Traceback (most recent call last):\n", *body["stackTrace"]])
            line = f"[ERROR] {body['errorType']}: {body['errorMessage']}\n{trace}"
            answer["log"] = "\n".join(filter(None, [answer.get("log"), line]))
            answer["body"] = {**body, "requestId": request_id}
            answer["error"] = True
        elif isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError" and _is_python(func) and answer.get("error"):
            # What a handler raises comes by its class, and a timeout has its own name: the process must have ended.
            message = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
            answer["body"] = {"errorType": "Runtime.ExitError", "errorMessage": message}
        return answer

    return answering


def _is_python(func: dict[str, Any]) -> bool:
    return str((func.get("config") or func).get("Runtime", "python")).startswith("python")
