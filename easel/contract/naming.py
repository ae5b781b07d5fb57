"""Every key and name that Easel writes. None of them depends on a model's answer.

Names that callers choose are checked in easel/request/names.py.
"""

import hashlib
import re
from datetime import datetime

from easel.contract.text import slug

MAX_KEY_BYTES = 1024  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
RESERVED = ("staging", "thumbnails", "batches", "references")
RUN_ID_LETTER = "[A-Za-z0-9_.-]"
RUN_ID = re.compile(RUN_ID_LETTER + "{1,80}")
SCHEDULED = "schedule-"  # the prefix of the run ids of schedules
CALLER_LENGTH = 8  # hexadecimal characters that identify a caller of the API
# Run ids that the API and schedules make up. A batch could take them and let those runs fail.
RESERVED_RUN_ID = re.compile(f"[0-9a-f]{{{CALLER_LENGTH}}}-|{SCHEDULED}")
API_RUN = re.compile(f"(?P<caller>[0-9a-f]{{{CALLER_LENGTH}}})-")
# Step Functions names an execution like this if its starter does not.
UNNAMED = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# The action, the caller, and 32 random characters. Older versions had no caller.
UPKEEP_RUN = re.compile(
    f"(?P<action>[a-z]+_[a-z]+)-((?P<caller>[0-9a-f]{{{CALLER_LENGTH}}})-[0-9a-f]{{32}}"
    f"|{UNNAMED.pattern})"
)
INBOX = "batches/inbox/"
# An upload arrives here. Once it is checked, it moves to a key outside of the inbox.
REFERENCE_INBOX = "references/inbox/"
SHARED = "shared/"
UPLOAD_ID = re.compile("[0-9a-f]{32}")
REFERENCE_KEY = re.compile(rf"references/({UPLOAD_ID.pattern})\.(png|jpg|webp)")
# S3 deletes an unused upload after some days.
UNUSED_TAG, USED_TAG = {"easel": "unused"}, {"easel": "used"}
MANIFEST_TYPES = {"jsonl": "application/jsonl", "csv": "text/csv"}  # by the ending
MANIFEST_ENDINGS = tuple(MANIFEST_TYPES)
CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "json": "application/json",
}
MAX_TOPIC = 40  # characters of a topic in a file name
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
# The pixels of the longer edge of an image's previews. Every image has the first one.
PREVIEW_EDGES = (320, 640, 1280)
# A file of an exact size next to an image. The id is in the name only if another file has the name.
SIZE_NAME = re.compile(r"\.\d{2,4}x\d{2,4}(_[0-9a-f]{16}-\d{1,2})?\.(jpg|webp|avif|png)")
SIZE_KEY = re.compile(rf".*({'|'.join(map(re.escape, PICTURES))}){SIZE_NAME.pattern}", re.DOTALL)
# WebP and AVIF take about 25 bytes of memory for each pixel, and a PNG may store 3 bytes for each.
# So larger sizes are JPEG files.
MAX_COMPACT_PIXELS = 25_000_000
# The metadata of a size that names its image. No other object has them.
OWNER_RUN, OWNER_N = "size-of-run-id", "size-of-n"
MAX_IMAGE_BYTES = 64 * 1024 * 1024  # the largest image that is stored
# Each index of the gallery groups images by this attribute. Only images in the gallery have these
# attributes.
GALLERY_INDEXES = {
    "by_time": "shelf",
    "by_folder": "shelf_folder",
    "by_topic": "shelf_topic",
    "by_folder_topic": "shelf_folder_topic",
}
GALLERY_POSITION = "at_id"  # the attribute that every index sorts by


def is_scheduled(run_id: str) -> bool:
    """Return whether a schedule started this run."""
    return run_id.startswith(SCHEDULED)


def scheduled_run(request_id: str) -> str:
    """Return the run id for a request_id. The id of a scheduled run has its time without colons.

    EventBridge and Scheduler fill in the time, such as 2026-11-29T08:00:00Z, and no run id contains
    a colon.
    """
    return request_id.replace(":", "") if is_scheduled(request_id) else request_id


