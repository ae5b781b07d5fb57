"""The sign-in: who may use the API. People by a page of Cognito's, machines by a secret of their own."""

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from functions.api import routes
from infra.nag import acknowledge

PASSWORD_LENGTH = 12
ONE_FACTOR = (
    "Who gets in sees pictures and spends within the month's cap; nobody signs up by themselves. "
    "Whoever wants a second factor turns it on for the pool"
)
NO_PLUS = (
    "The Plus plan is paid for each user a month; an administrator makes the few users, and passwords have twelve characters of four kinds"
)


class SignIn(Construct):
    """A user pool in which only an administrator makes users, with the API's two scopes."""

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool) -> None:
        super().__init__(scope, construct_id)
        self.pool = cognito.UserPool(
            self,
            "Users",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            password_policy=cognito.PasswordPolicy(
                min_length=PASSWORD_LENGTH, require_digits=True, require_lowercase=True, require_symbols=True, require_uppercase=True
            ),
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY,
        )
        acknowledge(self.pool, "AwsSolutions-COG2", ONE_FACTOR)
        acknowledge(self.pool, "AwsSolutions-COG8", NO_PLUS)
        # A prefix is one customer's in a whole region: the account's number makes it ours.
        domain = self.pool.add_domain(
            "Domain", cognito_domain=cognito.CognitoDomainOptions(domain_prefix=f"easel-{Aws.ACCOUNT_ID}-{Aws.REGION}")
        )
        self.url = f"https://{domain.domain_name}.auth.{Aws.REGION}.amazoncognito.com"
        # Not the pool's ProviderURL, which says the same: the local AWS does not have it.
        self.issuer = f"https://cognito-idp.{Aws.REGION}.amazonaws.com/{self.pool.user_pool_id}"
        (identifier,) = {name.partition("/")[0] for name in (routes.READ, routes.WRITE)}
        read, write = (
            cognito.ResourceServerScope(scope_name=name.partition("/")[2], scope_description=says)
            for name, says in ((routes.READ, "see pictures and runs"), (routes.WRITE, "make, delete and restore pictures"))
        )
        server = self.pool.add_resource_server("Api", identifier=identifier, scopes=[read, write])
        self._scopes = [cognito.OAuthScope.resource_server(server, one) for one in (read, write)]

    def for_page(self, url: str) -> cognito.UserPoolClient:
        """The client of the page at `url`: no secret, since a browser keeps none; the code flow, with PKCE."""
        return self.pool.add_client(
            "Page",
            generate_secret=False,
            # What Cognito's own page signs in with. A token that is got by it directly has none of the API's scopes.
            auth_flows=cognito.AuthFlow(user_srp=True),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                scopes=[cognito.OAuthScope.OPENID, *self._scopes],
                callback_urls=[url],
                logout_urls=[url],
            ),
            supported_identity_providers=[cognito.UserPoolClientIdentityProvider.COGNITO],
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=Duration.hours(1),
            id_token_validity=Duration.hours(1),
            refresh_token_validity=Duration.days(1),
        )

    def for_machines(self) -> cognito.UserPoolClient:
        """The client of programs, which have its secret and no user."""
        return self.pool.add_client(
            "Machine",
            generate_secret=True,
            # No user signs in through it.
            auth_flows=cognito.AuthFlow(user_srp=False),
            o_auth=cognito.OAuthSettings(flows=cognito.OAuthFlows(client_credentials=True), scopes=self._scopes),
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=Duration.hours(1),
        )
