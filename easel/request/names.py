"""The names that callers choose: run ids, folders, file names, image keys, batches."""

import re
import string
import unicodedata
from collections.abc import Iterable

from easel.contract import naming
from easel.contract.errors import InputError, Summary
from easel.contract.text import JOINER, NON_JOINER, is_joiner

BATCH_NAME = re.compile(naming.RUN_ID_LETTER + "{1,60}")  # a run id adds the line's number
MAX_FAILED_NAME = 65
# Older versions wrote eight characters, which two runs may share.
IMAGE_ID = re.compile(r"([0-9a-f]{8})([0-9a-f]{8})?-([1-9]|10)")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
VERSION_ID = re.compile("[!-~]{1,1024}")
PERSON = re.compile(f"[0-9a-f]{{{naming.CALLER_LENGTH}}}")
MANIFEST = re.compile(
    rf"batches/(?:inbox/)?({naming.RUN_ID_LETTER}+?)(?:\.(?:jsonl|csv))?"
    rf"|batches/({naming.RUN_ID_LETTER}+)/failed\.jsonl"
)
FILE_NAME_FIELDS = ("date", "time", "run8", "n", "topic")
DEFAULT_FILE_NAME = "image_{date}_{time}_{run8}_{n}"
# This is the longest text that Easel adds to a folder and a file name: a suffix, a prefix, and the
# endings of a preview or of an exact size.
SUFFIX = "_0123456789abcdef-10"
ROOM = max(
    len("thumbnails/" + "/" + SUFFIX + ".jpeg" + ".1280.webp"),
    len("/" + SUFFIX + ".jpeg" + ".8192x8192" + SUFFIX + ".webp"),
)
RESERVED = (
    "the run ids of the API's callers (eight characters from 0-9 a-f and a hyphen) or of the "
    "schedule"
)
# These are control and bidi characters, line ends, and characters that no console can show.
UNPRINTABLE = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")


def check_run_id(run_id: object, field: str) -> str:
    """Return a run id that is safe in a key. A URL library would resolve `.` and `..`."""
    if isinstance(run_id, str):
        run_id = naming.scheduled_run(run_id)
    if not isinstance(run_id, str) or not naming.RUN_ID.fullmatch(run_id) or not run_id.strip("."):
        raise InputError(
            field, run_id, "1 to 80 characters from A-Z a-z 0-9 _ . -, and not only dots"
        )
    return run_id


def check_person(person: object, field: str = "person") -> str:
    """Return a person's id. Raises InputError."""
    if not isinstance(person, str) or not PERSON.fullmatch(person):
        allowed = f"{naming.CALLER_LENGTH} characters from 0-9 a-f, as in GET /people"
        raise InputError(field, person, allowed)
    return person


def check_folder(folder: object, field: str = "folder_name") -> str:
    """Return the folder in Unicode's composed form (NFC). It must not start or end with a slash."""
    allowed = (
        "a path like campaign/spring: no empty, `.` or `..` segment, no slash at either end, "
        "no backslash, no control or bidi characters"
    )
    if not isinstance(folder, str) or not folder:
        raise InputError(field, folder, allowed)
    if len(folder) > naming.MAX_KEY_BYTES:
        most = f"at most {naming.MAX_KEY_BYTES} bytes in UTF-8, with the file name"
        raise InputError(field, folder, most)
    normal = unicodedata.normalize("NFC", folder)
    segments = normal.split("/")
    # Nobody could tell a folder with a joiner at its edge from the folder without it.
    bare = [part.strip().strip(JOINER + NON_JOINER) for part in segments]
    odd = any(part in ("", ".", "..") for part in bare) or bare != segments
    if odd or "\\" in normal or not _is_printable(normal) or normal == "*":
        raise InputError(field, folder, allowed)
    if segments[0] in naming.RESERVED:
        reserved = ", ".join(naming.RESERVED)
        raise InputError(field, folder, f"any folder except {reserved}, which Easel uses itself")
    return normal


def check_file_name(template: object, field: str = "file_name") -> str:
    """Return a file name template. It may contain `{date} {time} {run8} {n} {topic}`."""
    placeholders = " ".join(f"{{{name}}}" for name in FILE_NAME_FIELDS)
    allowed = (
        f"1 to {naming.MAX_KEY_BYTES} characters with any of {placeholders}, no slash, and not "
        "starting with a dot"
    )
    if not isinstance(template, str) or not template.strip():
        raise InputError(field, template, allowed)
    if len(template) > naming.MAX_KEY_BYTES:
        raise InputError(field, template, allowed)
    template = unicodedata.normalize("NFC", template)
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        raise InputError(field, template, allowed) from None
    plain = all(
        name is None or (name in FILE_NAME_FIELDS and not spec and not conversion)
        for _, name, spec, conversion in parts
    )
    slashed = "/" in template or "\\" in template or template.startswith(".")
    if not plain or slashed or not _is_printable(template):
        raise InputError(field, template, allowed)
    return template


