"""Promises of the settings: each reaches the functions, and a wrong one is named.

The CDK CLI reads the output of `python app.py`.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from easel.contract import settings
from infra import ROOT, config, setting_values
from tests.support.template import (
    ELSEWHERE,
    FUNCTIONS,
    KEY_OF_OURS,
    PICTURES,
    Synth,
    Template,
    run_app,
)


def test_every_setting_reaches_the_functions(synth: Synth) -> None:
    template = synth(
        "layers=false",
        "folder_name=spring",
        "topics=Tea, Rain",
        "chat_model=gpt-4o",
        "image_model=gpt-image-2",
        "monthly_budget_usd=7.5",
        "openai_base_url=https://llm.example.org/v1",
        "unpriced_models=allow",
        "max_parallel_images=2",
        "aws_region=eu-west-1",
        "bucket_name=ai-images-demo-me",
        "images_per_minute=50",
        "tolerated_failure_percentage=2.5",
        "max_batch_lines=500",
    )
    prompt, image, batch = (template.environment(step) for step in ("prompt", "image", "batch"))

    assert (prompt[settings.FOLDER], prompt[settings.TOPICS]) == ("spring", "Tea\nRain")
    assert (prompt[settings.CHAT_MODEL], prompt[settings.IMAGE_MODEL]) == ("gpt-4o", "gpt-image-2")
    assert (prompt[settings.MONTHLY_BUDGET], prompt[settings.UNPRICED_MODELS]) == ("7.5", "allow")
    assert prompt[settings.OPENAI_BASE_URL] == "https://llm.example.org/v1"
    assert template.machine()["States"]["For each variation"]["MaxConcurrency"] == 2
    assert (image[settings.IMAGES_PER_MINUTE], image[settings.MAX_PARALLEL_IMAGES]) == ("50", "2")
    assert (batch[settings.TOLERATED_FAILURES], batch[settings.MAX_BATCH_LINES]) == ("2.5", "500")
    assert template.resource("AWS::S3::Bucket", PICTURES)["BucketName"] == "ai-images-demo-me"
    assert "eu-west-1" in (template.folder / "Easel.assets.json").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("monthly_budget_usd", "much"),
        ("monthly_budget_usd", "-1"),
        ("monthly_budget_usd", "nan"),
        ("schedule", "daily"),
        ("schedule", "rate(1)"),
        ("schedule", "cron(0 7 * * *)"),
        ("folder_name", "../x"),
        ("aws_region", "here"),
        ("existing_bucket", "true"),
        ("max_parallel_images", "1001"),
        ("images_per_minute", "0"),
        ("tolerated_failure_percentage", "101"),
        ("max_batch_lines", "1.5"),
        ("max_batch_lines", "100001"),
        ("retain_images", "maybe"),
        ("public_page", "perhaps"),
        ("customer_key", "arn:aws:kms:x"),
        ("bucket_name", "A_b"),
        ("bucket_name", "images.example.org"),
        ("existing_table", "a/b"),
        ("existing_users", "pool"),
        ("existing_key", "alias/easel"),
        ("existing_key", "arn:aws:kms:eu-west-1:123456789012:key/abc"),
        ("bucket_keys", "alias/easel"),
        ("program_sign_in", "perhaps"),
        ("alarm_email", "nobody"),
        ("schedule_alarm_days", "7"),
        ("schedule_alarm_days", "-1"),
        ("topics", ","),
        ("topics", "x" * 2001),
        ("unpriced_models", "yes"),
        ("openai_base_url", "ftp://x"),
        ("chat_model", ""),
        ("openai_omit", "prompt"),
        ("openai_omit", "quality,colour"),
        ("chat_seconds", "9"),
        ("chat_seconds", "436"),
        ("image_seconds", "59"),
        ("image_seconds", "836"),
        ("image_seconds", "1.5"),
        ("openai_workload_identity", "idp"),
        ("mirror", "gs://"),
        ("mirror", "http://bucket"),
        ("mirror", "s3://bucket/../x"),
        ("mirror", "s3://bucket/a//b"),
        ("mirror", "az://Box"),
    ],
)
def test_wrong_setting_error_lists_allowed_values(name: str, value: str) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {name: value}
    with pytest.raises(setting_values.SettingError, match="allowed") as exc_info:
        config.read(context.get)
    assert ("bucket_name" if name == "existing_bucket" else name) in str(exc_info.value)


def read(**changes: object) -> config.Config:
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | changes
    return config.read(context.get)


@pytest.mark.parametrize(
    ("changes", "omitted"),
    [
        ({}, ()),
        ({"openai_base_url": "https://eu.api.openai.com/v1"}, ()),
        ({"openai_base_url": "https://llm.example.org/v1"}, ("safety_identifier",)),
        ({"openai_base_url": "https://llm.example.org/v1", "openai_omit": "none"}, ()),
        ({"openai_omit": "quality, size"}, ("quality", "size")),
    ],
)
def test_user_is_named_to_openai_only(changes: dict[str, str], omitted: tuple[str, ...]) -> None:
    settings_ = read(**changes)
    assert settings_.openai_omit == omitted
    assert settings_.variables().get(settings.OPENAI_OMIT, "") == ",".join(omitted)


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, {"prompt": 150, "image": 900}),
        ({"chat_seconds": "435", "image_seconds": "60"}, {"prompt": 900, "image": 125}),
        ({"image_seconds": 835}, {"prompt": 150, "image": 900}),
    ],
)
def test_timeouts_follow_from_the_limits_of_calls(
    changes: dict[str, object], seconds: dict[str, int]
) -> None:
    assert read(**changes).timeouts() == seconds


@pytest.mark.parametrize(
    "url",
    [
        "https://llm.example.org/v1",
        "http://api.openai.com/v1",
        "https://api.openai.com.example.org/v1",
    ],
)
def test_openai_token_reaches_no_other_server(url: str) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {
        "openai_workload_identity": "idp_1/sa_2"
    }
    assert (
        config.read(
            (context | {"openai_base_url": "https://eu.api.openai.com/v1"}).get
        ).openai_workload_identity
        == "idp_1/sa_2"
    )
    with pytest.raises(setting_values.SettingError, match="openai_base_url"):
        config.read((context | {"openai_base_url": url}).get)


@pytest.mark.parametrize("setting", ["folder_name=../x", "nonsense=1"])
def test_app_error_is_short_without_traceback(tmp_path: Path, setting: str) -> None:
    result = run_app(tmp_path / "cdk.out", "layers=false", setting)
    assert result.returncode != 0
    assert setting.partition("=")[0] in result.stderr
    assert "Traceback" not in result.stderr


def test_invalid_template_is_reported_without_traceback(tmp_path: Path) -> None:
    # Without our own check, CloudFormation's schema is what refuses the expression.
    code = "import app, easel.schedules.expression as e; e.is_valid = bool; app.main()"
    settings = ["-c", "layers=false", "-c", "schedule=cron(a b c d e f)"]

    result = subprocess.run(
        [sys.executable, "-c", code, *settings, "-o", str(tmp_path / "cdk.out")],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 1
    assert "the template is not valid: ScheduleExpression: 'a' specifies both" in result.stderr
    assert "Traceback" not in result.stderr


def test_retiring_model_causes_a_warning_at_synth(tmp_path: Path) -> None:
    result = run_app(tmp_path / "cdk.out", "layers=false", "chat_model=gpt-4.1-mini")
    assert (
        "2027-01-14"
        in result.stdout
        + result.stderr
        + (tmp_path / "cdk.out" / "Easel.metadata.json").read_text()
    )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"existing_table": "records"}, "existing_table"),
        ({"customer_key": "true", "existing_key": KEY_OF_OURS}, "customer_key"),
    ],
)
def test_settings_that_contradict_are_refused(changes: dict[str, str], name: str) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | changes

    with pytest.raises(setting_values.SettingError, match=name):
        config.read(context.get)


def test_deployer_is_warned_of_silent_alarms() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    silent, heard, named = (
        config.read((context | changes).get).warnings()
        for changes in ({}, {"alarm_email": "ops@example.org"}, {"bucket_name": "mine"})
    )

    assert "alarm_email" in silent["easel:no-alarm-email"]
    assert "easel:no-alarm-email" not in heard
    assert "cannot change later" in named["easel:bucket-name"]
    assert "easel:bucket-name" not in silent


def test_environment_with_longest_topics_fits(synth: Synth) -> None:
    template = synth(*ELSEWHERE, f"topics={'x' * 1200}", f"folder_name={'f' * 200}")
    # References become names and ARNs of up to about a hundred characters.
    for step in FUNCTIONS:
        variables = {
            name: value if isinstance(value, str) else "r" * 120
            for name, value in template.environment(step).items()
        }
        assert sum(len(name) + len(value) for name, value in variables.items()) < 4096, step


def test_cdk_cli_gives_the_same_template(template: Template, tmp_path: Path) -> None:
    # This is the CLI that `make test` has installed, so nothing is downloaded here.
    npm_config = {"npm_config_offline": "true", "npm_config_cache": str(Path(sys.prefix) / "npm")}
    environment = (
        os.environ
        | npm_config
        | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    )
    folder = tmp_path / "cdk.out"
    command = [
        "npx",
        "--yes",
        cdk_version(),
        "synth",
        "--quiet",
        "--output",
        str(folder),
        "--no-notices",
    ]

    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path(__file__).parents[2],
    )

    assert result.returncode == 0, result.stderr
    assert Template(folder).body == template.body


def test_cdk_cli_setting_overrides_cdk_json(tmp_path: Path) -> None:
    environment = os.environ | {
        "CDK_CONTEXT_JSON": json.dumps({"folder_name": "from-the-cli", "layers": False})
    }
    command = [sys.executable, "app.py", "-o", str(tmp_path / "cdk.out")]

    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
    variables = Template(tmp_path / "cdk.out").environment("prompt")

    assert variables[settings.FOLDER] == "from-the-cli"


def test_cdk_cli_refuses_a_mistyped_setting(tmp_path: Path) -> None:
    environment = os.environ | {
        "CDK_CONTEXT_JSON": json.dumps(
            {"montly_budget_usd": "1", "aws:cdk:enable-path-metadata": True}
        )
    }
    result = subprocess.run(
        [sys.executable, "app.py", "-o", str(tmp_path / "cdk.out")],
        check=False,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr == (
        "setting montly_budget_usd is '1'; allowed: one of the settings in cdk.json; did you mean "
        "monthly_budget_usd?\n"
    )


@pytest.mark.parametrize(
    ("target", "option"), [("deploy", "--require-approval never"), ("destroy", "--force")]
)
def test_deploy_can_run_without_a_person(target: str, option: str) -> None:
    def commands(*variables: str) -> str:
        make = ["make", "--dry-run", target, *variables]
        return subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert option in commands("YES=1")
    assert option not in commands()


def cdk_version() -> str:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    match = re.search(r"^CDK := (\S+)$", makefile, flags=re.MULTILINE)
    assert match
    return match[1]
