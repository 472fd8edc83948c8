"""`python -m build_lib TASK`: runs tasks in a repository without a tasks.py, which is the current directory.

Mainly for `python -m build_lib init`, which creates that file.
"""

import sys
from pathlib import Path

from build_lib import invocation
from build_lib.program import Program
from build_lib.tasks import collection

invocation.remember(invocation.AS_MODULE, sys.argv[1:])
Program(namespace=collection(str(Path.cwd() / "tasks.py"))).run()
