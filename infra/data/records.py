"""The table: claims, lineage, budget, and the four indexes of the gallery, newest first."""

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from easel.contract.naming import GALLERY_INDEXES, GALLERY_POSITION
from infra.access.encryption import Encryption, removal


class RecordsTable(Construct):
    """The table of the records."""

    table: dynamodb.ITable

    def adopt(self, name: str, *, stream: str) -> dynamodb.ITable:
        """Use the table of an earlier deployment, with its stream."""
        arn = Stack.of(self).format_arn(service="dynamodb", resource="table", resource_name=name)
        self.table = dynamodb.Table.from_table_attributes(
            self, "Table", table_arn=arn, table_stream_arn=stream
        )
        return self.table

    def make(self, *, retain: bool, encryption: Encryption) -> dynamodb.ITable:
        """Create an on-demand table with point-in-time recovery."""
        table = dynamodb.Table(
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
            deletion_protection=retain,
            removal_policy=removal(retain=retain, is_protected=True),
            # The stream is the source of events. A change in the table produces its event even if
            # the function that made it dies.
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
        )
        for name, shelf in GALLERY_INDEXES.items():
            table.add_global_secondary_index(
                index_name=name, partition_key=_text(shelf), sort_key=_text(GALLERY_POSITION)
            )
        self.table = table
        return table


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