def check_key_length(folder: str, template: str, *, topics: Iterable[str]) -> None:
    """Raise InputError if the key of an image would be too long for S3 with any of the topics."""
    start = "2000-01-01T00:00:00Z"
    bases = (
        naming.image_base(folder, template, started=start, run_id="x", n=10, topic=topic)
        for topic in topics
    )
    size = max(len(base.encode()) for base in bases) + ROOM
    if size > naming.MAX_KEY_BYTES:
        shown = Summary(f"too long: with the file name, {folder[:40]!a}… has {size} bytes")
        raise InputError("folder_name", shown, f"at most {naming.MAX_KEY_BYTES} bytes in UTF-8")


def check_image_key(key: object, field: str = "image_key") -> str:
    """Return a caller's image key. It must be inside a folder, but not in one of Easel's."""
    allowed = (
        "the full key of a stored image, without s3:// and bucket, like my_s3_folder/image_….png; "
        f"endings: {', '.join(naming.PICTURES)}"
    )
    if not isinstance(key, str) or "/" not in key:
        raise InputError(field, key, allowed)
    folder, _, name = key.rpartition("/")
    try:
        check_folder(folder)
    except InputError as error:
        raise InputError(field, key, f"{allowed}; its folder: {error.allowed}") from error
    fits = len(key.encode()) <= naming.MAX_KEY_BYTES
    if not name.endswith(naming.PICTURES) or not _is_printable(name) or not fits:
        raise InputError(field, key, allowed)
    return key


def check_image_id(image_id: object, field: str = "image_id") -> str:
    """Return an image's public id."""
    if not isinstance(image_id, str) or not IMAGE_ID.fullmatch(image_id):
        allowed = "an image's id, such as 1f0c9a2e4b7d8035-1"
        raise InputError(field, image_id, allowed)
    return image_id


def check_batch_name(name: object, field: str) -> str:
    """Return a batch's name. It is the prefix of its files and of its lines' run ids."""
    if isinstance(name, str) and naming.is_reserved(f"{name}-"):
        raise InputError(field, name, f"a name that does not begin like {RESERVED}")
    matches = isinstance(name, str) and BATCH_NAME.fullmatch(name) and name.strip(".")
    if not isinstance(name, str) or not matches or name == "inbox":
        raise InputError(
            field, name, "1 to 60 characters from A-Z a-z 0-9 _ . -, not only dots, and not inbox"
        )
    return name


def check_version_id(version_id: object, field: str = "version_id") -> str:
    """Return the id of an object's version."""
    if not isinstance(version_id, str) or not VERSION_ID.fullmatch(version_id):
        allowed = "the id of one of the manifest's versions, as returned by the PUT"
        raise InputError(field, version_id, allowed)
    return version_id


def check_manifest(key: object, field: str = "manifest") -> str:
    """Return the key of a manifest. Raises InputError if no batch name can be derived from it."""
    batch_name(key, field)
    return str(key)


def batch_name(manifest: object, field: str = "manifest") -> str:
    """Return the batch name for a manifest: the name of its file without the ending.

    Raises InputError.
    """
    match = MANIFEST.fullmatch(manifest) if isinstance(manifest, str) else None
    if match is None:
        letters = "a name of A-Z a-z 0-9 _ . - without a folder"
        examples = "a key like batches/spring.jsonl or batches/spring.csv"
        raise InputError(field, manifest, f"{examples}, {letters}; or a batch's failed.jsonl")
    if not match[2]:
        return check_batch_name(match[1], "the manifest's name")
    # A failed.jsonl file keeps the run ids of its lines, so its name may be longer. There is still
    # room for seven digits, for a line without a run id.
    check_batch_name(match[2][:60], "the manifest's name")
    if len(match[2]) > MAX_FAILED_NAME:
        allowed = f"at most {MAX_FAILED_NAME} characters; copy the file to a shorter name"
        raise InputError("the manifest's name", match[2], allowed)
    return f"{match[2]}.failed"


def _is_printable(text: str) -> bool:
    """Return whether people can see every character. Joiners are part of what they see."""
    return all(is_joiner(c) or unicodedata.category(c) not in UNPRINTABLE for c in text)
