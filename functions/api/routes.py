"""Every route of the API: the stack makes the gateway's routes from them."""

READ, WRITE = "easel/read", "easel/write"

# Method, path, and the scope that the caller's access token has to have.
DATA = (
    ("GET", "/runs", READ),
    ("POST", "/runs", WRITE),
    ("GET", "/runs/{id}", READ),
    ("POST", "/runs/{id}/redrive", WRITE),
    ("POST", "/runs/{id}/stop", WRITE),
    ("POST", "/batches", WRITE),
    ("GET", "/batches/{name}", READ),
    ("POST", "/batches/{name}/start", WRITE),
    ("GET", "/images", READ),
    ("GET", "/images/{id}", READ),
    ("DELETE", "/images/{id}", WRITE),
    ("POST", "/images/{id}/restore", WRITE),
    ("GET", "/folders", READ),
    ("DELETE", "/folders", WRITE),
    ("POST", "/folders/restore", WRITE),
    ("GET", "/estimate", READ),
    ("POST", "/estimate", READ),
)
# Without a token: what the API is, which is no secret.
DESCRIPTION = (("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/{file}"))
# Without a token, with the setting public_page alone: the page that signs its reader in.
PAGE = (("GET", "/"), ("GET", "/config.json"), ("GET", "/web/{file+}"))
