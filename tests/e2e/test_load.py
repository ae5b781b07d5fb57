"""Many concurrent runs in one folder: every image arrives, and table, bucket and bill agree."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.local_stack import LocalStack

RUNS = 100


def test_hundred_concurrent_runs_store_a_hundred_images(aws: LocalStack) -> None:
    with ThreadPoolExecutor(16) as pool:
        request = {"folder_name": "crowd", "size": "256x256", "quality": "low", "topic": "Sport"}
        arns = list(pool.map(lambda _: aws.start(request), range(RUNS)))
        executions = list(pool.map(aws.wait_for_end, arns))
    assert [execution["status"] for execution in executions] == ["SUCCEEDED"] * RUNS
    reported = {execution["report"]["pictures"][0]["key"] for execution in executions}
    in_bucket = {key for key in aws.keys("crowd/") if key.endswith(".png")}
    pages = aws.dynamodb.get_paginator("query").paginate(
        TableName=aws.outputs["table"],
        IndexName="by_folder",
        KeyConditionExpression="shelf_folder = :folder",
        ExpressionAttributeValues={":folder": {"S": "stored#crowd"}},
    )
    in_table = {item["key"]["S"] for page in pages for item in page["Items"]}
    assert len(reported) == RUNS
    assert reported == in_bucket == in_table
    assert aws.charges()["images"] == RUNS

    versions = aws.s3.list_object_versions(Bucket=aws.bucket, Prefix="crowd/image_")["Versions"]
    assert len(versions) == 2 * RUNS  # each image and sidecar once: none was overwritten
