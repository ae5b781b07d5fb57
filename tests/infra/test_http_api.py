"""Promises of the API and its sign-in: access, credentials, rate limits and logs."""

import json
import re
from typing import Any

import pytest

from easel.contract import settings
from functions.api import routes
from infra import ROOT
from infra.api.api import OWN_URL
from tests.support.template import KEYED, PICTURES, Synth, Template

GATEWAY_SECONDS = 30


@pytest.fixture(scope="session")
def page_template(synth: Synth) -> Template:
    """Return the template with the page, which the API itself serves."""
    return synth(*KEYED)


def routes_of(template: Template) -> dict[str, dict[str, Any]]:
    return {
        route["Properties"]["RouteKey"]: route["Properties"]
        for route in template.of("AWS::ApiGatewayV2::Route").values()
    }


def client(template: Template, name: str) -> dict[str, Any]:
    """Return the properties of the client `Page` or `Machine`."""
    (client_resource,) = (
        client_resource
        for id_, client_resource in template.of("AWS::Cognito::UserPoolClient").items()
        if name in id_
    )
    properties: dict[str, Any] = client_resource["Properties"]
    return properties


SCOPES = {routes.READ, routes.WRITE, routes.SCHEDULE, routes.ADMIN}


def scopes(template: Template, client: dict[str, Any]) -> set[str]:
    (server,) = template.of("AWS::Cognito::UserPoolResourceServer")
    return {template.text(scope).replace(server, "easel") for scope in client["AllowedOAuthScopes"]}


@pytest.mark.parametrize(("method", "path", "scope"), routes.DATA)
def test_every_data_route_requires_a_scoped_token(
    template: Template, method: str, path: str, scope: str
) -> None:
    (authorizer,) = template.of("AWS::ApiGatewayV2::Authorizer")
    route = routes_of(template)[f"{method} {path}"]
    assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", {"Ref": authorizer})
    assert route["AuthorizationScopes"] == [scope]


def test_changes_and_costs_require_more_than_read() -> None:
    writes = {(method, path) for method, path, scope in routes.DATA if scope != routes.READ}
    # An estimate uses POST only because its request is too long for a query string.
    assert writes == {(method, path) for method, path, _ in routes.DATA if method != "GET"} - {
        ("POST", "/estimate")
    }
    scheduling = {path for _, path, scope in routes.DATA if scope == routes.SCHEDULE}
    assert scheduling == {"/schedules/{name}"}


def test_public_routes_are_description_and_optional_page(
    template: Template, page_template: Template
) -> None:
    def keys(listed: tuple[tuple[str, ...], ...]) -> set[str]:
        return {f"{method} {path}" for method, path, *_ in listed}

    for variant, open_ in (
        (template, keys(routes.DESCRIPTION)),
        (page_template, keys(routes.DESCRIPTION) | keys(routes.PAGE)),
    ):
        variant_routes = routes_of(variant)
        assert {
            key for key, route in variant_routes.items() if route["AuthorizationType"] == "NONE"
        } == open_
        assert set(variant_routes) == open_ | keys(routes.DATA)


def test_tokens_come_only_from_own_pool(template: Template, page_template: Template) -> None:
    for variant in (template, page_template):
        trusted = variant.resource("AWS::ApiGatewayV2::Authorizer")["JwtConfiguration"]
        (pool,) = variant.of("AWS::Cognito::UserPool")
        assert (
            variant.text(trusted["Issuer"])
            == f"https://cognito-idp.AWS::Region.amazonaws.com/{pool}"
        )
        clients = set(variant.of("AWS::Cognito::UserPoolClient"))
        if clients:
            assert {client["Ref"] for client in trusted["Audience"]} == clients


def test_traffic_is_limited_and_function_ends_first(template: Template) -> None:
    assert template.resource("AWS::ApiGatewayV2::Stage")["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": 50,
        "ThrottlingBurstLimit": 100,
    }
    assert template.function("api")["Timeout"] < GATEWAY_SECONDS


