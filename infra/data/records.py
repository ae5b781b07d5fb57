"""The table: claims, lineage, budget, and the four indexes of the gallery, newest first."""

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from easel.contract.naming import GALLERY_INDEXES, GALLERY_POSITION
from infra.access.encryption import Encryption, removal


class RecordsTable(Construct):
    """One on-demand table with point-in-time recovery."""

    def __init__(
        self, scope: Construct, construct_id: str, *, retain: bool, encryption: Encryption
    ) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if encryption.key else None,
            encryption_key=encryption.key,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=removal(retain=retain),
            # The stream is the source of events. A change in the table produces its event even if
            # the function that made it dies.
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
        )
        for name, shelf in GALLERY_INDEXES.items():
            self.table.add_global_secondary_index(
                index_name=name, partition_key=_text(shelf), sort_key=_text(GALLERY_POSITION)
            )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
