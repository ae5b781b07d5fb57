"""The command line, called as a person calls it, against the running local stack."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli import runs
from cli.target import Target, local_target
from easel.request import request
from functions.batch import manifest
from local.deploy import ROOT
from tests.support.api_caller import target
from tests.support.command_line import EASEL, easel, environment
from tests.support.local_stack import LocalStack, free_port
from tests.support.services import NOW, request_settings

EXAMPLES = sorted((ROOT / "examples").glob("*.json"))
MANIFESTS = {"campaign.jsonl": 5, "catalogue.csv": 5, "edits.jsonl": 2}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_a_valid_request(example: Path) -> None:
    request.parse(json.loads(example.read_text()), request_settings(), today=NOW.date())


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_example_batch_line_is_valid(name: str) -> None:
    with (ROOT / "examples" / name).open("rb") as file:
        lines = list(manifest.read_lines(file, key=name))
    assert len(lines) == MANIFESTS[name]
    for line in lines:
        request.parse(line.fields, request_settings(), today=NOW.date())


def test_run_shows_report_and_open_fetches_image(aws: LocalStack, tmp_path: Path) -> None:
    result = easel(
        aws,
        tmp_path,
        "run",
        "-",
        text='{"size": "1024x640", "quality": "low", "folder_name": "cli"}',
    )
    assert result.returncode == 0, result.stderr
    assert "SUCCEEDED" in result.stdout
    assert "cli/image_" in result.stdout

    name = next(line.split()[1] for line in result.stdout.splitlines() if line.startswith("run "))
    shown = easel(aws, tmp_path, "open", name)
    assert shown.returncode == 0, shown.stderr

    picture = Path(shown.stdout.split()[0])
    assert picture.read_bytes().startswith(b"\x89PNG")
    picture.unlink()


def test_ctrl_c_reports_that_run_continues(aws: LocalStack, tmp_path: Path) -> None:
    aws.script({"path": "/v1/images/generations", "delay": 2})
    command = [EASEL, "run", "examples/default.json"]

    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(aws, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout
        name = watching.stdout.readline().split()[1]
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=20)

    assert (watching.returncode, errors.count("\n")) == (130, 1)
    assert "what was started continues" in errors
    assert (
        aws.wait_for_end(f"{aws.machine.replace(':stateMachine:', ':execution:')}:{name}")["status"]
        == "SUCCEEDED"
    )


def test_failed_run_shows_reason_and_exits_nonzero(aws: LocalStack, tmp_path: Path) -> None:
    result = easel(aws, tmp_path, "run", "-", text='{"count": 11}')

    assert result.returncode == 1
    assert "InputError: count is 11" in result.stdout
    assert "nothing was paid; the same request would fail again: correct it" in result.stdout
    assert "redrive" not in result.stdout


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (("run", "-"), "{", "not JSON"),
        (("run", "no-such-file.json"), "", "no-such-file.json"),
        (("open", "no-such-run"), "", "no run"),
        (("secret",), "  ", "no key was entered"),
        (("batch", "no-such-file.jsonl"), "", "no-such-file.jsonl"),
        (("batch", "examples/default.json"), "", "ends in .jsonl or .csv"),
        (("batch", "examples/catalogue.csv", "--name", "in box"), "", "NAME=…"),
    ],
)
def test_user_errors_are_one_line(
    aws: LocalStack, tmp_path: Path, words: tuple[str, ...], text: str, expected: str
) -> None:
    result = easel(aws, tmp_path, *words, text=text)
    assert result.returncode == 1
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


def test_secret_is_set_and_never_shown(aws: LocalStack, tmp_path: Path) -> None:
    result = easel(aws, tmp_path, "secret", text="sk-from-a-pipe\n")
    assert result.returncode == 0, result.stderr
    assert "sk-from-a-pipe" not in result.stdout + result.stderr

    secrets = aws.client("secretsmanager")
    listed = secrets.list_secrets()["SecretList"]
    (secret,) = (entry for entry in listed if "OpenAIKey" in entry["Name"])
    assert secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"] == "sk-from-a-pipe"


def test_unreachable_stack_is_reported_in_one_line(aws: LocalStack, tmp_path: Path) -> None:
    result = easel(aws, tmp_path, "run", "-", text="{}", endpoint=f"http://127.0.0.1:{free_port()}")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "check that the local stack is up" in result.stderr


def test_missing_stack_explains_how_to_get_one(tmp_path: Path) -> None:
    nowhere = os.environ | {"EASEL_OUTPUTS": str(tmp_path / "none.json")}
    command = [EASEL, "run", "examples/default.json"]

    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=nowhere
    )

    assert result.returncode == 1
    assert "make up" in result.stderr


SMALL = {"size": "1024x640", "quality": "low", "folder_name": "resumed"}
NO_CREDIT = {
    "path": "/v1/images/generations",
    "status": 429,
    "body": {"error": {"code": "insufficient_quota", "message": "no"}},
}


@pytest.mark.parametrize("named", ["by the execution's name", "by the request_id"])
def test_redrive_pays_only_for_what_is_missing(aws: LocalStack, tmp_path: Path, named: str) -> None:
    request_id = f"resume-{len(named)}"
    aws.script(NO_CREDIT)
    failed = aws.run({"request_id": request_id, "prompt": "A kite", **SMALL})
    assert failed["error"] == "QuotaExhaustedError"

    result = easel(
        aws,
        tmp_path,
        "redrive",
        failed["name"] if named == "by the execution's name" else request_id,
    )
    assert result.returncode == 0, result.stderr
    assert "resumed/image_" in result.stdout
    assert aws.charges()["images"] == 1
    assert aws.states.describe_execution(executionArn=failed["executionArn"])["redriveCount"] == 1


@dataclass(frozen=True, kw_only=True)
class Aged(Target):
    """A stack whose executions can no longer be redriven, as on AWS after 14 days."""

    def client(self, service: str) -> Any:
        client = super().client(service)
        if service == "stepfunctions":
            describe = client.describe_execution
            client.describe_execution = lambda **call: (
                describe(**call) | {"redriveStatus": "NOT_REDRIVABLE"}
            )
        return client


def test_early_failed_run_is_found_by_request_id(aws: LocalStack, tmp_path: Path) -> None:
    aws.script(NO_CREDIT | {"path": "/v1/chat/completions"})
    assert aws.run({"request_id": "early", **SMALL})["error"] == "QuotaExhaustedError"

    result = easel(aws, tmp_path, "redrive", "early")
    assert result.returncode == 0, result.stderr
    assert (aws.charges()["chat"], aws.charges()["images"]) == (1, 1)


def test_report_covers_the_latest_execution(aws: LocalStack, tmp_path: Path) -> None:
    request = {"request_id": "twice", "prompt": "A kite", **SMALL}
    aws.script(NO_CREDIT)
    failed = aws.run(request)
    key = aws.run(request)["report"]["pictures"][0]["key"]
    for name in ("twice", failed["name"]):
        shown = easel(aws, tmp_path, "report", name)
        assert key in shown.stdout
        assert "FAILED" not in shown.stdout


def test_failed_run_lists_images_and_resume_command(aws: LocalStack, tmp_path: Path) -> None:
    aws.script(NO_CREDIT | {"times": 2})
    result = easel(
        aws,
        tmp_path,
        "run",
        "-",
        text=json.dumps({"request_id": "named", "prompt": "A kite", "count": 2, **SMALL}),
    )

    assert result.returncode == 1
    assert result.stdout.count("not bought") >= 1
    assert "make redrive RUN=named" in result.stdout


def test_conflict_hides_images_of_other_request(aws: LocalStack, tmp_path: Path) -> None:
    key = aws.run({"request_id": "mine", "prompt": "A kite", **SMALL})["report"]["pictures"][0][
        "key"
    ]
    result = easel(
        aws,
        tmp_path,
        "run",
        "-",
        text=json.dumps({"request_id": "mine", "prompt": "Another", **SMALL}),
    )

    assert "ConflictError" in result.stdout
    assert key not in result.stdout
    assert "make redrive" not in result.stdout


def test_resumed_run_is_reported_as_running(aws: LocalStack, tmp_path: Path) -> None:
    aws.script({"path": "/v1/images/generations", "delay": 3})
    arn = aws.start({"prompt": "A kite", **SMALL})

    shown = easel(aws, tmp_path, "report", arn.rpartition(":")[2])

    assert "is running; so far" in shown.stdout
    assert "make redrive" not in shown.stdout
    assert aws.wait_for_end(arn)["status"] == "SUCCEEDED"


def test_unknown_purchase_is_shown_next_to_price(aws: LocalStack, tmp_path: Path) -> None:
    aws.script({"path": "/v1/images/generations", "cut": True})
    result = easel(aws, tmp_path, "run", "-", text=json.dumps({"prompt": "A kite", **SMALL}))
    assert "in total, including the prompt, and 1 call possibly paid" in result.stdout


def test_finished_run_is_shown_despite_deleted_image(aws: LocalStack, tmp_path: Path) -> None:
    execution = aws.run({"prompt": "A kite", "count": 2, **SMALL})
    gone, left = (picture["key"] for picture in execution["report"]["pictures"])
    deleted = easel(
        aws,
        tmp_path,
        "run",
        "-",
        text=json.dumps({"action": "delete_image", "image_key": gone, "confirm": True}),
    )
    assert "deleted: 4 objects" in deleted.stdout
    assert "restore_image can restore them for 30 days" in deleted.stdout

    shown = easel(aws, tmp_path, "report", execution["name"])
    assert shown.returncode == 0, shown.stderr
    assert "deleted later" in shown.stdout

    fetched = easel(aws, tmp_path, "open", execution["name"])
    (path,) = fetched.stdout.split()
    assert path.endswith(Path(left).name)
    Path(path).unlink()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"action": "delete_folder", "dry_run": True}, "dry run: would delete 5 objects"),
        ({"action": "delete_folder", "confirm": True}, "deleted: 5 objects"),
        ({"action": "restore_folder"}, "restored: 5 objects"),
        (
            {"action": "delete_folder", "confirm": True, "purge": True},
            "deleted permanently: 5 versions",
        ),
    ],
    ids=["dry run", "delete", "restore", "purge"],
)
def test_delete_and_restore_are_reported_in_one_line(
    aws: LocalStack, tmp_path: Path, more: dict[str, Any], expected: str
) -> None:
    folder = f"said/{uuid4().hex}"
    aws.run({"prompt": "A kite", **SMALL, "folder_name": folder})
    if more["action"] == "restore_folder":
        aws.run({"action": "delete_folder", "confirm": True, "folder_name": folder})

    result = easel(aws, tmp_path, "run", "-", text=json.dumps({**more, "folder_name": folder}))

    assert f"{folder}: {expected} (" in result.stdout


@pytest.mark.parametrize("action", ["delete_image", "restore_image"])
def test_missing_image_is_reported_as_nothing_to_do(
    aws: LocalStack, tmp_path: Path, action: str
) -> None:
    confirm = {"confirm": True} if action == "delete_image" else {}
    result = easel(
        aws,
        tmp_path,
        "run",
        "-",
        text=json.dumps({"action": action, "image_key": "resumed/never.png", **confirm}),
    )
    assert result.returncode == 0
    assert "nothing" in result.stdout


def test_redrive_restarts_when_step_functions_cannot(aws: LocalStack) -> None:
    aws.script(NO_CREDIT)
    failed = aws.run({"prompt": "A kite", **SMALL})
    restart = runs.resume(Aged(**vars(target(aws))), failed["name"])

    assert restart.execution.arn != failed["executionArn"]
    assert aws.wait_for_end(restart.execution.arn)["report"]["run_id"] == failed["name"]
    assert aws.charges()["images"] == 1


def test_old_delete_is_not_restarted(aws: LocalStack) -> None:
    """A delete goes by its start time, so a new start would delete what has been stored since."""
    failed = aws.run({"action": "delete_folder", "folder_name": "resumed"})
    with pytest.raises(LookupError, match="start a new run if it is still needed"):
        runs.resume(Aged(**vars(target(aws))), failed["name"])


def test_succeeded_run_cannot_be_redriven(aws: LocalStack, tmp_path: Path) -> None:
    name = aws.run({"prompt": "A kite", **SMALL})["name"]
    result = easel(aws, tmp_path, "redrive", name)
    assert (result.returncode, aws.charges()["images"]) == (1, 1)
    assert "SUCCEEDED" in result.stderr


def test_report_of_failed_run_lists_paid_images(aws: LocalStack, tmp_path: Path) -> None:
    aws.script(
        {
            "path": "/v1/images/generations",
            "answer": {"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]},
            "charged": True,
        }
    )
    failed = aws.run({"prompt": "A kite", **SMALL})

    shown = easel(aws, tmp_path, "report", failed["name"])

    assert shown.returncode == 0, shown.stderr
    assert "BadImageError" in shown.stdout
    assert "paid, but no image" in shown.stdout
    assert "cannot be made: image 1;" in shown.stdout
    assert "make redrive" not in shown.stdout


def test_report_shows_a_finished_run_again(aws: LocalStack, tmp_path: Path) -> None:
    execution = aws.run({"prompt": "A kite", **SMALL})
    shown = easel(aws, tmp_path, "report", execution["name"])
    assert shown.returncode == 0, shown.stderr
    assert execution["report"]["pictures"][0]["key"] in shown.stdout


def test_budget_command_stops_spending_without_deploy(aws: LocalStack, tmp_path: Path) -> None:
    try:
        stopped = easel(aws, tmp_path, "budget", "0")
        assert stopped.returncode == 0, stopped.stderr
        assert "cap $0.0000" in stopped.stdout
        refused_run = aws.run({**SMALL})
        assert refused_run["error"] == "BudgetExceededError"
        assert (aws.charges()["chat"], aws.charges()["images"]) == (0, 0)
    finally:
        raised = easel(aws, tmp_path, "budget", "25")
    assert "cap $25.0000" in raised.stdout
    assert aws.run({**SMALL})["status"] == "SUCCEEDED"
    assert "cap $25.0000" in easel(aws, tmp_path, "budget").stdout


@pytest.mark.parametrize("words", ["-1", "nan", "inf", "five", "0.0000001"])
def test_invalid_budget_changes_nothing(aws: LocalStack, tmp_path: Path, words: str) -> None:
    result = easel(aws, tmp_path, "budget", "--", words)
    assert result.returncode == 2
    assert "usd" in result.stderr
    assert "cap $25.0000" in easel(aws, tmp_path, "budget").stdout


def test_batch_shows_results_and_failure_reasons(aws: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "kites.jsonl"
    lines = [
        SMALL | {"prompt": f"A kite numbered {n}", "folder_name": "kites"} for n in range(3)
    ] + [{"count": 11}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    result = easel(aws, tmp_path, "batch", str(file), "--tolerated-failure-percentage", "25")

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("batch kites, execution kites.")
    for expected in (
        "succeeded",
        "3/3",
        "1 of 4 (InputError 1)",
        "count is 11",
        "images a second",
        "/batches/kites/report.json",
    ):
        assert expected in result.stdout
    assert "batches/kites/failed.jsonl" in result.stdout
    assert (
        len([key for key in aws.keys("kites/") if key.endswith(".png")])
        == aws.charges()["images"]
        == 3
    )


def test_economy_line_is_reported_from_its_records(aws: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "cheap.jsonl"
    file.write_text(
        json.dumps(SMALL | {"prompt": "A kite at half the price", "folder_name": "cheap"}) + "\n"
    )
    batch_result = easel(aws, tmp_path, "batch", str(file), "--economy")
    assert batch_result.returncode == 0, batch_result.stdout + batch_result.stderr

    (key,) = [key for key in aws.keys("cheap/") if key.endswith(".png")]
    result = easel(aws, tmp_path, "report", "cheap-1")
    assert (result.returncode, result.stderr) == (0, "")
    for expected in ("cheap-1 · A kite at half the price", "stored"):
        assert expected in result.stdout

    redrive_result = easel(aws, tmp_path, "redrive", "cheap-1")
    assert redrive_result.returncode == 1
    assert "start its batch again" in redrive_result.stderr
    assert aws.charges()["batch_images"] == 1
    assert runs.stored_keys(local_target(tmp_path / "outputs.json"), "cheap-1") == [key]


def test_batches_are_listed_and_stopped(aws: LocalStack, tmp_path: Path) -> None:
    key, lines = "batches/quays.jsonl", [SMALL | {"prompt": f"A quay {n}"} for n in range(3)]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=body.encode())
    aws.script({"path": "/v1/images/generations", "delay": 5.0})
    start = {"manifest": key, "max_parallel_images": 1}
    arn = aws.states.start_execution(
        stateMachineArn=aws.outputs["batch_state_machine_arn"], input=json.dumps(start)
    )["executionArn"]
    aws.until(lambda: not aws.script())  # the first call is under way

    stopped = easel(aws, tmp_path, "batch-stop", "quays")
    listed = easel(aws, tmp_path, "batches")
    again = easel(aws, tmp_path, "batch-stop", "quays")

    assert (stopped.returncode, listed.returncode) == (0, 0), stopped.stderr + listed.stderr
    assert stopped.stdout.startswith(arn.rpartition(":")[2])
    (row,) = [line for line in listed.stdout.splitlines() if line.startswith(" quays")]
    assert "aborted" in row
    assert (again.returncode, again.stderr.startswith("no batch 'quays' is running")) == (1, True)
    aws.until(lambda: aws.charges()["images"] == 1)


def test_batch_dry_run_shows_price_and_bad_lines(aws: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "dry.csv"
    file.write_text("topic,count\nSport,2\nScience,11\n")

    result = easel(aws, tmp_path, "batch", str(file), "--dry-run", "--name", "priced")

    assert result.returncode == 1, result.stdout + result.stderr  # a real start would fail, too
    for expected in (
        "dry run of priced",
        "1 lines, 2 images",
        "in the month's budget, which fits",
        "count is 11",
        "1 of 2 lines are wrong",
    ):
        assert expected in result.stdout
    assert (aws.charges()["chat"], aws.charges()["images"]) == (0, 0)
    assert aws.keys("batches/priced") == ["batches/priced.csv", "batches/priced/problems.jsonl"]


def test_failed_batch_shows_report_and_exits_nonzero(aws: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "ruined.jsonl"
    file.write_text(
        "".join(json.dumps(SMALL | {"prompt": f"A ruin numbered {n}"}) + "\n" for n in range(3))
    )
    aws.script(
        {
            "path": "/v1/images/generations",
            "status": 401,
            "body": {"error": {"code": "invalid_api_key"}},
            "times": 99,
        }
    )

    result = easel(aws, tmp_path, "batch", str(file), "--tolerated-failure-percentage", "0")

    assert result.returncode == 1
    for expected in (
        "ruined FAILED BatchFailedError",
        "AuthError",
        "batches/ruined/failed.jsonl",
        "start the same batch again",
    ):
        assert expected in result.stdout


def test_ctrl_c_reports_that_batch_continues(aws: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "left.jsonl"
    file.write_text(json.dumps(SMALL | {"prompt": "A kite that is left alone"}) + "\n")
    aws.script({"path": "/v1/images/generations", "delay": 2})
    command = [EASEL, "batch", str(file)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(aws, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout
        name = watching.stdout.readline().split()[-1]
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=20)
    assert watching.returncode == 130
    assert "what was started continues" in errors

    machine = aws.outputs["batch_state_machine_arn"]
    assert (
        aws.wait_for_end(f"{machine.replace(':stateMachine:', ':execution:')}:{name}")["status"]
        == "SUCCEEDED"
    )


def test_batch_needs_a_bucket_with_versions(aws: LocalStack, tmp_path: Path) -> None:
    versioning = partial(aws.s3.put_bucket_versioning, Bucket=aws.bucket)
    versioning(VersioningConfiguration={"Status": "Suspended"})
    try:
        result = easel(aws, tmp_path, "batch", "examples/campaign.jsonl")
    finally:
        versioning(VersioningConfiguration={"Status": "Enabled"})

    assert result.returncode == 1
    assert "does not keep versions" in result.stderr