def test_five_people_can_open_page_concurrently(page_template: Template) -> None:
    limits = page_template.resource("AWS::ApiGatewayV2::Stage")["RouteSettings"]
    assert limits == {"GET /web/{file+}": {"ThrottlingRateLimit": 200, "ThrottlingBurstLimit": 800}}
    files = [file for file in (ROOT / "web").rglob("*") if file.is_file()]
    assert limits["GET /web/{file+}"]["ThrottlingBurstLimit"] >= 5 * len(files)


def test_access_log_contains_no_path_or_query(template: Template) -> None:
    log = template.resource("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]
    fields = json.loads(log["Format"])
    assert set(re.findall(r"\$context\.([\w.]+)", log["Format"])) == {
        "requestId",
        "requestTime",
        "routeKey",
        "status",
        "responseLatency",
        "integrationErrorMessage",
        "authorizer.error",
        "identity.sourceIp",
    }
    assert len(fields) == len(set(fields.values()))

    group = log["DestinationArn"]["Fn::GetAtt"][0]
    assert group in template.of("AWS::Logs::LogGroup")
    assert not [
        step for step in template.of("AWS::Lambda::Function").values() if group in json.dumps(step)
    ]


def test_no_other_page_may_call_the_api(template: Template) -> None:
    assert "CorsConfiguration" not in template.resource("AWS::ApiGatewayV2::Api")


def test_only_the_page_may_use_links_from_scripts(
    page_template: Template, template: Template
) -> None:
    (rule,) = page_template.resource("AWS::S3::Bucket", PICTURES)["CorsConfiguration"]["CorsRules"]
    url = page_template.environment("api")[settings.PAGE_URL]
    parts = [{"Fn::Select": [n, {"Fn::Split": ["/", url]}]} for n in (0, 2)]

    assert rule["AllowedOrigins"] == [{"Fn::Join": ["", [parts[0], "//", parts[1]]]}]
    assert (rule["AllowedMethods"], rule["AllowedHeaders"]) == (["PUT", "GET"], ["content-type"])
    assert "CorsConfiguration" not in template.resource("AWS::S3::Bucket", PICTURES)


def test_only_this_api_may_call_the_function(template: Template) -> None:
    permissions = (entry["Properties"] for entry in template.of("AWS::Lambda::Permission").values())
    (permission,) = (
        entry
        for entry in permissions
        if entry["FunctionName"] == {"Fn::GetAtt": [template.logical_id("api"), "Arn"]}
    )
    assert permission["Principal"] == "apigateway.amazonaws.com"

    (api,) = template.of("AWS::ApiGatewayV2::Api")
    assert template.text(permission["SourceArn"]).endswith(f":{api}/*/*/*")


def test_sign_up_is_closed_and_passwords_strong(template: Template) -> None:
    pool = template.resource("AWS::Cognito::UserPool")
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert pool["UsernameAttributes"] == ["email"]

    policy = pool["Policies"]["PasswordPolicy"]
    assert policy["MinimumLength"] >= 12
    assert all(
        policy[f"Require{kind}"] for kind in ("Lowercase", "Uppercase", "Numbers", "Symbols")
    )


def test_sign_in_address_hides_the_account(template: Template) -> None:
    prefix = template.resource("AWS::Cognito::UserPoolDomain")["Domain"]
    stack = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
    parts = {"Fn::Split": ["-", stack]}
    first, last = ({"Fn::Select": [number, parts]} for number in (0, 4))
    assert prefix == {"Fn::Join": ["", ["easel-", first, "-", last]]}


def test_page_signs_in_with_managed_login(page_template: Template) -> None:
    domain = page_template.resource("AWS::Cognito::UserPoolDomain")
    style = page_template.resource("AWS::Cognito::ManagedLoginBranding")

    assert domain["ManagedLoginVersion"] == 2
    assert style["UseCognitoProvidedValues"] is True
    (page,) = (name for name in page_template.of("AWS::Cognito::UserPoolClient") if "Page" in name)
    assert style["ClientId"] == {"Ref": page}
    assert page_template.resource("AWS::Cognito::UserPool")["UserPoolTier"] == "ESSENTIALS"


def test_invitation_links_to_the_page(page_template: Template, template: Template) -> None:
    pool = page_template.resource("AWS::Cognito::UserPool")
    message = pool["AdminCreateUserConfig"]["InviteMessageTemplate"]["EmailMessage"]
    text = json.dumps(message)

    assert "{username}" in text
    assert "{####}" in text
    assert page_template.environment("api")[settings.PAGE_URL] in message["Fn::Join"][1]
    without_page = template.resource("AWS::Cognito::UserPool")["AdminCreateUserConfig"]
    assert "InviteMessageTemplate" not in without_page


def test_page_client_uses_only_the_code_flow(page_template: Template) -> None:
    page = client(page_template, "Page")

    assert page["GenerateSecret"] is False
    assert page["AllowedOAuthFlows"] == ["code"]
    assert scopes(page_template, page) == {"openid", *SCOPES}
    assert not [
        flow for flow in page["ExplicitAuthFlows"] if "USER_PASSWORD" in flow or "CUSTOM" in flow
    ]
    assert (page["EnableTokenRevocation"], page["PreventUserExistenceErrors"]) == (True, "ENABLED")
    assert set(page["TokenValidityUnits"].values()) == {"minutes"}
    assert (page["AccessTokenValidity"], page["RefreshTokenValidity"]) == (60, 24 * 60)


def test_without_page_and_programs_nobody_signs_in(template: Template) -> None:
    assert template.of("AWS::Cognito::UserPoolClient") == {}
    assert not {"PageClientId", "ProgramClientId"} & set(template.body["Outputs"])
    (authorizer,) = template.of("AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["Properties"]["JwtConfiguration"]["Audience"] == ["none"]
    assert template.environment("api")[settings.PAGE_CLIENT] == settings.NO_PAGE


def test_programs_have_a_secret_and_no_user(synth: Synth) -> None:
    template = synth("layers=false", "program_sign_in=true")
    program = client(template, "Program")

    assert program["GenerateSecret"] is True
    assert program["AllowedOAuthFlows"] == ["client_credentials"]
    assert scopes(template, program) == SCOPES
    assert program["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]


# Cognito accepts http only for this machine.
GOOD_URLS = [
    OWN_URL,
    "https://a.example/x/",
    "http://localhost/",
    "http://localhost:8000/",
    "http://127.0.0.1:4566/_aws/execute-api/abc/$default/",
]


def test_page_address_defaults_to_the_api(page_template: Template) -> None:
    (api,) = page_template.of("AWS::ApiGatewayV2::Api")
    parameter = page_template.body["Parameters"]["PageUrl"]
    assert parameter["Default"] == OWN_URL

    allowed = parameter["AllowedPattern"]
    assert [
        url
        for url in (*GOOD_URLS, "https://a.example", "http://a.example/", "http://localhost", "")
        if re.fullmatch(allowed, url)
    ] == GOOD_URLS
    address = page_template.environment("api")[settings.PAGE_URL]
    condition, own, other = address["Fn::If"]
    assert page_template.body["Conditions"][condition] == {
        "Fn::Equals": [{"Ref": "PageUrl"}, OWN_URL]
    }
    assert page_template.text(own) == f"https://{api}.execute-api.AWS::Region.AWS::URLSuffix/"
    assert other == {"Ref": "PageUrl"}

    page = client(page_template, "Page")
    assert page["CallbackURLs"] == page["LogoutURLs"] == [address]
    assert page_template.body["Outputs"]["ApiUrl"]["Value"] == address


def test_only_local_stack_moves_the_sign_in(page_template: Template) -> None:
    assert settings.LOCAL_SIGN_IN_URL not in page_template.environment("api")
    assert {"ApiUrl", "UserPoolId", "PageClientId", "SignInUrl"} <= set(
        page_template.body["Outputs"]
    )
