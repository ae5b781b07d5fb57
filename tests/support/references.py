"""Reference images in memory: uploads and stored images."""

import io
from uuid import uuid4

from PIL import Image

from easel.contract import naming
from easel.ledger.uploads import Upload
from functions import references
from tests.support.images import png
from tests.support.services import FakeServices
from tests.support.steps import UploadStep


def upload(services: FakeServices, data: bytes, upload_id: str | None = None) -> Upload:
    """Put a file into the inbox, have it checked, and return its record."""
    upload_id = upload_id or uuid4().hex
    key = naming.upload_inbox_key(upload_id)
    services.bucket.put(key, data, content_type="image/png", metadata={"name": "teapot.png"})
    references.run(key, services)
    found = services.uploads.find(upload_id)
    assert found is not None
    return found


def stored_image(services: FakeServices, *, n: int = 1) -> str:
    """Store an image of the run run-1, and return its key."""
    step = UploadStep(services)
    return str(step.run(step.staged(png(64, 48, "red"), n=n)).key)


def mask_png(width: int = 64, height: int = 48, *, alpha: int = 0) -> bytes:
    """Return a black PNG, whose left half has this alpha value."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    image.paste((0, 0, 0, alpha), (0, 0, width // 2, height))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