def hash_subject(subject: str) -> str:
    """Return the id of the owner of tokens with this subject."""
    return hashlib.sha256(subject.encode()).hexdigest()[:CALLER_LENGTH]


def api_run(caller: str, key: str) -> str:
    """Return the id of a run that a caller of the API starts with an idempotency key."""
    return f"{caller}-{key}"


def upkeep_run(action: str, caller: str, suffix: str) -> str:
    """Return the name of an execution that deletes, restores or shares.

    `suffix` are 32 random hexadecimal characters.
    """
    return f"{action}-{caller}-{suffix}"


def action_of(execution: str) -> str:
    """Return the action that an execution's name shows. A name without one creates images."""
    match = UPKEEP_RUN.fullmatch(execution)
    return match["action"] if match else "create"


def caller_of(execution: str) -> str | None:
    """Return the caller of the API who started an execution, by its name, or None."""
    match = UPKEEP_RUN.fullmatch(execution)
    if match:
        return match["caller"]
    match = API_RUN.match(execution)
    return match["caller"] if match and not UNNAMED.match(execution) else None


def is_reserved(run_id: str) -> bool:
    """Return whether a run id may belong to a caller of the API or to the schedule."""
    return RESERVED_RUN_ID.match(run_id) is not None


def batch_manifest(name: str, ending: str | None = None) -> str:
    """Return the key of a batch's manifest. Without an ending it matches jsonl and csv."""
    return f"batches/{name}.{ending}" if ending else f"batches/{name}"


def batch_line(name: str, line: int) -> str:
    """Return the run id of a manifest's line. Lines count from 1."""
    return f"{name}-{line}"


def batch_file(name: str, file: str) -> str:
    """Return the key of one of a batch's files."""
    return f"batches/{name}/{file}"


def batch_execution(name: str, *, at: datetime, suffix: str) -> str:
    """Return the name of an execution that starts a batch. `suffix` is four random letters.

    The name has at most 80 characters, which is Step Functions' limit.
    """
    return f"{name}.{at:%Y%m%d%H%M%S}-{suffix}"


def is_batch_execution(execution: str, name: str) -> bool:
    """Return whether an execution's name belongs to this batch."""
    pattern = rf"{re.escape(name)}\.\d{{14}}-{RUN_ID_LETTER}{{4}}"
    return re.fullmatch(pattern, execution) is not None


def batch_work(name: str, execution: str) -> str:
    """Return the prefix of the working files of one start of a batch.

    It never collides with a run's staging, because no run id contains an @.
    """
    return f"staging/@{name}/{execution}/"


def order_inputs_key(mark: str) -> str:
    """Return the key of the list of an order's input images. No batch has an empty name."""
    return f"staging/@/{mark}.json"


def run8(run_id: str) -> str:
    """Return the eight hexadecimal characters that identify a run in names."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:8]


def image_id(run_id: str, n: int) -> str:
    """Return the public id of an image. With its 64 bits, a billion runs hardly ever share one."""
    return f"{hashlib.sha256(run_id.encode()).hexdigest()[:16]}-{n}"


def image_ids(run_id: str, n: int) -> tuple[str, str]:
    """Return the id of an image, and the shorter one that it has in links of older versions."""
    return image_id(run_id, n), f"{run8(run_id)}-{n}"


def staged_key(run_id: str, n: int, purchase: int) -> str:
    """Return the key where a purchase's bytes wait for the upload step."""
    return f"staging/{run_id}/{n}/{purchase}.bytes"


def staged_call_key(run_id: str, n: int, purchase: int) -> str:
    """Return the key of a purchase's parameters, which are written before it is paid."""
    return f"staging/{run_id}/{n}/{purchase}.json"


def staging_prefix(run_id: str, n: int) -> str:
    """Return the prefix of everything that one image has in staging."""
    return f"staging/{run_id}/{n}/"


def folder_marker(folder: str) -> str:
    """Return the key of the zero-byte object that the S3 console shows as a folder."""
    return f"{folder}/"


