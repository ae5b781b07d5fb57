"""Every key and name that Easel writes. None depends on what a model answered."""

import hashlib
import re
import string
import unicodedata
from collections.abc import Iterable
from datetime import datetime

from functions.errors import InputError

MAX_KEY_BYTES = 1024  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
RESERVED = ("staging", "thumbnails", "batches")
RUN_ID_LETTER = "[A-Za-z0-9_.-]"
RUN_ID = re.compile(RUN_ID_LETTER + "{1,80}")
SCHEDULED = "schedule-"  # how the ids of the schedule's runs begin
INBOX = "batches/inbox/"
BATCH_NAME = re.compile(RUN_ID_LETTER + "{1,60}")  # with a line's number it has to be a run id
MANIFEST_ENDINGS = ("jsonl", "csv")
MANIFEST = re.compile(rf"batches/(?:inbox/)?({RUN_ID_LETTER}+?)(?:\.(?:jsonl|csv))?|batches/({RUN_ID_LETTER}+)/failed\.jsonl")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
FILE_NAME_FIELDS = ("date", "time", "run8", "n", "topic")
DEFAULT_FILE_NAME = "image_{date}_{time}_{run8}_{n}"
# The longest thing around a folder and a file name: the thumbnail's prefix and ending, and a suffix like _12.
ROOM = len("thumbnails/" + "/" + "_12" + ".jpeg" + ".webp")


def is_scheduled(run_id: str) -> bool:
    """Whether the schedule started this run."""
    return run_id.startswith(SCHEDULED)


def check_run_id(run_id: object, *, field: str) -> str:
    """A run id that is safe in a key: a URL library would fold `.` and `..`, so those alone are refused."""
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id) or not run_id.strip("."):
        raise InputError(field, run_id, "1 to 80 of A-Z a-z 0-9 _ . -, and not dots alone")
    return run_id


def check_folder(folder: object, *, field: str = "folder_name") -> str:
    """The folder in Unicode's composed form (NFC), without a slash at either end."""
    allowed = (
        "a path like campaign/spring: no empty, `.` or `..` segment, no slash at either end, no backslash, no control or bidi characters"
    )
    if not isinstance(folder, str) or not folder:
        raise InputError(field, folder, allowed)
    if len(folder) > MAX_KEY_BYTES:
        raise InputError(field, folder, f"at most {MAX_KEY_BYTES} bytes in UTF-8, with the file name")
    normal = unicodedata.normalize("NFC", folder)
    segments = normal.split("/")
    if any(not segment.strip() or segment in (".", "..") or segment != segment.strip() for segment in segments):
        raise InputError(field, folder, allowed)
    if "\\" in normal or not _is_printable(normal) or normal == "*":
        raise InputError(field, folder, allowed)
    if segments[0] in RESERVED:
        raise InputError(field, folder, f"any folder but {', '.join(RESERVED)}, which Easel uses itself")
    return normal


def check_file_name(template: object, *, folder: str, topics: Iterable[str]) -> str:
    """A template of `{date} {time} {run8} {n} {topic}` whose key still fits into S3's limit, whichever of the topics it will be."""
    allowed = f"1 to {MAX_KEY_BYTES} characters with any of {' '.join(f'{{{name}}}' for name in FILE_NAME_FIELDS)}, no slash, no dot first"
    if not isinstance(template, str) or not template.strip() or len(template) > MAX_KEY_BYTES:
        raise InputError("file_name", template, allowed)
    template = unicodedata.normalize("NFC", template)
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        raise InputError("file_name", template, allowed) from None
    plain = all(name is None or (name in FILE_NAME_FIELDS and not spec and not conversion) for _, name, spec, conversion in parts)
    if not plain or "/" in template or "\\" in template or template.startswith(".") or not _is_printable(template):
        raise InputError("file_name", template, allowed)
    bases = (image_base(folder, template, started="2000-01-01T00:00:00Z", run_id="x", n=10, topic=topic) for topic in topics)
    size = max(len(base.encode()) for base in bases) + ROOM
    if size > MAX_KEY_BYTES:
        raise InputError("folder_name", f"{folder[:40]}…, {size} bytes with file name", f"at most {MAX_KEY_BYTES} bytes in UTF-8")
    return template


def check_image_key(key: object) -> str:
    """The key of a picture that a caller names: inside a folder, and in none of Easel's own."""
    allowed = f"a stored picture's whole key, without s3:// and bucket, like my_s3_folder/image_….png; endings: {', '.join(PICTURES)}"
    if not isinstance(key, str) or "/" not in key:
        raise InputError("image_key", key, allowed)
    folder, _, name = key.rpartition("/")
    try:
        check_folder(folder)
    except InputError as error:
        raise InputError("image_key", key, f"{allowed}; its folder: {error.allowed}") from error
    if not name.endswith(PICTURES) or not _is_printable(name) or len(key.encode()) > MAX_KEY_BYTES:
        raise InputError("image_key", key, allowed)
    return key


