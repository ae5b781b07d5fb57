"""The gallery's routes: order, filters, cursors, links, lineage, deletes."""

import base64
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from easel.aws.bucket import Bucket
from easel.contract.naming import image_id, image_ids
from easel.ledger.records import StoredSize, run_key
from tests.support.api import Api, keep_prompt, noted, store_image
from tests.support.services import NOW, OWNER, PUBLIC_URL


def fill(api: Api, count: int) -> list[str]:
    """Store this many images, one second apart, and return their ids, oldest first."""
    ids = []
    for i in range(count):
        prompt = keep_prompt(
            api,
            f"run-{i}",
            topic="Sport" if i % 2 else "Science",
            folder="cats" if i % 3 else "dogs/small",
        )
        store_image(api, prompt, at=NOW + timedelta(seconds=i))
        ids.append(image_id(f"run-{i}", 1))
    return ids


def test_images_are_paged_newest_first(api: Api) -> None:
    ids = fill(api, 7)
    seen, cursor = [], None

    for _ in range(4):
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = api("GET", "/images", query=query).json
        seen += [image["id"] for image in page["images"]]
        cursor = page["cursor"]

    assert seen == ids[::-1]
    assert cursor is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"folder": "cats"}, [5, 4, 2, 1]),
        ({"topic": "Sport"}, [5, 3, 1]),
        ({"folder": "cats", "topic": "Sport"}, [5, 1]),
        ({"folder": "dogs/small", "topic": "Science"}, [6, 0]),
        ({"folder": "nobody's"}, []),
    ],
)
def test_folder_and_topic_filter_the_gallery(
    api: Api, query: dict[str, str], expected: list[int]
) -> None:
    ids = fill(api, 7)
    assert [image["id"] for image in api("GET", "/images", query=query).json["images"]] == [
        ids[i] for i in expected
    ]


def test_image_has_prompt_cost_size_and_links(api: Api) -> None:
    key = store_image(api, keep_prompt(api, "run-1", text="kite " * 300))
    (image,) = api("GET", "/images").json["images"]
    assert (image["key"], image["title"], image["alt_text"], image["model"]) == (
        key,
        "Kite",
        "A kite",
        "gpt-image-2.6-flare",
    )
    assert (image["width"], image["height"], image["bytes"], image["cost_usd"]) == (
        1024,
        768,
        1000,
        0.01329,
    )
    assert (len(image["prompt"]), image["prompt_cut"]) == (1000, True)
    assert image["run_url"] == "https://pictures.example/runs/run-1"

    whole = api("GET", f"/images/{image['id']}").json
    assert (whole["prompt"], whole["prompt_cut"], whole["tags"]) == ("kite " * 300, False, ["kite"])
    assert (whole["usage"], whole["chat_cost_usd"], whole["quality"]) == (
        {"output_tokens": 430},
        0.00005,
        "medium",
    )


def test_links_last_half_an_hour(api: Api) -> None:
    key = store_image(api, keep_prompt(api, "run-1"))
    (image,) = api("GET", "/images").json["images"]
    links = image["links"]
    for name, path in (
        ("picture", key),
        ("thumbnail", f"thumbnails/{key}.webp"),
        ("download", key),
    ):
        address = urlsplit(links[name])
        assert address.path == f"/{path}"
        assert parse_qs(address.query)["X-Amz-Expires"] == ["1800"]

    assert parse_qs(urlsplit(links["download"]).query)["response-content-disposition"][
        0
    ].startswith("attachment")


@pytest.mark.parametrize(
    "cursor", ["x", "e30=", "MjAyNi0xMS0yNFQwMzoxNTowMi4wMDAwMDBaI25vYm9keSMx", "🎨", "a" * 1000]
)
def test_forged_cursor_is_refused(api: Api, cursor: str) -> None:
    fill(api, 2)
    answer = api("GET", "/images", query={"cursor": cursor})
    assert (answer.status, answer.json["error"], answer.json["field"]) == (
        400,
        "InputError",
        "cursor",
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"status": "lost"}, "status"),
        ({"sort": "up"}, "sort"),
    ],
)
def test_wrong_parameter_is_named(api: Api, query: dict[str, str], field: str) -> None:
    answer = api("GET", "/images", query=query)
    assert (answer.status, answer.json["field"]) == (400, field)
    assert answer.headers["content-type"] == "application/problem+json"


