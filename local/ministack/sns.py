"""Gap: SNS lists the ARN of a subscription that nobody has confirmed yet."""

from ministack.services import sns

from local.ministack.edits import edit

_ARN = "{sub['arn']}</SubscriptionArn>"
_ARN_OR_PENDING = (
    "{sub['arn'] if sub.get('confirmed') else 'PendingConfirmation'}</SubscriptionArn>"
)


def apply() -> None:
    """List an unconfirmed subscription as AWS does."""
    edit(sns, "_list_subscriptions_by_topic", [(_ARN, _ARN_OR_PENDING)])