def check_batch_name(name: object, *, field: str) -> str:
    """A batch's name, which its files and the run ids of its lines begin with."""
    if not isinstance(name, str) or not BATCH_NAME.fullmatch(name) or not name.strip(".") or name == "inbox":
        raise InputError(field, name, "1 to 60 of A-Z a-z 0-9 _ . -, not dots alone, and not inbox")
    return name


def batch_name(manifest: object) -> str:
    """The name of the batch whose manifest a caller names: the file's own without its ending."""
    named = MANIFEST.fullmatch(manifest) if isinstance(manifest, str) else None
    if named is None:
        letters = "a name of A-Z a-z 0-9 _ . - and no folder in it"
        raise InputError(
            "manifest", manifest, f"a key like batches/spring.jsonl or batches/spring.csv, {letters}; or a batch's failed.jsonl"
        )
    if named[2]:
        # Its lines have run ids of their own, so it may be longer; a line without one has room for seven digits.
        check_batch_name(named[2][:60], field="the manifest's name")
        if len(named[2]) > 65:
            raise InputError("the manifest's name", named[2], "at most 65 characters: copy the file to another name")
        return f"{named[2]}.failed"
    return check_batch_name(named[1], field="the manifest's name")


def batch_manifest(name: str, ending: str | None = None) -> str:
    """The key of a batch's manifest; the ending, jsonl or csv, tells which kind it is, and none is either."""
    return f"batches/{name}.{ending}" if ending else f"batches/{name}"


def batch_line(name: str, line: int) -> str:
    """The run id of a manifest's line, which counts from 1."""
    return f"{name}-{line}"


def batch_file(name: str, file: str) -> str:
    """A file that tells of a batch."""
    return f"batches/{name}/{file}"


def batch_execution(name: str, *, at: datetime, chance: str) -> str:
    """The name of an execution that starts a batch; `chance` is four letters. At most 80 characters, as Step Functions takes."""
    return f"{name}.{at:%Y%m%d%H%M%S}-{chance}"


def is_batch_execution(execution: str, name: str) -> bool:
    """Whether an execution's name is one of those of this batch."""
    return re.fullmatch(rf"{re.escape(name)}\.\d{{14}}-{RUN_ID_LETTER}{{4}}", execution) is not None


def batch_work(name: str, execution: str) -> str:
    """Where one start of a batch keeps what it works on. No run's staging begins so: no run id has an @ in it."""
    return f"staging/@{name}/{execution}/"


def run8(run_id: str) -> str:
    """Eight hexadecimal characters that stand for a run in names."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:8]


def picture_id(run_id: str, n: int) -> str:
    """The public id of a picture."""
    return f"{run8(run_id)}-{n}"


def staged(run_id: str, n: int, purchase: int) -> str:
    """Where the bytes of a purchase wait for the upload step."""
    return f"staging/{run_id}/{n}/{purchase}.bytes"


def staged_call(run_id: str, n: int, purchase: int) -> str:
    """Where the parameters of a purchase stand, written before it is paid."""
    return f"staging/{run_id}/{n}/{purchase}.json"


def staging_prefix(run_id: str, n: int) -> str:
    """Everything that one picture left in staging."""
    return f"staging/{run_id}/{n}/"


def folder_marker(folder: str) -> str:
    """The zero-byte object that S3's console shows as a folder."""
    return f"{folder}/"


def image_base(folder: str, template: str, *, started: str, run_id: str, n: int, topic: str) -> str:
    """The key of a picture but for its ending; `started` is the start of the run's first execution."""
    start = datetime.fromisoformat(started)
    name = template.format(date=f"{start:%Y-%m-%d}", time=f"{start:%H%M%S}", run8=run8(run_id), n=n, topic=_slug(topic))
    return f"{folder}/{name}"


def image(base: str, extension: str, *, attempt: int) -> str:
    """The picture's key; a second attempt at a taken name gets a suffix, as in `name_2.png`."""
    return f"{base}.{extension}" if attempt == 1 else f"{base}_{attempt}.{extension}"


def sidecar(image_key: str) -> str:
    """The JSON beside a picture. The whole key is kept in it, so that no two pictures share one."""
    return f"{image_key}.json"


def thumbnail(image_key: str) -> str:
    """The small WebP of a picture."""
    return f"thumbnails/{image_key}.webp"


def of_image(image_key: str) -> tuple[str, ...]:
    """The picture's key, and those of what belongs to it."""
    return (image_key, sidecar(image_key), thumbnail(image_key))


def of_folder(folder: str) -> tuple[str, ...]:
    """The prefixes of a folder and of its thumbnails: the closing slash keeps `cats` away from `cats2/`."""
    return (f"{folder}/", f"thumbnails/{folder}/")


def is_picture(key: str) -> bool:
    """Whether a picture's record may belong to this key."""
    return key.endswith(PICTURES) and not key.startswith("thumbnails/")


def _is_printable(text: str) -> bool:
    # Cc, Cf: control and bidi characters; Zl, Zp: line ends; Cs, Co, Cn: what no console can show.
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn") for c in text)


def _slug(topic: str) -> str:
    words = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFC", topic)).strip("-")
    return words[:40].strip("-") or "picture"