def test_deleted_images_are_sorted_and_expire(api: Api) -> None:
    ids = fill(api, 3)
    for i in (2, 0):
        folder = "cats" if i % 3 else "dogs/small"
        assert api.services.ledger.mark_deleted(f"run-{i}", 1, key=f"{folder}/image_run-{i}_1.png")
    gone = api("GET", "/images", query={"status": "deleted"}).json["images"]
    assert [image["id"] for image in gone] == [ids[0], ids[2]]
    assert gone[0]["links"] is None
    assert gone[0]["recoverable_until"] > gone[0]["deleted_at"]
    assert [image["id"] for image in api("GET", "/images").json["images"]] == [ids[1]]

    later = api.services.replace_services(clock=NOW + timedelta(days=36_500))
    assert api("GET", "/images", query={"status": "deleted"}, services=later).json["images"] == []


def test_folder_counts_follow_stores_deletes_and_restores(api: Api) -> None:
    fill(api, 7)
    key = "cats/image_run-1_1.png"
    counts = {"cats": {"count": 4, "bytes": 4000}, "dogs/small": {"count": 3, "bytes": 3000}}

    def read_counts() -> dict[str, dict[str, int]]:
        return {folder.pop("name"): folder for folder in api("GET", "/folders").json["folders"]}

    assert read_counts() == counts
    assert api.services.ledger.mark_deleted("run-1", 1, key=key)
    assert not api.services.ledger.mark_deleted("run-1", 1, key=key)
    assert read_counts()["cats"] == {"count": 3, "bytes": 3000}
    assert api.services.ledger.mark_restored("run-1", 1, key=key)
    assert read_counts() == counts


def test_empty_folder_is_not_listed(api: Api) -> None:
    key = store_image(api, keep_prompt(api, "run-1"))
    api.services.ledger.mark_deleted("run-1", 1, key=key)
    assert api("GET", "/folders").json == {"folders": [], "cursor": None}


