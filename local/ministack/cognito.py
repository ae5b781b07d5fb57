"""Gap: CloudFormation does not know the style of Cognito's sign-in page.

On AWS the newer sign-in page does not open without one. The emulator has a page of its own, so the
resource is created without any effect.
"""

from typing import Any

from ministack.services.cloudformation import provisioners

from local.ministack.edits import PatchError

_STYLE = "AWS::Cognito::ManagedLoginBranding"


def apply() -> None:
    """Let CloudFormation create and delete a style. Raise PatchError if it already can."""
    handlers = provisioners._RESOURCE_HANDLERS
    if _STYLE in handlers:
        raise PatchError(_STYLE, "is known")
    handlers[_STYLE] = {"create": _create, "delete": lambda *_: None}


def _create(logical_id: str, properties: dict[str, Any], *_: Any) -> tuple[str, dict[str, Any]]:
    style = f"{properties['UserPoolId']}|{logical_id}"
    return style, {"ManagedLoginBrandingId": style}
