"""Many concurrent runs in one folder: every image arrives, and table, bucket and bill agree."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.api_caller import Caller
from tests.support.local_stack import LocalStack

RUNS = 50


def test_fifty_concurrent_runs_store_fifty_images(aws: LocalStack) -> None:
    with ThreadPoolExecutor(16) as pool:
        request = {"folder_name": "crowd", "size": "1024x640", "quality": "low", "topic": "Sport"}
        arns = list(pool.map(lambda _: aws.start(request), range(RUNS)))
        executions = list(pool.map(aws.wait_for_end, arns))
    print(
        [e.get("error", "") + e.get("cause", "") for e in executions if e["status"] != "SUCCEEDED"]
    )
    assert [execution["status"] for execution in executions] == ["SUCCEEDED"] * RUNS
    reported = {execution["report"]["pictures"][0]["key"] for execution in executions}
    in_bucket = {key for key in aws.keys("crowd/") if key.endswith(".png")}
    assert len(reported) == RUNS
    assert reported == in_bucket
    aws.wait_until_listed("crowd", reported)
    assert aws.charges()["images"] == RUNS

    versions = aws.s3.list_object_versions(Bucket=aws.bucket, Prefix="crowd/image_")["Versions"]
    assert len(versions) == 2 * RUNS  # each image and sidecar once: none was overwritten


def test_fifty_concurrent_runs_stay_within_a_folders_budget(
    aws: LocalStack, caller: Caller
) -> None:
    cap = 0.05
    assert caller("PUT", "/budgets", {"folder": "poor", "usd": cap}).status == 200
    request = {"folder_name": "poor", "size": "1024x640", "quality": "low", "prompt": "A kite"}
    with ThreadPoolExecutor(16) as pool:
        arns = list(pool.map(lambda _: aws.start(request), range(RUNS)))
        executions = list(pool.map(aws.wait_for_end, arns))

    stored = [run["report"]["cost_usd"] for run in executions if run["status"] == "SUCCEEDED"]
    refused = [run for run in executions if run["status"] != "SUCCEEDED"]
    assert {run["error"] for run in refused} == {"BudgetExceededError"}
    assert 0 < len(stored) < RUNS
    scopes = caller("GET", "/budgets").json["scopes"]
    (poor,) = (scope for scope in scopes if scope["value"] == "poor")
    assert poor["spent_usd"] == pytest.approx(sum(stored))
    assert poor["spent_usd"] <= cap
    assert poor["reserved_usd"] == 0
    print(f"{len(stored)} of {RUNS} stored for ${poor['spent_usd']:.4f} of ${cap}")