@pytest.mark.parametrize(
    "wrong", ["0badc0de-1", "my_s3_folder", "0badc0de-0", "0badc0de-11", "..", "x%00"]
)
def test_invalid_id_is_not_found(api: Api, wrong: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/restore")):
        answer = api(method, f"/images/{wrong}{path}")
        assert (answer.status, answer.json["error"]) == (404, "NotFoundError"), (method, wrong)
    assert api.executions() == []


def test_ambiguous_id_is_refused(api: Api) -> None:
    """The id of an image contains eight characters of the hash of its run.

    Among a hundred thousand runs, two may share them.
    """
    key = store_image(api, keep_prompt(api, "run-1"))
    store_image(api, keep_prompt(api, "run-2"))
    id_ = image_id("run-1", 1)
    api.table.write(api.table.put({"pk": f"picture#{id_}", "sk": "run-2", "n": 1}))

    answer = api("DELETE", f"/images/{id_}")

    assert (answer.status, answer.json["error"]) == (409, "ConflictError")

    assert api.executions() == []
    assert key


def test_delete_and_undo_start_the_machine(api: Api) -> None:
    key = store_image(api, keep_prompt(api, "run-1"))
    target = {"image_key": key, "image_id": image_id("run-1", 1)}
    for method, path, expected in (
        ("DELETE", "", {"action": "delete_image", "confirm": True} | target),
        ("POST", "/restore", {"action": "restore_image"} | target),
    ):
        if method == "POST":
            api.services.ledger.mark_deleted("run-1", 1, key=key)
        answer = api(method, f"/images/{image_id('run-1', 1)}{path}")
        assert (
            answer.status,
            answer.json["action"],
            [step["step"] for step in answer.json["steps"]],
        ) == (
            202,
            expected["action"],
            ["cleanup"],
        )
        assert answer.headers["location"] == answer.json["url"]
        executions = api.services.api.state_machine.replace("stateMachine", "execution")
        arn = f"{executions}:{answer.json['id']}"
        assert json.loads(api.states.describe_execution(executionArn=arn)["input"]) == expected


def test_image_is_deleted_and_restored_once(api: Api) -> None:
    key, id_ = store_image(api, keep_prompt(api, "run-1")), image_id("run-1", 1)

    assert api("POST", f"/images/{id_}/restore").status == 409
    assert api.services.ledger.mark_deleted("run-1", 1, key=key)
    assert api("DELETE", f"/images/{id_}").status == 409


def test_purged_image_is_gone_from_the_gallery(api: Api) -> None:
    key, id_ = store_image(api, keep_prompt(api, "run-1")), image_id("run-1", 1)
    api.services.ledger.mark_deleted("run-1", 1, key=key)

    assert api.services.ledger.mark_purged("run-1", 1, key=key)

    assert api("GET", "/images", query={"status": "deleted"}).json["images"] == []
    assert api("GET", f"/images/{id_}").status == 404
    assert api("POST", f"/images/{id_}/restore").status == 404


def test_image_of_an_older_version_keeps_its_link(api: Api) -> None:
    key = store_image(api, keep_prompt(api, "run-1"))
    new, old = image_ids("run-1", 1)
    table = api.services.table
    delete = table.delete((f"picture#{new}", "run-1"), condition="#n = :n", values={":n": 1})
    table.write(delete, table.put({"pk": f"picture#{old}", "sk": "run-1", "n": 1}))

    assert api("GET", f"/images/{old}").json["key"] == key
    assert api("GET", f"/images/{new}").json["key"] == key
    assert api("GET", f"/images/{old[:8]}{'0' * 8}-1").status == 404


@pytest.mark.parametrize(
    "query",
    [
        {"name": "cats"},
        {"name": "cats", "confirm": "yes"},
        {"confirm": "true"},
        {"name": "staging", "confirm": "true"},
    ],
)
def test_folder_delete_requires_name_and_confirmation(api: Api, query: dict[str, str]) -> None:
    answer = api("DELETE", "/folders", query=query)
    assert (answer.status, answer.json["error"]) == (400, "InputError")
    assert api.executions() == []


def test_unknown_folder_is_reported_as_mistyped(api: Api) -> None:
    store_image(api, keep_prompt(api, "run-1", folder="dogs/small"))
    answer = api("DELETE", "/folders", query={"name": "dog", "confirm": "true"})

    assert (answer.status, answer.json["error"]) == (404, "NotFoundError")
    assert api.executions() == []
    assert api("DELETE", "/folders", query={"name": "dogs", "confirm": "true"}).status == 202


def test_folder_delete_and_undo_use_its_name(api: Api) -> None:
    store_image(api, keep_prompt(api, "run-1", folder="dogs/small"))

    assert (
        api("DELETE", "/folders", query={"name": "dogs/small", "confirm": "true"}).json["action"]
        == "delete_folder"
    )
    assert (
        api("POST", "/folders/restore", {"name": "dogs/small"}).json["action"] == "restore_folder"
    )
    assert api("POST", "/folders/restore", {"name": "dogs", "purge": True}).json["field"] == "purge"
    assert len(api.executions()) == 2


@pytest.mark.parametrize("pictures", [3, 30])
def test_page_takes_one_query_and_one_batch(api: Api, pictures: int) -> None:
    fill(api, pictures)
    with noted(api) as calls:
        page = api("GET", "/images", query={"limit": "2"}).json
    assert (len(page["images"]), calls) == (2, ["Query", "BatchGetItem"])


def test_old_stored_image_is_shown(api: Api) -> None:
    store_image(api, keep_prompt(api, "run-1"), at=NOW - timedelta(days=400))
    (image,) = api("GET", "/images").json["images"]
    assert image["console_url"]


def test_deleted_page_beyond_recovery_is_empty(api: Api) -> None:
    """DynamoDB refuses a query that starts outside its own key condition."""
    key = store_image(api, keep_prompt(api, "run-1"), at=NOW - timedelta(days=400))
    store_image(api, keep_prompt(api, "run-2"))
    cursor = api("GET", "/images", query={"limit": "1"}).json["cursor"]
    assert cursor
    old = base64.urlsafe_b64encode(
        f"{NOW - timedelta(days=400):%Y-%m-%dT%H:%M:%S.%fZ}#run-1#1".encode()
    ).decode()

    with noted(api) as calls:
        assert api("GET", "/images", query={"status": "deleted", "cursor": old}).json == {
            "images": [],
            "cursor": None,
        }

    assert (calls, bool(key)) == (["GetItem"], True)


def test_deleted_image_has_no_link_or_place(api: Api) -> None:
    api.services.ledger.mark_deleted("run-1", 1, key=store_image(api, keep_prompt(api, "run-1")))
    image = api("GET", f"/images/{image_id('run-1', 1)}").json
    assert (image["links"], image["console_url"], image["status"]) == (None, None, "deleted")


def test_images_of_one_run_are_all_counted(api: Api) -> None:
    prompt = keep_prompt(api, "run-1")
    for n in range(1, 11):
        store_image(api, prompt, n)
    assert len(api.table.query("folders")) > 3
    assert api("GET", "/folders").json["folders"] == [
        {"name": "my_s3_folder", "count": 10, "bytes": 10_000}
    ]


@pytest.mark.parametrize(
    "query", [{"folder": "é" * 2000}, {"folder": "a//b"}, {"topic": "x" * 201}]
)
def test_impossible_name_is_refused(api: Api, query: dict[str, str]) -> None:
    assert api("GET", "/images", query=query).status == 400


def test_extra_parameter_deletes_nothing(api: Api) -> None:
    store_image(api, keep_prompt(api, "run-1"))
    answer = api(
        "DELETE", "/folders", query={"name": "my_s3_folder", "confirm": "true", "dry_run": "true"}
    )
    assert (answer.status, answer.json["field"]) == (400, "dry_run")
    assert api.executions() == []


def shared(api: Api) -> str:
    """Leave a shared image, and return its key."""
    key = store_image(api, keep_prompt(api, "run-1"))
    since = "2026-11-24T03:15:02.000000Z"
    values = {":share": "token/Kite.png", ":since": since}
    change = "SET #share = :share, #shared_at = :since"
    api.table.write(api.table.update(run_key("run-1", "image#1"), change, values=values))
    api.services.share_in(Bucket(None, name="public", owner=OWNER))
    return key


@pytest.mark.parametrize(
    ("method", "action"), [("POST", "share_image"), ("DELETE", "unshare_image")]
)
def test_share_and_unshare_start_the_machine(api: Api, method: str, action: str) -> None:
    key, id_ = shared(api), image_id("run-1", 1)

    answer = api(method, f"/images/{id_}/share")

    assert answer.status == 202
    executions = api.services.api.state_machine.replace("stateMachine", "execution")
    arn = f"{executions}:{answer.json['id']}"
    started = json.loads(api.states.describe_execution(executionArn=arn)["input"])
    assert started == {"action": action, "image_key": key, "image_id": id_}


def test_shared_image_has_its_address(api: Api) -> None:
    shared(api)
    expected = {"url": f"{PUBLIC_URL}shared/token/Kite.png", "since": "2026-11-24T03:15:02Z"}
    assert api("GET", f"/images/{image_id('run-1', 1)}").json["share"] == expected
    assert api("GET", "/images").json["images"][0]["share"] == expected


def test_deleted_image_cannot_be_shared(api: Api) -> None:
    api.services.ledger.mark_deleted("run-1", 1, key=shared(api))
    answer = api("POST", f"/images/{image_id('run-1', 1)}/share")
    assert (answer.status, "restore it before" in answer.json["detail"]) == (409, True)


def test_share_that_is_still_ending_is_shown(api: Api) -> None:
    shared(api)
    values = {":path": "token/Kite.png"}
    change = "SET #share_ending = :path REMOVE #share"
    api.table.write(api.table.update(run_key("run-1", "image#1"), change, values=values))
    path = f"/images/{image_id('run-1', 1)}"

    assert api("GET", path).json["share"]["url"].endswith("/shared/token/Kite.png")
    assert api("DELETE", f"{path}/share").status == 202


def test_share_without_distribution_is_a_conflict(api: Api) -> None:
    store_image(api, keep_prompt(api, "run-1"))
    answer = api("POST", f"/images/{image_id('run-1', 1)}/share")
    assert (answer.status, "-c delivery=true" in answer.json["detail"]) == (409, True)


def test_lineage_lists_the_exact_sizes(api: Api) -> None:
    prompt = keep_prompt(api, "run-1")
    size = StoredSize(
        key="f/a.png.1200x630.jpg",
        name="open-graph",
        width=1200,
        height=630,
        content_type="image/jpeg",
        bytes=90_000,
        sha256="cd" * 32,
        enlarged=True,
    )
    store_image(api, prompt, sizes=[size])

    (listed,) = api("GET", "/images").json["images"]
    (shown,) = api("GET", f"/images/{listed['id']}").json["sizes"]

    assert {name: shown[name] for name in vars(size)} == vars(size)
    assert urlsplit(shown["picture"]).path.endswith("/f/a.png.1200x630.jpg")
    assert "attachment" in shown["download"]
    previews = [(preview["width"], preview["height"]) for preview in listed["links"]["previews"]]
    assert previews == [(320, 240), (640, 480)]
