"""The HTTP API: each route of functions/api/routes.py, the token that it demands, and how much traffic it takes."""

import json
from collections.abc import Sequence
from typing import cast

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_authorizers import HttpJwtAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from functions.api import routes
from infra.nag import acknowledge

# For each route. A page that follows a run asks every second or so; it keeps a script that runs away from taking all of the account's
# Lambda concurrency, of which the steps need theirs. Step Functions' own limit for looking at runs is lower, and answers as busy.
RATE, BURST = 50, 100
# One who opens the page for the first time asks for some twenty-five files at once.
FILES_ROUTE, FILES_RATE, FILES_BURST = "GET /web/{file+}", 200, 500

PUBLIC = "The API's description and the page's own files: the same for everybody, and needed by a browser that has no token yet"

# By route and not by path: no name and no id gets into the log, and no query, which may hold a prompt.
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


class HttpApi(Construct):
    """The gateway with its stage; the routes come once the function is there, which has to know the API's address."""

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey | None = None) -> None:
        super().__init__(scope, construct_id)
        # No CORS: the page is served from here, and no other page has business here.
        self._api = apigatewayv2.HttpApi(
            self, "Api", api_name="Easel", create_default_stage=False, description="Easel: runs, pictures, folders"
        )
        log = logs.LogGroup(
            self, "AccessLog", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY, encryption_key=key
        )
        stage = self._api.add_stage(
            "Stage", stage_name="$default", auto_deploy=True, throttle=apigatewayv2.ThrottleSettings(rate_limit=RATE, burst_limit=BURST)
        )
        # The construct takes a format only as an object of another module; the resource takes the text.
        resource = cast("apigatewayv2.CfnStage", stage.node.default_child)
        resource.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=apigatewayv2.LogGroupLogDestination(log).bind(stage).destination_arn, format=json.dumps(ACCESS_LOG)
        )
        self._stage = resource
        self.api_id = self._api.api_id
        self.url = f"https://{self._api.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}/"

    def add_routes(self, function: lambda_.IFunction, *, issuer: str, clients: Sequence[str], page: bool) -> None:
        """Let the function answer. A data route demands a token that `issuer` gave one of `clients`, with the route's scope."""
        # One permission for the whole API: one for each route would say no more.
        integration = HttpLambdaIntegration("Function", function, scope_permission_to_route=False)
        authorizer = HttpJwtAuthorizer("Token", issuer, jwt_audience=list(clients), authorizer_name="token")
        for method, path, needed in routes.DATA:
            self._api.add_routes(
                path=path,
                methods=[apigatewayv2.HttpMethod(method)],
                integration=integration,
                authorizer=authorizer,
                authorization_scopes=[needed],
            )
        for method, path in (*routes.DESCRIPTION, *(routes.PAGE if page else ())):
            made = self._api.add_routes(path=path, methods=[apigatewayv2.HttpMethod(method)], integration=integration)
            for route in made:
                acknowledge(route, "AwsSolutions-APIG4", PUBLIC)
            if f"{method} {path}" == FILES_ROUTE:
                limits = {"ThrottlingRateLimit": FILES_RATE, "ThrottlingBurstLimit": FILES_BURST}
                self._stage.add_property_override("RouteSettings", {FILES_ROUTE: limits})
                # Settings can be given only to a route that is there.
                self._stage.node.add_dependency(*made)
