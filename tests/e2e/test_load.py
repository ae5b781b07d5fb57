"""Many concurrent runs in one folder: every image arrives, and table, bucket and bill agree."""

from concurrent.futures import ThreadPoolExecutor

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
