"""CloudWatch in the emulator: the metrics and fields in a function's log."""

import json
import time
from uuid import uuid4

from tests.support.emulator import CLOSED, Emulator


def metric_line(name: str, values: list[float]) -> str:
    directive = {
        "Namespace": "Test",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": name, "Unit": "Count"}],
    }
    header = {"Timestamp": 1, "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": header, "service": "s", name: values})


def test_logged_metrics_are_stored_and_trigger_alarms(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: dict[Emulator, str]
) -> None:
    def rings(emulator: Emulator) -> bool:
        name = f"M{uuid4().hex[:8]}"
        dimensions = [{"Name": "service", "Value": "s"}]
        metric = {"Namespace": "Test", "MetricName": name, "Dimensions": dimensions}
        alarm = emulator.create_alarm(metric, threshold=3)
        emulator.invoke(steps[emulator], {"log": metric_line(name, [1, 2])})
        return emulator.fires(alarm)

    assert not rings(plain_emulator), CLOSED
    assert rings(patched_emulator)


def test_alarm_rings_for_its_own_dimensions_only(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def state(emulator: Emulator) -> str:
        """Return the state of an alarm about one machine after another one has failed."""
        name, client = f"M{uuid4().hex[:8]}", emulator.client("cloudwatch")
        alarm = emulator.create_alarm(
            {
                "Namespace": "Test",
                "MetricName": name,
                "Dimensions": [{"Name": "machine", "Value": "batches"}],
            },
            threshold=1,
        )
        failed = {"MetricName": name, "Value": 1.0}
        runs = [{"Name": "machine", "Value": "runs"}]
        client.put_metric_data(Namespace="Test", MetricData=[failed | {"Dimensions": runs}])
        (described,) = client.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return str(described["StateValue"])

    assert state(plain_emulator) == "ALARM", CLOSED
    assert state(patched_emulator) != "ALARM"


def test_log_query_knows_fields_of_json_lines(
    plain_emulator: Emulator, patched_emulator: Emulator, steps: dict[Emulator, str]
) -> None:
    def error(emulator: Emulator) -> str:
        """Return the field `error` of a logged line, as a query finds it."""
        logs, mark = emulator.client("logs"), uuid4().hex
        emulator.invoke(steps[emulator], {"log": json.dumps({"mark": mark, "error": "InputError"})})
        query = logs.start_query(
            logGroupName=f"/aws/lambda/{steps[emulator]}",
            startTime=0,
            endTime=int(time.time()) + 60,
            queryString=f"fields error | filter @message like /{mark}/",
        )
        (row,) = logs.get_query_results(queryId=query["queryId"])["results"]
        return str(next(cell["value"] for cell in row if cell["field"] == "error"))

    assert error(plain_emulator) == "", CLOSED
    assert error(patched_emulator) == "InputError"
