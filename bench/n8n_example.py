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

from bench.n8n import N8N, install, n8n_environment, run_to_end
from cli import sign_in
from cli.target import LOCAL_TARGET, Target
from infra import NODE
from local import stack
from local.deploy import ROOT
from local.stack import Local
from tests.support.local_stack import bench_environment, free_port

WORKFLOW = ROOT / "examples" / "n8n" / "easel.json"
PLACEHOLDER = "https://your-easel.example/"
SECONDS = 180


def main() -> None:
    """Run the workflow once. Raise SystemExit unless it ends with the images of its request."""
    install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        local = Local(
            folder=folder / "stack", port=free_port(), settings=(), environment=bench_environment()
        )
        try:
            outputs = stack.up(local)
            environment = n8n_environment(folder / "n8n")
            target = Target(**{name: outputs[name] for name in LOCAL_TARGET})
            _import(environment, sign_in.program_credentials(target))
            _check(_execute(environment))
        finally:
            stack.down(local, keep=False)


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
    home = Path(environment["HOME"])
    (home / "credentials.json").write_text(json.dumps([oauth]))
    workflow = WORKFLOW.read_text().replace(PLACEHOLDER, credentials.api_url)
    (home / "workflow.json").write_text(workflow)
    for kind in ("credentials", "workflow"):
        file = home / ("credentials.json" if kind == "credentials" else "workflow.json")
        run_to_end([str(N8N), f"import:{kind}", f"--input={file}"], environment)


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
