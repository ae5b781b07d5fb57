"""Distributions in the emulator: an API as an origin, and an address on this machine."""

import urllib.error
import urllib.request
import uuid

import pytest

from local.ministack.cloudfront import DISTRIBUTIONS
from tests.support.emulator import CLOSED, REGION, Emulator

ECHO = """
def handler(event, context):
    return {"statusCode": 200, "body": f'{event["rawPath"]}?{event["rawQueryString"]}'}
"""
DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # AWS's cache policy CachingDisabled
ALL_BUT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"


def api(emulator: Emulator) -> str:
    """Return the host of an HTTP API that answers with the path."""
    gateway = emulator.client("apigatewayv2")
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{emulator.create_function(ECHO)}"
    id_ = gateway.create_api(Name="api", ProtocolType="HTTP")["ApiId"]
    call = {"IntegrationType": "AWS_PROXY", "IntegrationUri": arn, "PayloadFormatVersion": "2.0"}
    integration = gateway.create_integration(ApiId=id_, **call)["IntegrationId"]
    gateway.create_route(ApiId=id_, RouteKey="$default", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=id_, StageName="$default", AutoDeploy=True)
    return f"{id_}.execute-api.{REGION}.amazonaws.com"


def distribution(emulator: Emulator, host: str) -> tuple[str, str]:
    """Return the id and the domain of a distribution in front of an API."""
    ports = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}
    origin = {"Id": "api", "DomainName": host, "CustomOriginConfig": ports}
    made = emulator.client("cloudfront").create_distribution(
        DistributionConfig={
            "CallerReference": uuid.uuid4().hex,
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": {
                "TargetOriginId": "api",
                "ViewerProtocolPolicy": "https-only",
                "CachePolicyId": DISABLED,
                "OriginRequestPolicyId": ALL_BUT_HOST,
            },
        }
    )["Distribution"]
    return made["Id"], made["DomainName"]


def read(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_api_answers_through_its_distribution(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    _, domain = distribution(plain_emulator, api(plain_emulator))
    https = {"Host": domain, "X-Forwarded-Proto": "https"}
    assert read(f"http://127.0.0.1:{plain_emulator.port}/a", **https)[0] == 502, CLOSED

    id_, _ = distribution(patched_emulator, api(patched_emulator))
    base = f"http://127.0.0.1:{patched_emulator.port}{DISTRIBUTIONS}{id_}"
    assert read(f"{base}/a%20b?c=d%2Fe") == (200, "/a b?c=d%2Fe")


@pytest.mark.parametrize("path", ["", "/", "/a"])
def test_unknown_distribution_answers_nothing(patched_emulator: Emulator, path: str) -> None:
    base = f"http://127.0.0.1:{patched_emulator.port}{DISTRIBUTIONS}E0000000000000"
    assert read(f"{base}{path}")[0] >= 400
