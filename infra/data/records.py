"""The table: claims, lineage, budget, and the gallery's four orders, newest first."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

# Each index is sparse: only pictures that were stored carry its keys.
INDEXES = {"by_time": "shelf", "by_folder": "shelf_folder", "by_topic": "shelf_topic", "by_folder_topic": "shelf_folder_topic"}


class RecordsTable(Construct):
    """One table on demand, with point-in-time recovery."""

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool, key: kms.IKey | None = None) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if key else None,
            encryption_key=key,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY,
            # What the events are made from: a change that is in the table is told, whatever happens to the function that made it.
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
        )
        for name, shelf in INDEXES.items():
            self.table.add_global_secondary_index(index_name=name, partition_key=_text(shelf), sort_key=_text("at_id"))


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
