"""The gateway: each route of functions/api/routes.py, the token it requires, and its throttling."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_authorizers import HttpJwtAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from functions.api import routes
from infra.access.encryption import Encryption
from infra.functions.function import vended_logs
from infra.nag import acknowledge

# These limits apply to each route. A page that follows a run sends about one request a second. The
# limit keeps a runaway script from using up the account's Lambda concurrency, which the steps need
# as well. Step Functions has a lower limit for reading executions, which the API reports as busy.
RATE, BURST = 50, 100
# A first visit to the page requests some forty files at the same time.
FILES_ROUTE, FILES_RATE, FILES_BURST = "GET /web/{file+}", 200, 800

PUBLIC = (
    "The API's description and the page's files: the same for everyone, and loaded by the browser "
    "before it has a token"
)

# The log has the route instead of the path. Paths contain names, ids and queries, and a query may
# contain a prompt.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLatency": "$context.responseLatency",
    "integrationError": "$context.integrationErrorMessage",
    "authorizerError": "$context.authorizer.error",
    "sourceIp": "$context.identity.sourceIp",
}


@dataclass(frozen=True)
class Access:
    """The clients that may call the API: those of one token issuer, and for the page everyone."""

    issuer: str
    clients: Sequence[str]
    public_page: bool


class HttpApi(Construct):
    """The gateway with its stage.

    Its routes are added later, because the function must exist first and needs the API's address.
    """

    def __init__(self, scope: Construct, construct_id: str, *, encryption: Encryption) -> None:
        super().__init__(scope, construct_id)
        # There is no CORS, because the page has the same origin and no other page needs the API.
        self._api = apigatewayv2.HttpApi(
            self,
            "Api",
            api_name="Easel",
            create_default_stage=False,
            description="Easel: runs, images, folders",
        )
        log = logs.LogGroup(
            self,
            "AccessLog",
            log_group_name=vended_logs("apigateway", Stack.of(self)),
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
            encryption_key=encryption.key,
        )
        stage = self._api.add_stage(
            "Stage",
            stage_name="$default",
            auto_deploy=True,
            throttle=apigatewayv2.ThrottleSettings(rate_limit=RATE, burst_limit=BURST),
        )
        # The construct takes a format only as an object of another module. The resource takes text.
        resource = cast("apigatewayv2.CfnStage", stage.node.default_child)
        destination = apigatewayv2.LogGroupLogDestination(log).bind(stage).destination_arn
        resource.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=destination, format=json.dumps(ACCESS_LOG)
        )
        self._stage = resource
        self.api_id = self._api.api_id
        self.host = f"{self._api.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}"
        self.url = f"https://{self.host}/"

    def add_routes(self, function: lambda_.IFunction, access: Access) -> None:
        """Add the function's routes. A data route requires a token with its scope."""
        # One permission covers the whole API. Separate ones for each route would allow the same.
        integration = HttpLambdaIntegration("Function", function, scope_permission_to_route=False)
        authorizer = HttpJwtAuthorizer(
            "Token", access.issuer, jwt_audience=list(access.clients), authorizer_name="token"
        )
        for method, path, scope in routes.DATA:
            self._api.add_routes(
                path=path,
                methods=[apigatewayv2.HttpMethod(method)],
                integration=integration,
                authorizer=authorizer,
                authorization_scopes=[scope],
            )
        for method, path in (*routes.DESCRIPTION, *(routes.PAGE if access.public_page else ())):
            added = self._api.add_routes(
                path=path, methods=[apigatewayv2.HttpMethod(method)], integration=integration
            )
            for route in added:
                acknowledge(route, "AwsSolutions-APIG4", PUBLIC)
            if f"{method} {path}" == FILES_ROUTE:
                limits = {"ThrottlingRateLimit": FILES_RATE, "ThrottlingBurstLimit": FILES_BURST}
                self._stage.add_property_override("RouteSettings", {FILES_ROUTE: limits})
                # Settings require that the route exists.
                self._stage.node.add_dependency(*added)
