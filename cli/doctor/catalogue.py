"""Every check in its order, and the run through them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from cli.doctor import access, account, data, money, operations, stack
from cli.doctor.deployment import Deployment
from cli.doctor.finding import Finding, NotCheckedError, Verdict, needs, not_checked, problem
from easel.aws.client import error_code
from easel.contract.errors import EaselError

REPORT_IT = "report it as a bug: .github/ISSUE_TEMPLATE/bug.yml has the form"


@dataclass(frozen=True)
class Check:
    """A check, with the IAM actions of its own calls."""

    name: str
    examine: Callable[[Deployment], Finding]
    actions: tuple[str, ...] = ()


CREDENTIALS = Check("Credentials", account.credentials, ("sts:GetCallerIdentity",))
CHECKS = (
    Check("Clock", account.clock),
    CREDENTIALS,
    Check("Stack", stack.status, ("cloudformation:DescribeStacks",)),
    Check("Version", stack.version),
    Check(
        "Functions",
        stack.functions,
        ("cloudformation:ListStackResources", "lambda:GetFunctionConfiguration"),
    ),
    Check("OpenAI key", money.openai_key, ("secretsmanager:DescribeSecret",)),
    Check("Models", money.used_models),
    Check("Lambda quota", account.lambda_quota, ("lambda:GetAccountSettings",)),
    Check("Step Functions quota", account.states_quota, ("servicequotas:ListServiceQuotas",)),
    Check("Alarm mail", operations.alarm_mail, ("sns:ListSubscriptionsByTopic",)),
    Check("Alarms", operations.alarms, ("cloudwatch:DescribeAlarms",)),
    Check("Dead letters", operations.dead_letters, ("sqs:GetQueueAttributes",)),
    Check("Users", access.users, ("cognito-idp:ListUsers",)),
    Check("API", access.api),
    Check("Page", access.page),
    Check("Tokens", access.tokens),
    Check("Bucket versions", data.bucket_versions, ("s3:GetBucketVersioning",)),
    Check("Bucket privacy", data.bucket_privacy, ("s3:GetBucketPublicAccessBlock",)),
    Check("Bucket lifecycle", data.bucket_lifecycle, ("s3:GetLifecycleConfiguration",)),
    Check("Table", data.table, ("dynamodb:DescribeTable",)),
    Check("Table recovery", data.table_recovery, ("dynamodb:DescribeContinuousBackups",)),
    Check("Budget", money.month_budget, ("dynamodb:BatchGetItem",)),
    Check("Dry run", money.dry_run, ("states:StartExecution", "states:DescribeExecution")),
)


def examine_all(deployment: Deployment) -> Iterator[tuple[Check, Finding]]:
    """Yield each check with its finding.

    Without valid credentials, AWS would refuse every other check for the same reason.
    """
    can_sign_in = True
    for check in CHECKS:
        finding = examine(check, deployment) if can_sign_in else not_checked("see Credentials")
        if check is CREDENTIALS:
            can_sign_in = finding.verdict is not Verdict.PROBLEM
        yield check, finding


def examine(check: Check, deployment: Deployment) -> Finding:
    """Return a check's finding. An error becomes a finding, so that the other checks follow."""
    try:
        with needs(*check.actions):
            return check.examine(deployment)
    except NotCheckedError as error:
        return not_checked(str(error))
    except ClientError as error:
        failed = f"AWS answered {error_code(error)} to {error.operation_name}"
        return problem(failed, error.response.get("Error", {}).get("Message", ""))
    except EaselError as error:
        return problem(str(error), "run this again; if it stays, deploy again")
    except (BotoCoreError, OSError) as error:
        return problem(
            str(error), "check the network and your AWS credentials, such as AWS_PROFILE"
        )
    except Exception as error:  # a mistake in one check must not hide the others
        return problem(f"the check failed: {type(error).__name__}: {error}", REPORT_IT)
