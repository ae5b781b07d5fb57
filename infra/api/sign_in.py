"""The sign-in of the API: people use Cognito's page, and programs use a secret."""

from aws_cdk import Aws, Duration, Fn
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from functions.api import routes
from functions.api.roles import GROUPS, Role
from infra.access.encryption import removal
from infra.nag import acknowledge

PASSWORD_LENGTH = 12
ONE_FACTOR = (
    "A user sees images and spends within the monthly cap, and nobody can sign up without an "
    "administrator. Turn on a second factor for the pool if you want one"
)
NO_PLUS = (
    "The Plus plan costs money for each user and month. An administrator adds the few users, and "
    "passwords have twelve characters of four kinds"
)

SCOPES = {
    routes.READ: "see images and runs",
    routes.WRITE: "make, delete and restore images",
    routes.SCHEDULE: "create, change and delete schedules",
    routes.ADMIN: "change budgets",
}
# What the members of each group may do.
MAY: dict[Role, str] = {
    "look": "see images, runs and spending",
    "make": "make and change images",
    "administer": "change budgets",
}


class SignIn(Construct):
    """A user pool with the API's scopes. Only an administrator adds users.

    `users` is the id of an earlier deployment's pool, or None for a new pool.
    """

    pool: cognito.IUserPool

    def __init__(self, scope: Construct, construct_id: str, *, users: str | None) -> None:
        super().__init__(scope, construct_id)
        if users:
            self.pool = cognito.UserPool.from_user_pool_id(self, "Users", users)

    def make_pool(self, *, retain: bool, page_url: str | None) -> None:
        """Create the pool. Its invitations contain the page's address, if there is a page."""
        pool = cognito.UserPool(
            self,
            "Users",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            feature_plan=cognito.FeaturePlan.ESSENTIALS,
            password_policy=cognito.PasswordPolicy(
                min_length=PASSWORD_LENGTH,
                require_digits=True,
                require_lowercase=True,
                require_symbols=True,
                require_uppercase=True,
            ),
            user_invitation=_invitation(page_url) if page_url else None,
            deletion_protection=retain,
            removal_policy=removal(retain=retain, is_protected=True),
        )
        for role, group in GROUPS.items():
            cognito.CfnUserPoolGroup(
                self,
                f"Group{role.capitalize()}",
                user_pool_id=pool.user_pool_id,
                group_name=group,
                description=f"Easel: people who may {MAY[role]}",
            ).apply_removal_policy(removal(retain=retain, is_protected=True))
        acknowledge(pool, "AwsSolutions-COG2", ONE_FACTOR)
        acknowledge(pool, "AwsSolutions-COG8", NO_PLUS)
        self.pool = pool

    def add_scopes(self) -> None:
        """Add the address of the sign-in and the scopes of the API."""
        # The prefix must be unique in a region, and should not contain the account's number. The
        # stack's id is unique. Its first part is a time, and its last part may identify a machine.
        parts = Fn.split("-", Fn.select(2, Fn.split("/", Aws.STACK_ID)))
        prefix = f"easel-{Fn.select(0, parts)}-{Fn.select(4, parts)}"
        domain = self.pool.add_domain(
            "Domain",
            cognito_domain=cognito.CognitoDomainOptions(domain_prefix=prefix),
            managed_login_version=cognito.ManagedLoginVersion.NEWER_MANAGED_LOGIN,
        )
        self.url = f"https://{domain.domain_name}.auth.{Aws.REGION}.amazoncognito.com"
        # This equals the pool's ProviderURL, which the local AWS does not have.
        self.issuer = f"https://cognito-idp.{Aws.REGION}.amazonaws.com/{self.pool.user_pool_id}"
        (identifier,) = {name.partition("/")[0] for name in SCOPES}
        scopes = [
            cognito.ResourceServerScope(scope_name=name.partition("/")[2], scope_description=about)
            for name, about in SCOPES.items()
        ]
        server = self.pool.add_resource_server("Api", identifier=identifier, scopes=scopes)
        self._scopes = [
            cognito.OAuthScope.resource_server(server, api_scope) for api_scope in scopes
        ]

    def add_page_client(self, url: str) -> str:
        """Add the client of the page at `url`, and return its id.

        It uses the code flow with PKCE instead of a secret, because a browser cannot keep one.
        """
        client = self.pool.add_client(
            "Page",
            generate_secret=False,
            # Cognito's own page signs in with this flow. A token from calling it directly has none
            # of the API's scopes.
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
        # Without a style the newer sign-in page does not open.
        cognito.CfnManagedLoginBranding(
            self,
            "Style",
            user_pool_id=self.pool.user_pool_id,
            client_id=client.user_pool_client_id,
            use_cognito_provided_values=True,
        )
        return client.user_pool_client_id

    def add_program_client(self) -> str:
        """Add the client of programs, which has a secret and no user. Return its id."""
        client = self.pool.add_client(
            "Program",
            generate_secret=True,
            # No user signs in with this client.
            auth_flows=cognito.AuthFlow(user_srp=False),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(client_credentials=True), scopes=self._scopes
            ),
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=Duration.hours(1),
        )
        return client.user_pool_client_id


def _invitation(page_url: str) -> cognito.UserInvitationConfig:
    """Return the mail to a new user. Cognito fills in the name and the temporary password."""
    return cognito.UserInvitationConfig(
        email_subject="Your invitation to Easel",
        email_body=(
            f"<p>You can make and browse images at <a href='{page_url}'>{page_url}</a>.</p>"
            "<p>Sign in as {username} with the temporary password {####} "
            "and choose your own password. The temporary one is valid for seven days.</p>"
        ),
    )
