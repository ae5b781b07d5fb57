"""Every route of the API, in one place: the stack makes the gateway's routes from it, the handler answers them."""

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
# Without a token, and deployed only with the setting public_page: the page that signs its reader in.
PAGE = (("GET", "/"), ("GET", "/config.json"), ("GET", "/web/{file+}"))
