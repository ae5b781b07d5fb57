import time

import pytest

from easel.contract import naming
from easel.contract.errors import InputError
from easel.request import names


@pytest.mark.parametrize(
    "folder",
    [
        "",
        "/",
        "*",
        "/a",
        "a/",
        "a//b",
        "../x",
        "a/../b",
        ".",
        "a/.",
        "a\\b",
        "a\nb",
        "a\x00b",
        "a\u202eb",
        "a\u200bb",
        " a",
        "a ",
        "a/ /b",
        "staging",
        "staging/x",
        "thumbnails",
        "batches/x",
        "\ud800",
        None,
        7,
        ["a"],
    ],
)
def test_dangerous_folder_is_refused(folder: object) -> None:
    with pytest.raises(InputError, match="folder_name"):
        names.check_folder(folder)


@pytest.mark.parametrize(
    "folder",
    [
        "a",
        "my_s3_folder",
        "campaign/spring 2026",
        "günther/ß",
        "日本/写真",
        "stagings",
        "a.b",
        "...",
    ],
)
def test_usual_folders_are_accepted(folder: str) -> None:
    assert names.check_folder(folder) == folder


def test_unicode_forms_mean_the_same_folder() -> None:
    assert names.check_folder("cafe\u0301") == names.check_folder("café")


def test_huge_folder_is_refused_immediately() -> None:
    start = time.perf_counter()
    for folder in ("/" * 100_000, "x" * 64_000):
        with pytest.raises(InputError):
            names.check_folder(folder)
    # The length is checked first, so it takes a millisecond on an idle machine.
    assert time.perf_counter() - start < 5


def test_key_over_1024_bytes_is_refused() -> None:
    with pytest.raises(InputError, match="1024 bytes"):
        names.check_key_length("写" * 330, names.DEFAULT_FILE_NAME, topics=["Sport"])


def test_longest_allowed_key_fits_its_companions() -> None:
    folder = "a" * 900
    for length in range(1, 140):
        try:
            template = names.check_file_name("b" * length + "{n}")
            names.check_key_length(folder, template, topics=["Sport"])
        except InputError:
            break
        base = naming.image_base(
            folder, template, started="2026-01-01T00:00:00Z", run_id="r", n=10, topic="Sport"
        )
        assert (
            len(naming.thumbnail_key(naming.image_key(base, "jpeg", attempt=99)).encode()) <= 1024
        )
    else:
        pytest.fail("no length was refused")


@pytest.mark.parametrize(
    "template",
    [
        "",
        " ",
        "a/b",
        "../{n}",
        ".hidden",
        "{run_id}",
        "{n.__class__}",
        "{n:>9}",
        "{n!r}",
        "{",
        "{0}",
        "{}",
        5,
        "a\nb",
    ],
)
def test_invalid_file_name_template_is_refused(template: object) -> None:
    with pytest.raises(InputError, match="file_name"):
        names.check_file_name(template)


def test_image_is_named_after_first_start() -> None:
    base = naming.image_base(
        "my_s3_folder",
        names.DEFAULT_FILE_NAME,
        started="2026-11-24T03:15:02.123Z",
        run_id="abc",
        n=1,
        topic="Sport",
    )
    assert base == f"my_s3_folder/image_2026-11-24_031502_{naming.run8('abc')}_1"


def test_topic_cannot_leave_the_folder() -> None:
    base = naming.image_base(
        "f",
        "{topic}_{n}",
        started="2026-11-24T03:15:02Z",
        run_id="abc",
        n=1,
        topic="../../etc/{run8} <b>",
    )
    assert base == "f/etc-run8-b_1"


@pytest.mark.parametrize("run_id", ["", ".", "..", "a b", "a/b", "x" * 81, "ü", "a\n", None])
def test_unsafe_run_id_is_refused(run_id: object) -> None:
    with pytest.raises(InputError, match="request_id"):
        names.check_run_id(run_id, "request_id")


@pytest.mark.parametrize(
    "key",
    [
        "image.png",
        "/a.png",
        "staging/x/1/1.bytes",
        "a/../b.png",
        "thumbnails/a/b.png",
        "",
        None,
        "a/",
        "a/b\x00.png",
    ],
)
def test_image_key_outside_folders_is_refused(key: object) -> None:
    with pytest.raises(InputError, match="image_key"):
        names.check_image_key(key)


def test_images_never_share_companions() -> None:
    assert naming.sidecar_key("f/a.png") != naming.sidecar_key("f/a.jpg")
    assert naming.thumbnail_key("f/a.png") != naming.thumbnail_key("f/a.jpg")
