"""The composition root. It builds each collaborator on first use, once per cold start.

Each function ships only the folders and layers that it uses, so a collaborator is imported where it
is built. Tests replace a collaborator by assigning to its name.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from easel.aws.bucket import Bucket
from easel.aws.client import client
from easel.aws.lambda_runtime import Deadline
from easel.aws.table import Table
from easel.contract.settings import (
    BatchSettings,
    DeliverySettings,
    MirroredSettings,
    OpenAISettings,
    RateSettings,
    RequestSettings,
    SharingSettings,
    StorageSettings,
    TimeSettings,
)
from easel.ledger.batches import BatchOrders, BatchStarts
from easel.ledger.budget import Budget
from easel.ledger.charges import Charges
from easel.ledger.ledger import Ledger
from easel.ledger.limits import Limits
from easel.ledger.presets import Presets
from easel.ledger.purchase import PUT_CONNECT_SECONDS, PUT_READ_SECONDS, Purchases
from easel.ledger.rate_limit import RateLimit
from easel.ledger.reference_files import ReferenceFiles
from easel.ledger.reference_users import ReferenceUsers
from easel.ledger.references import References
from easel.ledger.shares import Shares
from easel.ledger.uploads import Uploads

if TYPE_CHECKING:
    from easel.openai_client.batches import OpenAIBatches
    from easel.openai_client.chat import ChatModel
    from easel.openai_client.client import Account
    from easel.openai_client.images import ImageModel


class Services:
    """The collaborators of one deployment, built from its environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return datetime.now(UTC)

    @cached_property
    def storage(self) -> StorageSettings:
        """Return the settings of the bucket, the table and the budget."""
        return StorageSettings.read(self.environment)

    @cached_property
    def requests(self) -> RequestSettings:
        """Return the defaults of a request."""
        return RequestSettings.read(self.environment)

    @cached_property
    def batching(self) -> BatchSettings:
        """Return the limits of a batch."""
        return BatchSettings.read(self.environment)

    @cached_property
    def time_limits(self) -> TimeSettings:
        """Return the time limits of paid calls."""
        return TimeSettings.read(self.environment)

    @cached_property
    def mirror_url(self) -> str | None:
        """Return the URL of the second store, or None if there is none."""
        return MirroredSettings.read(self.environment).mirror

    @cached_property
    def bucket(self) -> Bucket:
        """Return the stack's bucket."""
        return Bucket(client("s3"), name=self.storage.bucket, owner=self.storage.bucket_owner)

    @cached_property
    def staging(self) -> Bucket:
        """Return the bucket with short single attempts, for bytes that exist nowhere else.

        The caller repeats a put until the function's deadline.
        """
        s3 = client(
            "s3", tries=1, connect_timeout=PUT_CONNECT_SECONDS, read_timeout=PUT_READ_SECONDS
        )
        return Bucket(s3, name=self.storage.bucket, owner=self.storage.bucket_owner)

    @cached_property
    def table(self) -> Table:
        """Return the stack's table."""
        return Table(client("dynamodb"), name=self.storage.table)

    @cached_property
    def ledger(self) -> Ledger:
        """Return the ledger."""
        budget = Budget(self.table, setting=self.storage.monthly_budget_micro_usd)
        return Ledger(self.table, budget)

    @cached_property
    def limits(self) -> Limits:
        """Return the budgets of people and folders."""
        return Limits(self.table)

    @property
    def presets(self) -> Presets:
        """Return the presets."""
        return Presets(self.table, self.requests.presets)

    @cached_property
    def charges(self) -> Charges:
        """Return what was spent, by attribution."""
        return Charges(self.table)

    @cached_property
    def rate_limit(self) -> RateLimit:
        """Return the rate limit of image calls, for the whole stack."""
        rate = RateSettings.read(self.environment)
        return RateLimit(
            self.table, per_minute=rate.images_per_minute, at_once=rate.max_parallel_images
        )

    @cached_property
    def batch_starts(self) -> BatchStarts:
        """Return the starts of batches."""
        return BatchStarts(self.table)

    @cached_property
    def batch_orders(self) -> BatchOrders:
        """Return the orders at OpenAI's Batch API."""
        return BatchOrders(self.table)

    def purchases(self, deadline: Deadline, *, staging: Bucket | None = None) -> Purchases:
        """Return the purchases of one call. `staging` is the bucket for paid bytes."""
        return Purchases(self.ledger, staging or self.bucket, deadline, now=self.now)

    @cached_property
    def uploads(self) -> Uploads:
        """Return the uploads."""
        return Uploads(self.table)

    @cached_property
    def delivery(self) -> DeliverySettings:
        """Return the public address of shared images."""
        return DeliverySettings.read(self.environment)

    @cached_property
    def shares(self) -> Shares | None:
        """Return the shares, or None if the deployment shares no images."""
        sharing = SharingSettings.read(self.environment)
        if sharing.bucket is None:
            return None
        public = Bucket(client("s3"), name=sharing.bucket, owner=self.storage.bucket_owner)
        return Shares(self.table, self.bucket, public)

    def references(self) -> References:
        """Return the reference images, as they are now."""
        return References(self.table, self.bucket)

    @property
    def reference_files(self) -> ReferenceFiles:
        """Return the files of reference images."""
        return ReferenceFiles(self.bucket)

    @property
    def reference_users(self) -> ReferenceUsers:
        """Return the runs that are made from reference images."""
        return ReferenceUsers(self.table, self.bucket)

    @cached_property
    def eventbridge(self) -> Any:
        """Return a client for EventBridge."""
        return client("events")

    @cached_property
    def openai_account(self) -> "Account":
        """Return the OpenAI account, with a key or with this function's identity."""
        from easel.openai_client.client import Account
        from easel.openai_client.credentials import ApiKey, Credential, IdentityToken

        settings = OpenAISettings.read(self.environment)
        credential: Credential
        if settings.workload_identity:
            credential = IdentityToken(
                client("sts"), settings.workload_identity, token_url=settings.token_url
            )
        else:
            credential = ApiKey(client("secretsmanager"), secret=str(settings.secret))
        return Account(credential, base_url=settings.base_url, omitted=settings.omitted or ())

    @cached_property
    def chat_model(self) -> "ChatModel":
        """Return the chat models of the account."""
        from easel.openai_client.chat import ChatModel

        return ChatModel(self.openai_account)

    @cached_property
    def image_model(self) -> "ImageModel":
        """Return the image models of the account."""
        from easel.openai_client.images import ImageModel

        return ImageModel(self.openai_account)

    @cached_property
    def openai_batches(self) -> "OpenAIBatches":
        """Return the account's batches."""
        from easel.openai_client.batches import OpenAIBatches

        return OpenAIBatches(self.openai_account)


SERVICES = Services(os.environ)
