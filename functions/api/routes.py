"""Every route of the API. The stack creates the gateway's routes from this list."""

from easel.page.config import ADMIN, READ, SCHEDULE, WRITE

__all__ = ["ADMIN", "DATA", "DESCRIPTION", "PAGE", "READ", "SCHEDULE", "WRITE"]
# Each entry is the method, the path, and the scope that the access token must have.
DATA = (
    ("GET", "/runs", READ),
    ("POST", "/runs", WRITE),
    ("POST", "/runs/redrive", WRITE),
    ("GET", "/runs/{id}", READ),
    ("POST", "/runs/{id}/redrive", WRITE),
    ("POST", "/runs/{id}/stop", WRITE),
    ("POST", "/runs/{id}/paint", WRITE),
    ("GET", "/batches", READ),
    ("POST", "/batches", WRITE),
    ("GET", "/batches/{name}", READ),
    ("GET", "/batches/{name}/lines", READ),
    ("GET", "/batches/{name}/failures", READ),
    ("POST", "/batches/{name}/start", WRITE),
    ("POST", "/batches/{name}/resume", WRITE),
    ("POST", "/batches/{name}/stop", WRITE),
    ("GET", "/images", READ),
    ("GET", "/images/{id}", READ),
    ("PATCH", "/images/{id}", WRITE),
    ("DELETE", "/images/{id}", WRITE),
    ("POST", "/images/{id}/restore", WRITE),
    ("POST", "/images/{id}/move", WRITE),
    ("POST", "/images/changes", WRITE),
    ("POST", "/images/actions", WRITE),
    ("POST", "/images/{id}/share", WRITE),
    ("DELETE", "/images/{id}/share", WRITE),
    ("POST", "/uploads", WRITE),
    ("GET", "/uploads/{id}", READ),
    ("GET", "/folders", READ),
    ("DELETE", "/folders", WRITE),
    ("POST", "/folders/restore", WRITE),
    ("GET", "/schedules", READ),
    ("PUT", "/schedules/{name}", SCHEDULE),
    ("DELETE", "/schedules/{name}", SCHEDULE),
    ("GET", "/presets", READ),
    ("PUT", "/presets/{name}", WRITE),
    ("DELETE", "/presets/{name}", WRITE),
    ("GET", "/me", READ),
    ("GET", "/people", READ),
    ("GET", "/spending", READ),
    ("GET", "/budgets", READ),
    ("PUT", "/budgets", ADMIN),
    ("GET", "/estimate", READ),
    ("POST", "/estimate", READ),
)
# These need no token, because the API's description is not secret.
DESCRIPTION = (("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/{file}"))
# These need no token, because the page signs its users in. They exist only with the setting
# public_page.
PAGE = (("GET", "/"), ("GET", "/config.json"), ("GET", "/web/{file+}"))
