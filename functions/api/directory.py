"""The user pool as a directory of people."""

from typing import Any

from easel.aws.client import translate_errors


class Directory:
    """The users of one pool, by their subject and by their mail address."""

    def __init__(self, client: Any, *, pool: str) -> None:
        self._client = client
        self._pool = pool

    def name_of(self, subject: str) -> str | None:
        """Return the mail address of a token's subject, or None if the pool does not know it."""
        user = self._find("sub", subject)
        return user.get("email") if user else None

    def subject_of(self, email: str) -> str | None:
        """Return the subject of the user with this mail address, or None."""
        user = self._find("email", email)
        return user.get("sub") if user else None

    def _find(self, attribute: str, value: str) -> dict[str, str] | None:
        # A filter has its value in quotation marks. No subject and no mail address contains one.
        if '"' in value or "\\" in value:
            return None
        with translate_errors("looking up a user"):
            answer = self._client.list_users(
                UserPoolId=self._pool, Filter=f'{attribute} = "{value}"', Limit=1
            )
        users = answer["Users"]
        return {each["Name"]: each["Value"] for each in users[0]["Attributes"]} if users else None
