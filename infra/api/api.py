"""The API: its gateway, its sign-in, its function, and its public address."""

from aws_cdk import CfnCondition, CfnOutput, CfnParameter, Fn, Stack
from aws_cdk import aws_s3 as s3

from easel.contract import settings
from infra.api.http_api import Access, HttpApi
from infra.api.link_roles import add_link_roles
from infra.api.sign_in import SignIn
from infra.config import Config
from infra.data.images import allow_uploads
from infra.functions.catalogue import API
from infra.functions.function import Functions

OWN_URL = "own"
NO_CLIENT = "none"


def add_api(stack: Stack, functions: Functions, config: Config, *, bucket: s3.IBucket) -> str:
    """Add the API, and the page if it is public. Return the API's id."""
    http_api = HttpApi(stack, "HttpApi", encryption=functions.deployment.encryption)
    url = _page_url(stack, http_api.url)
    if config.public_page:
        allow_uploads(bucket, page_url=url)
    sign_in = SignIn(stack, "SignIn", users=config.existing_users)
    if not config.existing_users:
        sign_in.make_pool(retain=config.retain_images, page_url=url if config.public_page else None)
    sign_in.add_scopes()
    page_client = sign_in.add_page_client(url) if config.public_page else None
    program_client = sign_in.add_program_client() if config.program_sign_in else None

    function = functions.begin(API)
    add_link_roles(stack, function, functions.deployment)
    functions.deployment.variables |= {
        settings.PAGE_URL: url,
        settings.USER_POOL: sign_in.pool.user_pool_id,
        settings.PAGE_CLIENT: page_client or settings.NO_PAGE,
        settings.SIGN_IN_URL: sign_in.url,
    }
    function.build()
    # Without clients nobody has a token, but the gateway requires at least one name.
    clients = [client for client in (page_client, program_client) if client] or [NO_CLIENT]
    access = Access(sign_in.issuer, clients, public_page=config.public_page)
    http_api.add_routes(function.function, access)

    for name, value, about in (
        ("ApiUrl", url, "The API, and the page if it is public"),
        ("UserPoolId", sign_in.pool.user_pool_id, "The users; make user adds one"),
        ("SignInUrl", sign_in.url, "The address of the sign-in"),
        ("PageClientId", page_client, "The sign-in for the page"),
        ("ProgramClientId", program_client, "The sign-in for programs; make token uses it"),
    ):
        if value:
            CfnOutput(stack, name, value=value, description=about)
    return http_api.api_id


def _page_url(stack: Stack, own_url: str) -> str:
    """Return the address from the stack's parameter, such as a domain, or else the API's own."""
    about = (
        f"The address of the API and its page, ending in a slash; {OWN_URL} means the API's own "
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
