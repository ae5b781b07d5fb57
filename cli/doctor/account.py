"""Checks of the account and of this machine: clock, credentials, quotas."""

import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import boto3
from botocore.exceptions import ClientError

from cli.doctor import web
from cli.doctor.deployment import Deployment
from cli.doctor.finding import DENIALS, Finding, NotCheckedError, ok, problem, warning
from easel.aws.client import error_code
from easel.contract import settings

# AWS refuses signatures that are five minutes off, and `make report` compares the ends of leases
# with this machine's clock.
MAX_SECONDS_OFF = 60
# The other steps and the API run next to the image calls.
OTHER_FUNCTIONS = 10
LAMBDA_QUOTA = "L-B99A9384"
LAMBDA_DEFAULT = 1000
# A run of one image has six transitions. This allows each image call one run a second.
TRANSITIONS = 6
TRANSITIONS_QUOTA = "StateTransition throttle token refill rate per second"


def clock(deployment: Deployment) -> Finding:
    """Compare this machine's clock with the clock of AWS."""
    url = deployment.client("sts").meta.endpoint_url
    date = web.fetch(url, method="HEAD").headers.get("Date")
    if not date:
        raise NotCheckedError(f"{url} sends no date")
    off = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    # The header has whole seconds, and it was written up to a second ago.
    seen = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the clock of AWS"
    if abs(off) <= MAX_SECONDS_OFF:
        return ok(seen)
    return problem(seen, "set this machine's clock; AWS refuses requests that are 5 minutes off")


def credentials(deployment: Deployment) -> Finding:
    """Report whose credentials are used, and whether the AWS CLI uses the stack's region."""
    identity = deployment.client("sts").get_caller_identity()
    seen = f"{identity['Arn']} in account {identity['Account']}"
    # This is how the AWS CLI chooses its region.
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name
    if deployment.is_local or region == deployment.region:
        return ok(f"{seen}, {deployment.region}")
    default = f"the default region of `aws` commands is {region or 'not set'}"
    return warning(
        f"{seen}; the stack is in {deployment.region}, but {default}",
        f"export AWS_REGION={deployment.region}",
    )


def lambda_quota(deployment: Deployment) -> Finding:
    """Compare the functions that may run at the same time with what Easel needs."""
    limits = deployment.client("lambda").get_account_settings()["AccountLimit"]
    free = int(limits["UnreservedConcurrentExecutions"])
    at_once = int(deployment.variables("image")[settings.MAX_PARALLEL_IMAGES])
    needed = at_once + OTHER_FUNCTIONS
    seen = f"{free:,} functions at the same time; max_parallel_images = {at_once} needs {needed}"
    if free >= needed:
        return ok(seen)
    return warning(
        seen,
        deployment.aws(
            "service-quotas request-service-quota-increase --service-code lambda "
            f"--quota-code {LAMBDA_QUOTA} --desired-value {max(LAMBDA_DEFAULT, needed)}"
        ),
    )


def states_quota(deployment: Deployment) -> Finding:
    """Compare the state transitions that Step Functions allows with what Easel needs."""
    pages = deployment.client("service-quotas").get_paginator("list_service_quotas")
    try:
        quotas = {
            quota["QuotaName"]: quota["Value"]
            for page in pages.paginate(ServiceCode="states")
            for quota in page["Quotas"]
        }
    except ClientError as error:
        if error_code(error) in DENIALS:
            raise
        raise NotCheckedError(f"Service Quotas answered {error_code(error)}") from error
    if TRANSITIONS_QUOTA not in quotas:
        raise NotCheckedError(f"Service Quotas lists no “{TRANSITIONS_QUOTA}”")
    a_second = int(quotas[TRANSITIONS_QUOTA])
    needed = TRANSITIONS * int(deployment.variables("image")[settings.MAX_PARALLEL_IMAGES])
    seen = f"{a_second:,} state transitions a second; Easel needs up to {needed:,}"
    if a_second >= needed:
        return ok(seen)
    console = f"https://{deployment.region}.console.aws.amazon.com/servicequotas/home/services"
    return warning(seen, f"ask for more at {console}/states/quotas")
