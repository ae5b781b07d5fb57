"""The files of the page and of the API's description, by the path at which a browser loads them.

They are public and contain no secrets.
"""

import html
import mimetypes
from functools import cache
from pathlib import Path

WEB = Path(__file__).resolve().parents[2] / "web"
VIEWER = WEB / "vendor" / "swagger-ui-dist-5.35.0"
INDEX, DOCS_INDEX = WEB / "index.html", WEB / "docs" / "index.html"
DOCS = {
    file.name: file
    for file in (
        WEB / "docs" / "start.js",
        VIEWER / "swagger-ui-bundle.js",
        VIEWER / "swagger-ui.css",
    )
}
TEXT = ("text/", "application/json", "image/svg+xml")
YEAR, HOUR = 365 * 24 * 3600, 3600
NOTHING = "default-src 'none'; frame-ancestors 'none'"
OPENER_POLICY, PERMISSIONS_POLICY = "Cross-Origin-Opener-Policy", "Permissions-Policy"
# Each response with a file has these headers.
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    OPENER_POLICY: "same-origin",
    "Strict-Transport-Security": f"max-age={YEAR}",
    PERMISSIONS_POLICY: "camera=(), geolocation=(), microphone=(), payment=()",
}
CHARSET = '<meta charset="utf-8"'
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("image/svg+xml", ".svg")


@cache
def names() -> frozenset[str]:
    """Return the paths of all files below `web/`."""
    files = (path for path in WEB.rglob("*") if path.is_file())
    return frozenset(path.relative_to(WEB).as_posix() for path in files)


def content_type(path: Path) -> str:
    """Return a file's content type."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def with_charset(kind: str) -> str:
    """Return a content type with the encoding, if it is a type of text."""
    return f"{kind}; charset=utf-8" if kind.startswith(TEXT) else kind


def seconds_of(name: str) -> int:
    """Return how long a browser may keep a file below `web/` without asking again.

    The path of a vendored file contains its version.
    """
    return YEAR if name.startswith("vendor/") else 0


def cache_control(seconds: int) -> str:
    """Return the header for a file that a browser may keep for so long."""
    return f"public, max-age={seconds}, immutable" if seconds else "no-cache"


def page_policy(*, images: str, sign_in: str) -> str:
    """Return the Content-Security-Policy of the page, for the origins that it uses."""
    return _policy(
        script="'self'",
        style="'self'",
        # The page shows a file of the user before it is uploaded. Only the page can make such a
        # blob: address.
        img=f"'self' blob: {images}",
        # Uploads go straight to the bucket.
        connect=f"'self' {sign_in} {images}",
    )


def docs_policy() -> str:
    """Return the policy of the page that shows the API's description."""
    # The viewer's scripts set inline styles, and its stylesheet contains icons as data: URLs.
    style = "'self' 'unsafe-inline'"
    return _policy(script="'self'", style=style, img="'self' data:", connect="'self'")


def with_policy(page: str, policy: str) -> str:
    """Return an HTML page that contains its policy.

    A bucket cannot send a header of its own for one object. Browsers ignore frame-ancestors here,
    so the distribution sends that part as a header.
    """
    before, found, after = page.partition(CHARSET)
    if not found:
        raise ValueError(f"the page does not contain {CHARSET}")
    text = html.escape(policy.rpartition("; frame-ancestors")[0], quote=True)
    tag = f'<meta http-equiv="Content-Security-Policy" content="{text}">'
    return f"{before}{tag}\n    {found}{after}"


def _policy(**sources: str) -> str:
    allowed = "; ".join(f"{kind}-src {where}" for kind, where in sources.items())
    rest = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"default-src 'none'; {allowed}; {rest}"
