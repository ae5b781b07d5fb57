"""Every route of the API. The stack creates the gateway's routes from this list."""

from easel.page.config import READ, SCHEDULE, WRITE

__all__ = ["DATA", "DESCRIPTION", "PAGE", "READ", "SCHEDULE", "WRITE"]
# Each entry is the method, the path, and the scope that the access token must have.
DATA = (
    ("GET", "/runs", READ),
    ("POST", "/runs", WRITE),
    ("GET", "/runs/{id}", READ),
    ("POST", "/runs/{id}/redrive", WRITE),
    ("POST", "/runs/{id}/stop", WRITE),
    ("GET", "/batches", READ),
    ("POST", "/batches", WRITE),
    ("GET", "/batches/{name}", READ),
    ("GET", "/batches/{name}/lines", READ),
    ("POST", "/batches/{name}/start", WRITE),
    ("GET", "/images", READ),
    ("GET", "/images/{id}", READ),
    ("DELETE", "/images/{id}", WRITE),
    ("POST", "/images/{id}/restore", WRITE),
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
    ("GET", "/estimate", READ),
    ("POST", "/estimate", READ),
)
# These need no token, because the API's description is not secret.
DESCRIPTION = (("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/{file}"))
# These need no token, because the page signs its users in. They exist only with the setting
# public_page.
PAGE = (("GET", "/"), ("GET", "/config.json"), ("GET", "/web/{file+}"))
