"""Choosing, presets, the prompt first, spending and budgets on the deployed stack."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from easel.aws.table import Table
from tests.e2e.test_batches import run as run_batch
from tests.e2e.test_batches import upload
from tests.support.api_caller import Caller
from tests.support.command_line import easel
from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low"}


@pytest.fixture
def folder() -> str:
    return f"accounts-{uuid4().hex[:8]}"


def make(caller: Caller, **request: Any) -> dict[str, Any]:
    started = caller.run(SMALL | request, key=uuid4().hex)
    assert started.status == 202, started.json
    return caller.wait_for_end(started.json)


def spending(caller: Caller, **query: str) -> dict[str, Any]:
    answer = caller("GET", "/spending", query=query)
    assert answer.status == 200, answer.json
    return dict(answer.json)


def test_spending_of_a_campaign_is_what_its_runs_cost(caller: Caller, folder: str) -> None:
    runs = [make(caller, prompt="A kite", folder_name=folder, tags=[folder, "sale"])]
    runs += [make(caller, topic="Sport", folder_name=folder, tags=[folder], count=2)]
    cost = round(sum(run["cost_usd"] for run in runs) * 1_000_000)

    by_tag = spending(caller, by="tag", tag=folder)
    assert by_tag["total_micro_usd"] == cost
    assert [row["value"] for row in by_tag["rows"]] == [folder, "sale"]
    assert spending(caller, by="trigger", folder=folder)["rows"][0]["value"] == "api"
    whole = spending(caller, by="day")
    assert whole["total_usd"] + whole["unattributed_usd"] == pytest.approx(whole["spent_usd"])

    # The function folds the charges into sums, which changes no report.
    table = Table(caller.aws.dynamodb, name=caller.aws.outputs["table"])
    pk = f"charges#{whole['month']}"
    caller.aws.until(lambda: folder not in str(table.query(pk)))
    assert spending(caller, by="tag", tag=folder) == by_tag | {"spent_usd": whole["spent_usd"]}


def test_budget_of_a_folder_stops_its_runs_only(
    caller: Caller, aws: LocalStack, folder: str, tmp_path: Path
) -> None:
    limited = caller("PUT", "/budgets", {"folder": folder, "usd": 0.000001})
    assert limited.status == 200, limited.json

    refused = make(caller, prompt="A kite", folder_name=f"{folder}/inside")
    assert (refused["status"], refused["error"]["error"]) == ("failed", "BudgetExceededError")
    assert f"folder {folder} has $0.0000 spent" in refused["error"]["message"]
    assert make(caller, prompt="A kite", folder_name=f"{folder}-other")["status"] == "succeeded"

    shown = easel(aws, tmp_path, "budget", "--folder", folder, "--no-limit")
    assert "no limit" in shown.stdout
    redriven = caller.wait_for_end(caller("POST", f"/runs/{refused['id']}/redrive").json)
    assert redriven["status"] == "succeeded"


def test_command_line_shows_spending(caller: Caller, aws: LocalStack, tmp_path: Path) -> None:
    tag = f"tag-{uuid4().hex[:8]}"
    run = make(caller, prompt="A kite", tags=[tag])

    shown = easel(aws, tmp_path, "spending", "--by", "tag", "--tag", tag, "--csv")

    header, row = shown.stdout.splitlines()
    assert header == "month,by,value,name,usd,charges"
    assert row.split(",")[1:] == ["tag", tag, "", f"{run['cost_usd']:.6f}", "1"]


def test_marked_image_moves_and_moves_back(caller: Caller, folder: str) -> None:
    run = make(caller, prompt="A kite", folder_name=folder)
    (picture,) = run["pictures"]
    image = f"/images/{picture['id']}"
    marked = caller("PATCH", image, {"favourite": True, "add_tags": ["best"]})
    assert marked.json["own_tags"] == ["best"]

    there = caller("POST", f"{image}/move", {"folder": f"{folder}-moved"})
    assert caller.wait_for_end(there.json)["status"] == "succeeded"
    moved = caller("GET", image).json
    assert moved["key"].startswith(f"{folder}-moved/")
    assert (moved["favourite"], moved["own_tags"]) == (True, ["best"])
    assert caller.aws.keys(f"{folder}/") == [f"{folder}/"]

    back = caller(
        "POST", "/images/actions", {"ids": [picture["id"]], "action": "move"} | {"folder": folder}
    )
    caller.wait_for_end(back.json)
    assert caller("GET", image).json["key"] == picture["key"]


def test_taken_name_is_explained_and_nothing_moves(caller: Caller, folder: str) -> None:
    request = {"prompt": "A kite", "file_name": "same"}
    first = make(caller, folder_name=folder, **request)["pictures"][0]
    make(caller, folder_name=f"{folder}-2", **request)

    answer = caller("POST", f"/images/{first['id']}/move", {"folder": f"{folder}-2"})
    ended = caller.wait_for_end(answer.json)

    assert ended["error"]["error"] == "ConflictError"
    assert "is the name of another file" in ended["error"]["message"]
    assert caller("GET", f"/images/{first['id']}").json["key"] == first["key"]


def test_own_file_with_the_name_stays(caller: Caller, folder: str) -> None:
    image = make(caller, folder_name=folder, prompt="A kite", file_name="mine")["pictures"][0]
    s3, bucket = caller.aws.client("s3"), caller.aws.outputs["bucket"]
    own = image["key"].replace(f"{folder}/", f"{folder}-own/")
    s3.put_object(Bucket=bucket, Key=own, Body=b"my own file")

    answer = caller("POST", f"/images/{image['id']}/move", {"folder": f"{folder}-own"})
    ended = caller.wait_for_end(answer.json)

    assert ended["error"]["error"] == "ConflictError"
    assert s3.get_object(Bucket=bucket, Key=own)["Body"].read() == b"my own file"
    assert caller("GET", f"/images/{image['id']}").json["key"] == image["key"]


def test_unknown_preset_is_refused_with_the_known_ones(
    caller: Caller, aws: LocalStack, folder: str
) -> None:
    name = f"brand-{uuid4().hex[:8]}"
    assert caller("PUT", f"/presets/{name}", {"fields": {"style": "flat"}}).status == 200
    unknown = {"preset": "brandd", "prompt": "A kite", "folder_name": folder}

    run = aws.run(unknown)  # as from the console: the API would refuse it earlier
    upload(aws, unknown, key=f"batches/{name}.jsonl")
    batch = run_batch(aws, manifest=f"batches/{name}.jsonl")

    assert (run["status"], run["error"]) == ("FAILED", "InputError")
    assert name in run["cause"]
    assert batch["status"] == "FAILED"
    assert name in batch["cause"]
    caller("DELETE", f"/presets/{name}")


def test_preset_makes_the_image_and_is_kept(caller: Caller, folder: str) -> None:
    name = f"brand-{uuid4().hex[:8]}"
    fields = {"style": "flat", "folder_name": folder, "tags": ["brand"], "avoid": ["text"]}
    assert caller("PUT", f"/presets/{name}", {"fields": fields}).status == 200

    run = make(caller, preset=name, description="A kite")
    caller("DELETE", f"/presets/{name}")

    lineage = caller("GET", f"/images/{run['pictures'][0]['id']}").json
    assert (lineage["folder"], lineage["style"], lineage["own_tags"]) == (folder, "flat", ["brand"])
    assert lineage["request"] == SMALL | {"preset": name, "description": "A kite"}
    sidecar = caller.aws.client("s3").get_object(
        Bucket=caller.aws.outputs["bucket"], Key=f"{lineage['key']}.json"
    )
    assert json.loads(sidecar["Body"].read())["request"] == lineage["request"]


def test_prompt_is_read_edited_and_painted_for_one_chat_call(
    caller: Caller, aws: LocalStack, folder: str
) -> None:
    aws.forget()
    written = make(caller, topic="Sport", folder_name=folder, only_prompt=True)
    assert (written["status"], written["pictures"]) == ("succeeded", [])
    assert written["written_prompt"]

    painting = caller("POST", f"/runs/{written['id']}/paint", {"prompt": "A blue kite"})
    painted = caller.wait_for_end(painting.json)

    assert painted["run_id"] == written["id"]
    assert (painted["prompt"], len(painted["pictures"])) == ("A blue kite", 1)
    assert painted["cost_usd"] > written["cost_usd"] > 0
    again = caller("POST", f"/runs/{written['id']}/paint", {"prompt": "A red kite"})
    assert (again.status, again.json["error"]) == (409, "ConflictError")
    assert (aws.charges()["chat"], aws.charges()["images"]) == (1, 1)
