"""Gaps in IAM, closed so that each call of a function is authorized as on AWS.

With `AUTH=true`, MiniStack gives each function a session of its role and checks each request
against the role's policies. Six gaps would deny or allow the wrong requests:

- A request on loopback does not count as TLS, so a policy that requires TLS denies everything.
- The closing slash of a key is missing from the object's ARN.
- A secret's `Ref`, which policies name, is its name and not its ARN.
- The resource of DescribeMapRun is `*`.
- The group of a schedule is always `default`.
- `events:source`, `dynamodb:LeadingKeys`, `dynamodb:Attributes`, `sts:DurationSeconds` and
  `sts:IdentityTokenAudience` are missing from the request's context, so conditions on them never
  apply.

Each denial is logged with role, action and resource. If `EASEL_LOCAL_DECISIONS` names a folder,
every decision about a role is also written there, as a JSON line in a file of this process.
"""

import functools
import json
import logging
import os
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_actions, iam_evaluator

from local.ministack.edits import edit, replace

DECISIONS = "EASEL_LOCAL_DECISIONS"
_SECRET_SUFFIX = len("-AbCdEf")  # AWS adds this to the name in a secret's ARN
_LOOPBACK = ("127.0.0.1", True)
_ORIGIN = "_request_origin.set((source_ip, secure_transport))"
_ORIGIN_WITH_TLS = "_request_origin.set((source_ip, True))"
_RESULT = '    if result.decision == "Allow":\n'
_RECORDED_RESULT = (
    f"    _easel_record(principal.arn, iam_action, resource_arn, result.decision)\n{_RESULT}"
)

_log = logging.getLogger("easel.iam")
_writing = threading.Lock()


def apply() -> None:
    """Close the gaps, log each denial, and write the decisions down if the caller asks for it."""
    edit(iam_evaluator, "pin_request_origin", [(_ORIGIN, _ORIGIN_WITH_TLS)])
    origin = ContextVar("easel_request_origin", default=_LOOPBACK)
    replace(iam_evaluator, "_request_origin", lambda _: origin)
    replace(iam_actions, "extract_resource_arn", _with_exact_arn)
    replace(iam_actions, "request_tag_context", _with_whole_context)
    edit(iam_evaluator, "enforce", [(_RESULT, _RECORDED_RESULT)], _easel_record=_record)


def _with_exact_arn(extract: Any) -> Any:
    @functools.wraps(extract)
    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> str:
        arn = str(extract(service, method, path, headers, body, *rest))
        if service == "states" and arn == "*" and b'"mapRunArn"' in (body or b""):
            return str(json.loads(body)["mapRunArn"])
        if service == "scheduler" and ":schedule/" in arn:
            in_query = (rest[0].get("groupName") or ["default"])[0]
            group = json.loads(body).get("GroupName", "default") if body else in_query
            return arn.replace(":schedule/default/", f":schedule/{group}/")
        if service == "secretsmanager" and ":secret:" in arn:
            return arn.rpartition(":secret:")[2][:-_SECRET_SUFFIX]
        is_object = service == "s3" and len([part for part in path.split("/") if part]) > 1
        return f"{arn}/" if is_object and path.endswith("/") and not arn.endswith("/") else arn

    return extract_resource_arn


def _with_whole_context(make: Any) -> Any:
    @functools.wraps(make)
    def request_tag_context(service: str, action: str, body: bytes, params: Any) -> dict[str, Any]:
        return dict(make(service, action, body, params) or {}) | _context(service, action, body)

    return request_tag_context


def _context(service: str, action: str, body: bytes) -> dict[str, Any]:
    """Return the condition keys that MiniStack leaves out, with their values in a request."""
    if action == "sts:GetWebIdentityToken":
        form = parse_qs((body or b"").decode())
        audiences = [form[name][0] for name in form if name.startswith("Audience.")]
        duration = form.get("DurationSeconds", ["300"])[0]  # 300 is the default of AWS
        return {"sts:DurationSeconds": duration, "sts:IdentityTokenAudience": audiences}
    if action == "events:PutEvents":
        entries = json.loads(body)["Entries"]
        return {"events:source": sorted({entry.get("Source", "") for entry in entries})}
    if service == "dynamodb":
        actions = _item_actions(json.loads(body))
        keys = sorted({item["pk"]["S"] for item in map(_item, actions) if "pk" in item})
        names = {name for each in actions for name in _attributes(each)}
        found = {"dynamodb:LeadingKeys": keys, "dynamodb:Attributes": sorted(names)}
        return {name: values for name, values in found.items() if values}
    return {}


def _item_actions(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the actions of a transaction, or the request itself."""
    return [next(iter(action.values())) for action in request.get("TransactItems", ())] or [request]


def _item(action: dict[str, Any]) -> dict[str, Any]:
    return dict(action.get("Key") or action.get("Item") or {})


def _attributes(action: dict[str, Any]) -> set[str]:
    """Return the attributes that a write names. Easel's expressions name them as #attribute."""
    return {*_item(action), *action.get("ExpressionAttributeNames", {}).values()}


def _record(principal: str, action: str, resource: str, decision: str) -> None:
    """Log a denial of a role, and write the decision into the file if there is one."""
    if ":assumed-role/" not in principal:  # a caller with the emulator's own credentials
        return
    role = principal.split("/")[1]
    if decision != "Allow":
        _log.warning("denied (%s): %s may not %s on %s", decision, role, action, resource)
    folder = os.environ.get(DECISIONS)
    if folder:
        line = {"role": role, "action": action, "resource": resource, "decision": decision}
        with _writing, Path(folder, f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
