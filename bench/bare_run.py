"""A bare script that does a run's work once: prompt, image, check, thumbnails, and four objects.

It has no claim, record, budget or retry. What it writes is what a run leaves in the bucket.
"""

import io
import json
import os
from typing import Any
from uuid import uuid4

import boto3
from openai import OpenAI
from PIL import Image

from bench.image_calls import prompt_and_image

EDGES = (512, 1280)  # of the thumbnail and the preview
openai = OpenAI(api_key="any", base_url=os.environ["OPENAI_BASE_URL"])
s3 = boto3.client("s3")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Make one image of the size in the event."""
    prompt, data = prompt_and_image(openai, event["size"])
    key, bucket = f"bare/{uuid4().hex}", event["bucket"]
    with Image.open(io.BytesIO(data)) as image:
        image.load()  # a damaged file fails here
        small = image.convert("RGB")
        for edge in sorted(EDGES, reverse=True):
            small.thumbnail((edge, edge))
            out = io.BytesIO()
            small.save(out, "WEBP", quality=80, method=2)
            s3.put_object(Bucket=bucket, Key=f"{key}-{edge}.webp", Body=out.getvalue())
    s3.put_object(Bucket=bucket, Key=f"{key}.png", Body=data)
    s3.put_object(Bucket=bucket, Key=f"{key}.json", Body=json.dumps({"prompt": prompt}).encode())
    return {"key": key, "bytes": len(data)}
