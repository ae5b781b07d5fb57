"""Gaps: what a caller learns when a function fails.

- MiniStack names every failure `Runtime.HandlerError`, and kills the process of a handler that
  raised an exception.
- The HTTP API answers 502 with the error and its stack trace. AWS answers 500 without details.
- A state whose call is throttled fails with `Lambda.Unknown`, so that its Retry does not match.
"""

import functools
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import apigateway, lambda_svc, stepfunctions

from local.ministack.edits import edit, edit_text, replace

_REPORT = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
# MiniStack kills a worker that answers "error". On AWS, a worker stays healthy when its handler
# raises an exception, so it answers "ok" here. The first frame of the trace is the worker's own.
_REPORT_WITH_CLASS = """{"status": "ok", "failure": {
                "errorMessage": str(e), "errorType": type(e).__name__,
                "stackTrace": traceback.format_tb(e.__traceback__)[1:]}}"""

_PROXY = "    lambda_response, _ = lambda_svc.lambda_execute_result_to_api_proxy_response(result)\n"
_PROXY_WITHOUT_DETAILS = f"""    if result.get("error"):
        headers = {{"Content-Type": "application/json"}}
        return 500, headers, b'{{"message":"Internal Server Error"}}'
{_PROXY}"""

_RESULT = '    if result.get("error"):\n        body = result.get("body", {})\n'
_RESULT_OR_THROTTLED = f"""    if result.get("throttle"):
        raise _ExecutionError("Lambda.TooManyRequestsException", result["body"]["message"])
{_RESULT}"""


class _Failure(dict[str, Any]):
    """The failure of a handler. MiniStack's code treats it as a result."""


def apply() -> None:
    """Name a failure after the exception's class, and the death of a process `Runtime.ExitError`.

    A handler that raises keeps its process. The HTTP API reports only that something failed. A
    throttled call has its own name in a state machine.
    """
    edit_text(lambda_runtime, "_PYTHON_WORKER_SCRIPT", [(_REPORT, _REPORT_WITH_CLASS)])
    replace(lambda_runtime.Worker, "invoke", _marking_failures)
    replace(lambda_svc, "_execute_function_warm", _answering_as_lambda_does)
    edit(apigateway, "_invoke_lambda_proxy", [(_PROXY, _PROXY_WITHOUT_DETAILS)])
    edit(stepfunctions, "_call_lambda", [(_RESULT, _RESULT_OR_THROTTLED)])


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
        elif answer.get("error") and _is_handler_error(body) and _is_python(func):
            # An exception is a _Failure, and a timeout has its own name. Anything else means that
            # the process has died.
            message = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
            answer["body"] = {"errorType": "Runtime.ExitError", "errorMessage": message}
        return answer

    return answering


def _is_handler_error(body: Any) -> bool:
    return isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError"


def _is_python(func: dict[str, Any]) -> bool:
    return str((func.get("config") or func).get("Runtime", "python")).startswith("python")
