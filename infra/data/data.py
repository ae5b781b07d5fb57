"""The stored data and its secrets: a bucket, a table, the OpenAI account, a mirror."""

from aws_cdk import Aws, CfnOutput, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3

from easel.contract import settings
from easel.contract.channels import Form
from infra.access.grants import Resource
from infra.config import Config
from infra.data.adoption import Adoption
from infra.data.images import DELETED_DAYS, ImageStore
from infra.data.records import RecordsTable
from infra.data.secrets import Credentials, Mirror, OpenAIKey, SigningKey, openai_identity
from infra.functions.function import Deployment


def add_data(stack: Stack, deployment: Deployment, config: Config) -> s3.IBucket:
    """Add the bucket, table and secrets to the stack and to the deployment. Return the bucket."""
    adoption = None
    if config.existing_bucket or config.adopts_table:
        adoption = Adoption(stack, "Existing", deployment=deployment, config=config)
    bucket = _bucket(stack, deployment, config, adoption)
    table = _table(stack, deployment, config, adoption)
    CfnOutput(stack, "Table", value=table.table_name, description="The table of records")
    cap = str(config.monthly_budget_usd)
    about = "The cap of this deployment; make budget changes it immediately"
    CfnOutput(stack, "MonthlyBudgetUsd", value=cap, description=about)
    deployment.add(
        {Resource.TABLE: table.table_arn, Resource.STREAM: str(table.table_stream_arn)},
        {settings.TABLE: table.table_name},
    )
    for credentials in _credentials(stack, deployment, config):
        deployment.add(credentials.arns, credentials.variables)
    return bucket


def _table(
    stack: Stack, deployment: Deployment, config: Config, adoption: Adoption | None
) -> dynamodb.ITable:
    records = RecordsTable(stack, "Records")
    if adoption and config.adopts_table:
        return records.adopt(str(config.existing_table), stream=adoption.check_table())
    return records.make(retain=config.retain_images, encryption=deployment.encryption)


def _bucket(
    stack: Stack, deployment: Deployment, config: Config, adoption: Adoption | None
) -> s3.IBucket:
    images, name = ImageStore(stack, "Images"), config.bucket_name
    if adoption and config.existing_bucket:
        bucket = images.adopt(str(name))
        adoption.check_bucket()
    else:
        bucket = images.make(name, config, encryption=deployment.encryption)
    variables = {
        settings.BUCKET: bucket.bucket_name,
        settings.BUCKET_OWNER: Aws.ACCOUNT_ID,
        settings.RECOVERABLE_DAYS: (
            settings.OWNER_DECIDES if config.existing_bucket else str(DELETED_DAYS)
        ),
    }
    deployment.add({Resource.BUCKET: bucket.bucket_arn}, variables)
    CfnOutput(stack, "Bucket", value=bucket.bucket_name, description="The bucket with the images")
    buckets = f"https://{Aws.REGION}.console.aws.amazon.com/s3/buckets"
    url = f"{buckets}/{bucket.bucket_name}?region={Aws.REGION}&tab=objects"
    CfnOutput(stack, "PicturesHere", value=url, description="The bucket in the S3 console")
    return bucket


def _credentials(stack: Stack, deployment: Deployment, config: Config) -> list[Credentials]:
    identity, mirror_url = config.openai_workload_identity, config.mirror
    encryption = deployment.encryption
    credentials = [
        (
            openai_identity(stack, identity)
            if identity
            else OpenAIKey(stack, "OpenAIKey", encryption=encryption).credentials
        )
    ]
    if mirror_url:
        mirror = Mirror(stack, "MirrorStore", url=mirror_url, encryption=encryption)
        credentials.append(mirror.credentials)
    if any(webhook.channel.form is Form.EASEL for webhook in config.webhooks):
        credentials.append(SigningKey(stack, "SigningKey", encryption=encryption).credentials)
    return credentials