def image_base(folder: str, template: str, *, started: str, run_id: str, n: int, topic: str) -> str:
    """Return an image's key without its ending. `started` is when the run first started."""
    start = datetime.fromisoformat(started)
    date, time = f"{start:%Y-%m-%d}", f"{start:%H%M%S}"
    words = slug(topic, MAX_TOPIC) or "picture"
    name = template.format(date=date, time=time, run8=run8(run_id), n=n, topic=words)
    return f"{folder}/{name}"


def image_key(base: str, extension: str, *, attempt: int) -> str:
    """Return an image's key. If a name is taken, the next attempt adds a suffix: `name_2.png`."""
    return f"{base}.{extension}" if attempt == 1 else f"{base}_{attempt}.{extension}"


def last_image_key(base: str, extension: str, *, run_id: str, n: int) -> str:
    """Return the key of an image for which too many names are taken. No other image has it."""
    return f"{base}_{image_id(run_id, n)}.{extension}"


def sidecar_key(key: str) -> str:
    """Return the key of the JSON file next to an image.

    It contains the image's whole key, so that no two images share a sidecar.
    """
    return f"{key}.json"


def thumbnail_key(key: str, edge: int = PREVIEW_EDGES[0]) -> str:
    """Return the key of an image's thumbnail, or of its preview with a longer edge."""
    return f"thumbnails/{key}.webp" if edge == PREVIEW_EDGES[0] else f"thumbnails/{key}.{edge}.webp"


def preview_size(width: int, height: int, edge: int) -> tuple[int, int]:
    """Return the width and height of a preview. A small image is not enlarged."""
    scale = min(1.0, edge / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def size_key(key: str, width: int, height: int, extension: str) -> str:
    """Return the key of a file of an exact size. It is next to the image."""
    return f"{key}.{width}x{height}.{extension}"


def last_size_key(key: str, width: int, height: int, extension: str, *, owner: str) -> str:
    """Return the key of a size if another file has its key. `owner` is the image's id."""
    return f"{key}.{width}x{height}_{owner}.{extension}"


def sizes_prefix(key: str) -> str:
    """Return the prefix of the keys of all sizes of an image. It includes the sidecar."""
    return f"{key}."


def is_size_of(candidate: str, key: str) -> bool:
    """Return whether a key may belong to a size of this image."""
    rest = candidate.removeprefix(key)
    return rest != candidate and SIZE_NAME.fullmatch(rest) is not None


def is_size(key: str) -> bool:
    """Return whether a key may belong to a size of any image. No new image gets such a key."""
    return SIZE_KEY.fullmatch(key) is not None


def upload_inbox_key(upload_id: str) -> str:
    """Return the key where an upload waits until it is checked."""
    return f"{REFERENCE_INBOX}{upload_id}"


def reference_key(upload_id: str, extension: str) -> str:
    """Return the key of a checked upload."""
    return f"references/{upload_id}.{extension}"


def upload_id(key: str) -> str | None:
    """Return the id of the checked upload with this key, or None if it is another key."""
    match = REFERENCE_KEY.fullmatch(key)
    return match[1] if match else None


def image_keys(key: str) -> tuple[str, ...]:
    """Return the keys of the image, its sidecar and its previews. Its sizes are not included."""
    return (key, sidecar_key(key), *(thumbnail_key(key, edge) for edge in PREVIEW_EDGES))


def shared_key(path: str) -> str:
    """Return the key of a public copy, in the bucket of the distribution.

    It is also the path of its address. `path` begins with a token that cannot be guessed.
    """
    return f"{SHARED}{path}"


def folder_prefixes(folder: str) -> tuple[str, ...]:
    """Return the prefixes of a folder and of its thumbnails.

    The closing slash prevents `cats` from matching `cats2/`.
    """
    return (f"{folder}/", f"thumbnails/{folder}/")


def is_image(key: str) -> bool:
    """Return whether an image's record may belong to this key."""
    return key.endswith(PICTURES) and not key.startswith("thumbnails/")
