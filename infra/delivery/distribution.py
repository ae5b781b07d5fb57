"""The distribution and its bucket. Everything in this bucket is public; nothing else is.

One address serves the page, the API and shared images. The page and the shared images come from the
bucket, so no Lambda function is called for a file. Requests to the API pass through and are never
cached. The bucket of the images is not an origin.
"""

from dataclasses import dataclass

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from constructs import Construct

from easel.contract import settings
from easel.contract.naming import SHARED
from easel.ledger.shares import EDGE_SECONDS
from easel.page.files import OPENER_POLICY, PERMISSIONS_POLICY, SAFE
from functions.api import routes
from infra.access.grants import Resource
from infra.config import Config
from infra.data.private_bucket import private_bucket
from infra.functions.function import Deployment
from infra.nag import acknowledge

TLS = cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021
YEAR = Duration.days(365)
# The gateway itself gives up after 30 seconds.
API_SECONDS = Duration.seconds(30)
# CloudFront would keep an error for ten seconds, even one of the API.
ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
NO_LOG = (
    "A log of who looked at a shared image would hold personal data that nobody needs. CloudFront "
    "counts requests and errors, and the API and the bucket of the images have logs of their own"
)
NO_WAF = (
    "A web ACL has a standing cost. The API requires a token and has its own rate limits; add a "
    "web ACL if you want one"
)
EVERYWHERE = "Shared images and the page are meant for readers in every country"
OWN_NAME = (
    "Without a domain of its own, the distribution has CloudFront's certificate, whose TLS version "
    "cannot be chosen"
)


@dataclass(frozen=True)
class OwnDomain:
    """A domain of the distribution, and the ARN of its certificate."""

    name: str
    certificate: str


class Distribution(Construct):
    """The distribution. `url` is its address, ending in a slash."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        api_host: str,
        own: OwnDomain | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = self._make_bucket()
        public = origins.S3BucketOrigin.with_origin_access_control(self.bucket)
        api = origins.HttpOrigin(api_host, read_timeout=API_SECONDS)
        certificate = None
        if own:
            certificate = acm.Certificate.from_certificate_arn(self, "Certificate", own.certificate)
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment="Easel: the page, the API and shared images",
            default_root_object="index.html",
            default_behavior=self._page(public),
            additional_behaviors={
                f"/{SHARED}*": self._shares(public),
                **{f"/{name}*": _api(api) for name in api_paths()},
            },
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=Duration.seconds(0))
                for status in ERRORS
            ],
            domain_names=[own.name] if own else None,
            certificate=certificate,
            minimum_protocol_version=TLS if own else None,
        )
        acknowledge(distribution, "AwsSolutions-CFR1", EVERYWHERE)
        acknowledge(distribution, "AwsSolutions-CFR2", NO_WAF)
        acknowledge(distribution, "AwsSolutions-CFR3", NO_LOG)
        if not own:
            acknowledge(distribution, "AwsSolutions-CFR4", OWN_NAME)
        self.url = f"https://{own.name if own else distribution.domain_name}/"
        self.domain_name = distribution.domain_name

    def _make_bucket(self) -> s3.Bucket:
        # It holds only copies, so it is deleted with the stack. functions/site.py empties it.
        bucket = private_bucket(
            self,
            encryption=s3.BucketEncryption.S3_MANAGED,
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(bucket, "AwsSolutions-S1", NO_LOG)
        return bucket

    def _page(self, origin: cloudfront.IOrigin) -> cloudfront.BehaviorOptions:
        # A page's own policy is in its HTML. Browsers ignore this part of it there.
        headers = {name: SAFE[name] for name in (OPENER_POLICY, PERMISSIONS_POLICY)}
        policy = self._headers("PageHeaders", "frame-ancestors 'none'", headers)
        return cloudfront.BehaviorOptions(
            origin=origin,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
            response_headers_policy=policy,
        )

    def _shares(self, origin: cloudfront.IOrigin) -> cloudfront.BehaviorOptions:
        # After this time an edge asks the bucket again, and learns that a share has ended. Browsers
        # keep an image as long as its own header says.
        policy = cloudfront.CachePolicy(
            self,
            "ShareCache",
            comment="Easel: shared images",
            min_ttl=Duration.seconds(0),
            default_ttl=Duration.seconds(EDGE_SECONDS),
            max_ttl=Duration.seconds(EDGE_SECONDS),
        )
        # Every website may show a shared image.
        headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
        every_site = cloudfront.ResponseHeadersCorsBehavior(
            access_control_allow_origins=["*"],
            access_control_allow_methods=["GET", "HEAD"],
            access_control_allow_headers=["*"],
            access_control_allow_credentials=False,
            origin_override=True,
        )
        return cloudfront.BehaviorOptions(
            origin=origin,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            cache_policy=policy,
            compress=False,
            response_headers_policy=self._headers(
                "ShareHeaders", "default-src 'none'", headers, every_site
            ),
        )

    def _headers(
        self,
        construct_id: str,
        policy: str,
        more: dict[str, str],
        cors: cloudfront.ResponseHeadersCorsBehavior | None = None,
    ) -> cloudfront.ResponseHeadersPolicy:
        return cloudfront.ResponseHeadersPolicy(
            self,
            construct_id,
            comment=f"Easel: {construct_id}",
            cors_behavior=cors,
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=policy, override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=YEAR, override=True
                ),
            ),
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
                custom_headers=[
                    cloudfront.ResponseCustomHeader(header=name, value=value, override=True)
                    for name, value in more.items()
                ]
            ),
        )


def add_distribution(
    stack: Stack, deployment: Deployment, config: Config, *, api_host: str
) -> Distribution | None:
    """Add the distribution to the stack and to the deployment, if the settings ask for one."""
    if not config.delivery:
        return None
    domain, certificate = config.delivery_domain, config.delivery_certificate
    own = OwnDomain(domain, certificate) if domain and certificate else None
    distribution = Distribution(stack, "Delivery", api_host=api_host, own=own)
    bucket = distribution.bucket
    deployment.add(
        {Resource.DELIVERY: bucket.bucket_arn}, {settings.DELIVERY_BUCKET: bucket.bucket_name}
    )
    about = "The distribution's address at CloudFront; your own domain points to it"
    CfnOutput(stack, "DistributionDomain", value=distribution.domain_name, description=about)
    return distribution


def api_paths() -> tuple[str, ...]:
    """Return the first segment of each route of the API, and the API's description."""
    paths = (path for _, path, _ in routes.DATA)
    return tuple(dict.fromkeys(path.split("/")[1] for path in [*paths, "/openapi.json"]))


def _api(origin: cloudfront.IOrigin) -> cloudfront.BehaviorOptions:
    return cloudfront.BehaviorOptions(
        origin=origin,
        viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
        allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
        cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
        # The gateway recognizes its API by the host, so the viewer's host must not reach it.
        origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
    )
