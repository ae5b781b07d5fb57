"""Checks of what reports a problem to people: alarms, their mail, dead-letter queues."""

from cli.doctor.deployment import Deployment
from cli.doctor.finding import Finding, NotCheckedError, ok, problem, warning

PREFIX = "Easel-"
HANDBOOK = "docs/operations.md"
PENDING, DELETED = "PendingConfirmation", "Deleted"
# The constructs of the dead-letter queues, with the alarm of each.
QUEUES = {
    "Announcements": "EventsNotDelivered",
    "BatchInbox": "InboxNotDelivered",
    "Channels": "NotificationsNotDelivered",
    "ScheduleDead": "ScheduleNotDelivered",
    "SchedulesDead": "SchedulesNotDelivered",
    "SearchIndex": "IndexNotDelivered",
    "UploadInbox": "UploadsNotDelivered",
}
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def alarm_mail(deployment: Deployment) -> Finding:
    """Check that the alarms reach someone."""
    topic = deployment.output("AlarmTopic")
    pages = deployment.client("sns").get_paginator("list_subscriptions_by_topic")
    subscriptions = [
        entry
        for page in pages.paginate(TopicArn=topic)
        for entry in page["Subscriptions"]
        if entry["SubscriptionArn"] != DELETED
    ]
    pending = [entry for entry in subscriptions if entry["SubscriptionArn"] == PENDING]
    if pending:
        names = ", ".join(entry["Endpoint"] for entry in pending)
        protocol, endpoint = pending[0]["Protocol"], pending[0]["Endpoint"]
        again = deployment.aws(
            f"sns subscribe --topic-arn {topic} --protocol {protocol} "
            f"--notification-endpoint {endpoint}"
        )
        return problem(
            f"{names} has not confirmed the subscription",
            f"open the link in AWS's mail; to get it again: {again}",
        )
    if subscriptions:
        return ok(f"the alarms reach {', '.join(entry['Endpoint'] for entry in subscriptions)}")
    if deployment.is_local:
        raise NotCheckedError("the local AWS sends no mail")
    fix = deployment.deploy("alarm_email=you@example.org")
    return warning("the alarms reach nobody", fix)


def alarms(deployment: Deployment) -> Finding:
    """Check that every alarm is there and that none rings."""
    pages = deployment.client("cloudwatch").get_paginator("describe_alarms")
    states = {
        alarm["AlarmName"]: alarm["StateValue"]
        for page in pages.paginate(AlarmNamePrefix=PREFIX)
        for alarm in page["MetricAlarms"]
    }
    expected = {alarm.id for alarm in deployment.of_kind("AWS::CloudWatch::Alarm")}
    ringing = sorted(name for name in expected if states.get(name) == "ALARM")
    if ringing:
        return problem(f"ringing: {', '.join(ringing)}", ", ".join(map(_section, ringing)))
    missing = sorted(expected - states.keys())
    if missing:
        # CloudFormation does not notice that something was deleted by hand.
        seen = f"deleted by hand: {', '.join(missing)}"
        return problem(seen, "create it again by hand, with the settings of a new deployment")
    return ok(f"{len(expected)} alarms, none of them rings")


def dead_letters(deployment: Deployment) -> Finding:
    """Check that every event was delivered."""
    read = deployment.client("sqs").get_queue_attributes
    queues = deployment.of_kind("AWS::SQS::Queue")
    waiting = {}
    for queue in queues:
        counts = read(QueueUrl=queue.id, AttributeNames=list(COUNTS))["Attributes"]
        waiting[queue.name] = sum(int(counts[name]) for name in COUNTS)
    kept = {name: count for name, count in waiting.items() if count}
    if not kept:
        return ok(f"{len(queues)} dead-letter queues, all empty")
    seen = ", ".join(f"{count} in {name}" for name, count in kept.items())
    return problem(f"events were not delivered: {seen}", ", ".join(map(_section_of_queue, kept)))


def _section(alarm: str) -> str:
    return f"{HANDBOOK}#{alarm.removeprefix(PREFIX).lower()}"


def _section_of_queue(queue: str) -> str:
    alarm = next((alarm for start, alarm in QUEUES.items() if queue.startswith(start)), "alarms")
    return _section(alarm)
