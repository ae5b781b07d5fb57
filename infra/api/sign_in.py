"""The sign-in: who may use the API. People by a page of Cognito's, programs by a secret."""

from aws_cdk import Aws, Duration
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from functions.api import routes
from infra.access.encryption import removal
from infra.nag import acknowledge

PASSWORD_LENGTH = 12
ONE_FACTOR = (
    "A user sees images and spends within the monthly cap, and nobody can sign up without an"
    " administrator. Turn on a second factor for the pool if you want one"
)
NO_PLUS = (
    "The Plus plan costs money for each user and month. An administrator adds the few users, and"
    " passwords have twelve characters of four kinds"
)


class SignIn(Construct):
    """A user pool to which only an administrator adds users, with the API's two scopes."""

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
                min_length=PASSWORD_LENGTH,
                require_digits=True,
                require_lowercase=True,
                require_symbols=True,
                require_uppercase=True,
            ),
            removal_policy=removal(retain=retain),
        )
        acknowledge(self.pool, "AwsSolutions-COG2", ONE_FACTOR)
        acknowledge(self.pool, "AwsSolutions-COG8", NO_PLUS)
        # A prefix is unique in a whole region: the account's number makes it ours.
        prefix = f"easel-{Aws.ACCOUNT_ID}-{Aws.REGION}"
        options = cognito.CognitoDomainOptions(domain_prefix=prefix)
        domain = self.pool.add_domain("Domain", cognito_domain=options)
        self.url = f"https://{domain.domain_name}.auth.{Aws.REGION}.amazoncognito.com"
        # Not the pool's ProviderURL, which is the same: the local AWS does not have it.
        self.issuer = f"https://cognito-idp.{Aws.REGION}.amazonaws.com/{self.pool.user_pool_id}"
        (identifier,) = {name.partition("/")[0] for name in (routes.READ, routes.WRITE)}
        read, write = (
            cognito.ResourceServerScope(scope_name=name.partition("/")[2], scope_description=about)
            for name, about in (
                (routes.READ, "see images and runs"),
                (routes.WRITE, "make, delete and restore images"),
            )
        )
        server = self.pool.add_resource_server("Api", identifier=identifier, scopes=[read, write])
        self._scopes = [cognito.OAuthScope.resource_server(server, one) for one in (read, write)]

    def for_page(self, url: str) -> str:
        """Add the client of the page at `url`, and return its id.

        It has no secret, since a browser keeps none, but the code flow with PKCE.
        """
        client = self.pool.add_client(
            "Page",
            generate_secret=False,
            # Cognito's own page signs in with it. A token that someone gets with it directly has
            # none of the API's scopes.
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
        return client.user_pool_client_id

    def for_machines(self) -> str:
        """Add the client of programs, which have its secret and no user, and return its id."""
        client = self.pool.add_client(
            "Machine",
            generate_secret=True,
            # No user signs in through it.
            auth_flows=cognito.AuthFlow(user_srp=False),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(client_credentials=True), scopes=self._scopes
            ),
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=Duration.hours(1),
        )
        return client.user_pool_client_id
