"""Imports examples/n8n/easel.json into a real n8n and runs it against the local stack.

`python -m bench.n8n_example` installs n8n once (3 GB, minutes). It is a check and not a benchmark,
and it is here because the comparison with n8n installs the same version.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import stacks
from bench.n8n_process import N8N, import_workflow, install, n8n_environment
from cli import sign_in
from cli.target import LOCAL_TARGET, Target
from infra import NODE
from local import processes
from local.deploy import ROOT

WORKFLOW = ROOT / "examples" / "n8n" / "easel.json"
PLACEHOLDER = "https://your-easel.example/"
SECONDS = 180


def main() -> None:
    """Run the workflow once. Raise SystemExit unless it ends with the images of its request."""
    install()
    with (
        processes.end_on_signals(),
        stacks.running() as local,
        tempfile.TemporaryDirectory() as folder,
    ):
        outputs = json.loads(local.outputs_file.read_text())
        environment = n8n_environment(Path(folder) / "n8n")
        target = Target(**{name: outputs[name] for name in LOCAL_TARGET})
        _import(environment, sign_in.program_credentials(target))
        _check(_execute(environment))


def _import(environment: Mapping[str, str], credentials: sign_in.Credentials) -> None:
    """Import the workflow, unchanged but for its address, and the credential that it names."""
    oauth = {
        "id": "easel",
        "name": "Easel",
        "type": "oAuth2Api",
        "data": {
            "grantType": "clientCredentials",
            "accessTokenUrl": credentials.token_url,
            "clientId": credentials.client_id,
            "clientSecret": credentials.client_secret,
            "scope": "easel/read easel/write",
            "authentication": "header",
        },
    }
    workflow = WORKFLOW.read_text().replace(PLACEHOLDER, credentials.api_url)
    import_workflow(environment, workflow, [oauth])


def _execute(environment: Mapping[str, str]) -> str:
    id_ = json.loads(WORKFLOW.read_text())["id"]
    result = subprocess.run(
        [NODE, str(N8N), "execute", f"--id={id_}"],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if result.returncode:
        raise SystemExit(f"n8n ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return result.stdout


def _check(output: str) -> None:
    start = output.index("{", output.index("===") if "===" in output else 0)
    execution: Any = json.loads(output[start:])
    runs = execution["data"]["resultData"]["runData"]
    items = runs["One item for each image"][0]["data"]["main"][0]
    pictures = [item["json"] for item in items]
    if [picture["status"] for picture in pictures] != ["stored", "stored"]:
        raise SystemExit(f"the workflow ended with {pictures}")
    for picture in pictures:
        print(f"${picture['cost_usd']:.4f}", re.sub(r"\?.*", "?…", picture["links"]["picture"]))


if __name__ == "__main__":
    main()
