"""Promises of the distribution: what is public, for how long, and what stays private."""

import json
from typing import Any

import pytest

from easel.contract import settings
from functions.api import routes
from infra import ROOT, config
from infra.delivery.distribution import api_paths
from infra.setting_values import SettingError
from tests.support.template import (
    EVERY_FUNCTION,
    EVERYTHING,
    PICTURES,
    PUBLIC,
    Synth,
    Template,
    many,
)

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"
DEFAULTS = json.loads((ROOT / "cdk.json").read_text())["context"]
OWN_DOMAIN = (
    "layers=false",
    "delivery=true",
    "delivery_domain=images.example.com",
    f"delivery_certificate={CERTIFICATE}",
)


@pytest.fixture(scope="module")
def delivered(synth: Synth) -> Template:
    return synth(*EVERYTHING)


def config_of(template: Template) -> dict[str, Any]:
    config: dict[str, Any] = template.resource("AWS::CloudFront::Distribution")[
        "DistributionConfig"
    ]
    return config


def behaviors(template: Template) -> dict[str, dict[str, Any]]:
    config = config_of(template)
    return {b["PathPattern"]: b for b in config["CacheBehaviors"]} | {
        "default": config["DefaultCacheBehavior"]
    }


def test_nothing_is_public_by_default(template: Template) -> None:
    assert not template.of("AWS::CloudFront::Distribution")
    assert settings.DELIVERY_URL not in template.environment("prompt")
    assert settings.DELIVERY_BUCKET not in template.environment("cleanup")


def test_only_the_public_bucket_is_an_origin(delivered: Template) -> None:
    origins = {delivered.text(o["DomainName"]): o for o in config_of(delivered)["Origins"]}
    assert len(origins) == 2
    (bucket,) = (origin for origin in origins.values() if "S3OriginConfig" in origin)
    assert bucket["DomainName"]["Fn::GetAtt"][0].startswith(PUBLIC)
    assert bucket["OriginAccessControlId"]

    policies = delivered.of("AWS::S3::BucketPolicy").values()
    readers = [
        (policy["Properties"]["Bucket"]["Ref"], statement)
        for policy in policies
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    ]
    ((name, statement),) = readers
    assert name.startswith(PUBLIC)
    assert not name.startswith(PICTURES)
    assert many(statement["Action"]) == ["s3:GetObject"]


def test_both_buckets_block_public_access(delivered: Template) -> None:
    for bucket in delivered.of("AWS::S3::Bucket").values():
        blocked = bucket["Properties"]["PublicAccessBlockConfiguration"]
        assert set(blocked.values()) == {True}


def test_each_route_of_the_api_passes_uncached(delivered: Template) -> None:
    (api,) = (o for o in config_of(delivered)["Origins"] if "CustomOriginConfig" in o)
    assert api["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    to_api = {p: b for p, b in behaviors(delivered).items() if b["TargetOriginId"] == api["Id"]}

    segments = {path.split("/")[1] for _, path, _ in routes.DATA} | {"openapi.json"}
    assert set(to_api) == {f"/{segment}*" for segment in segments}
    assert set(api_paths()) == segments
    for behavior in to_api.values():
        assert behavior["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # disabled
        assert behavior["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"
        assert behavior["ViewerProtocolPolicy"] == "https-only"


def test_edges_forget_a_share_within_a_minute(delivered: Template) -> None:
    share = behaviors(delivered)["/shared/*"]
    cache = delivered.of("AWS::CloudFront::CachePolicy")[share["CachePolicyId"]["Ref"]]
    policy = cache["Properties"]["CachePolicyConfig"]
    assert (policy["MinTTL"], policy["DefaultTTL"], policy["MaxTTL"]) == (0, 60, 60)


def test_cors_is_no_custom_header(delivered: Template) -> None:
    # CloudFront refuses these headers among the custom ones.
    policies = delivered.of("AWS::CloudFront::ResponseHeadersPolicy").values()
    for policy in policies:
        config = policy["Properties"]["ResponseHeadersPolicyConfig"]
        names = [item["Header"] for item in config["CustomHeadersConfig"]["Items"]]
        assert not [name for name in names if name.startswith("Access-Control-")]
    share = behaviors(delivered)["/shared/*"]["ResponseHeadersPolicyId"]["Ref"]
    config = delivered.of("AWS::CloudFront::ResponseHeadersPolicy")[share]["Properties"]
    cors = config["ResponseHeadersPolicyConfig"]["CorsConfig"]
    assert cors["AccessControlAllowOrigins"] == {"Items": ["*"]}


def test_no_error_is_cached(delivered: Template) -> None:
    errors = config_of(delivered)["CustomErrorResponses"]
    assert {error["ErrorCachingMinTTL"] for error in errors} == {0}
    assert {403, 404, 503} <= {error["ErrorCode"] for error in errors}


def test_page_comes_from_the_distribution(delivered: Template) -> None:
    keys = {r["Properties"]["RouteKey"] for r in delivered.of("AWS::ApiGatewayV2::Route").values()}
    assert not keys & {f"{method} {path}" for method, path in routes.PAGE}
    site = delivered.resource("Custom::Site")
    assert delivered.text(site["Bucket"]) == "public bucket"
    assert delivered.text(site["ImagesBucket"]) == "bucket"
    assert site["PageUrl"] == delivered.environment("api")[settings.PAGE_URL]


def test_public_bucket_is_emptied_without_a_page_as_well(synth: Synth) -> None:
    site = synth(*OWN_DOMAIN).resource("Custom::Site")
    assert "PageUrl" not in site
    assert site["Bucket"]["Ref"].startswith(PUBLIC)


def test_site_function_writes_only_what_is_public(delivered: Template) -> None:
    rights = delivered.rights(delivered.role("site"))
    assert rights - EVERY_FUNCTION == {
        ("s3:PutObject", "public bucket/*"),
        ("s3:DeleteObject", "public bucket/*"),
        ("s3:ListBucket", "public bucket"),
    }


def test_only_cleanup_shares_images(delivered: Template) -> None:
    shared = ("s3:PutObject", "public bucket/shared/*")
    holders = [r for r in delivered.of("AWS::IAM::Role") if shared in delivered.rights(r)]
    assert holders == [delivered.role("cleanup")]


def test_own_domain_has_its_certificate(synth: Synth) -> None:
    template = synth(*OWN_DOMAIN)
    found = config_of(template)
    assert found["Aliases"] == ["images.example.com"]
    assert found["ViewerCertificate"]["AcmCertificateArn"] == CERTIFICATE
    assert found["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    url = template.environment("cleanup")[settings.DELIVERY_URL]
    assert template.text(url["Fn::If"][1]) == "https://images.example.com/"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"delivery_domain": "images.example.com"}, "delivery_domain"),
        ({"delivery": "true", "delivery_domain": "images.example.com"}, "delivery_certificate"),
        ({"delivery": "true", "delivery_domain": "https://a.b"}, "delivery_domain"),
        ({"delivery": "true", "delivery_certificate": CERTIFICATE}, "delivery_domain"),
        (
            {"delivery": "true", "delivery_certificate": CERTIFICATE.replace("us-east", "eu-west")},
            "delivery_certificate",
        ),
        ({"delivery": "maybe"}, "delivery"),
    ],
)
def test_wrong_delivery_setting_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingError, match=f"setting {field} is "):
        config.read((DEFAULTS | changes).get)
