"""Gap: where a function fails, the HTTP API answers 502 with its error and stack trace; AWS answers 500 and tells nothing."""

from ministack.services import apigateway

from local.ministack.edits import edit

_ANSWERED = "    lambda_response, _ = lambda_svc.lambda_execute_result_to_api_proxy_response(result)\n"
_HIDDEN = """    if result.get("error"):
        return 500, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}'
"""


def apply() -> None:
    """Say no more than that something failed."""
    edit(apigateway, "_invoke_lambda_proxy", [(_ANSWERED, _HIDDEN + _ANSWERED)])
