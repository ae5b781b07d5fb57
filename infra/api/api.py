"""The API: its gateway, its sign-in, its function, and its public address."""

from dataclasses import dataclass

from aws_cdk import CfnCondition, CfnOutput, CfnParameter, Fn, Stack
from aws_cdk import aws_s3 as s3

from easel.contract import settings
from infra.access.grants import Resource
from infra.api.http_api import Access, HttpApi
from infra.api.link_roles import add_link_roles
from infra.api.sign_in import SignIn
from infra.config import Config
from infra.data.images import allow_page
from infra.delivery.distribution import Distribution
from infra.delivery.site import Site
from infra.functions.catalogue import API
from infra.functions.function import Functions

OWN_URL = "own"
NO_CLIENT = "none"


@dataclass(frozen=True)
class Api:
    """The gateway, its public address with a slash, and the distribution in front if there is one.

    The address is the distribution's, or else the gateway's own, or what the parameter says.
    """

    gateway: HttpApi
    url: str
    distribution: Distribution | None


def add_api(
    stack: Stack, functions: Functions, config: Config, *, api: Api, bucket: s3.IBucket
) -> None:
    """Add the routes and the sign-in of the API, and the page if it is public."""
    url = api.url
    if config.public_page:
        allow_page(bucket, page_url=url)
    sign_in = SignIn(stack, "SignIn", users=config.existing_users)
    if not config.existing_users:
        sign_in.make_pool(retain=config.retain_images, page_url=url if config.public_page else None)
    sign_in.add_scopes()
    page_client = sign_in.add_page_client(url) if config.public_page else None
    program_client = sign_in.add_program_client() if config.program_sign_in else None

    function = functions.begin(API)
    add_link_roles(stack, function, functions.deployment)
    functions.deployment.add({Resource.USERS: sign_in.pool.user_pool_arn}, {})
    functions.deployment.variables |= {
        settings.PAGE_URL: url,
        settings.USER_POOL: sign_in.pool.user_pool_id,
        settings.PAGE_CLIENT: page_client or settings.NO_PAGE,
        settings.SIGN_IN_URL: sign_in.url,
    }
    if config.public_page:
        functions.deployment.variables[settings.PUBLIC_PAGE_URL] = url
    function.build()
    # Without clients nobody has a token, but the gateway requires at least one name.
    clients = [client for client in (page_client, program_client) if client] or [NO_CLIENT]
    has_files = config.public_page and not api.distribution
    access = Access(sign_in.issuer, clients, public_page=has_files)
    api.gateway.add_routes(function.function, access)
    if api.distribution:
        addresses = {
            "PageUrl": url,
            "SignInUrl": sign_in.url,
            "UserPool": sign_in.pool.user_pool_id,
            "PageClient": str(page_client),
            "ImagesBucket": bucket.bucket_name,
        }
        addresses = addresses if config.public_page else {}
        public = api.distribution.bucket.bucket_name
        Site(stack, "Page", functions=functions, bucket=public, addresses=addresses)

    for name, value, about in (
        ("ApiUrl", url, "The API, and the page if it is public"),
        ("UserPoolId", sign_in.pool.user_pool_id, "The users; make user adds one"),
        ("SignInUrl", sign_in.url, "The address of the sign-in"),
        ("ApiFunction", function.function.function_name, "The API's function, with its settings"),
        ("PageClientId", page_client, "The sign-in for the page"),
        ("ProgramClientId", program_client, "The sign-in for programs; make token uses it"),
    ):
        if value:
            CfnOutput(stack, name, value=value, description=about)


def page_url(stack: Stack, own_url: str) -> str:
    """Return the address from the stack's parameter, such as a domain, or else the stack's own."""
    about = (
        f"The address of the API and its page, ending in a slash; {OWN_URL} means the stack's own "
        "address"
    )
    # The default is a word, because synth's own check treats an empty address as an error.
    parameter = CfnParameter(
        stack,
        "PageUrl",
        default=OWN_URL,
        # The sign-in returns to this address, and Cognito accepts http only for localhost. The
        # local stack uses 127.0.0.1.
        allowed_pattern=rf"{OWN_URL}|https://.+/|http://(localhost|127\.0\.0\.1)(:\d+)?/(.*/)?",
        description=about,
    )
    value = parameter.value_as_string
    is_own = CfnCondition(stack, "OwnPageUrl", expression=Fn.condition_equals(value, OWN_URL))
    return Fn.condition_if(is_own.logical_id, own_url, value).to_string()
