"""`python -m build_lib TASK`: runs tasks in a repository without a tasks.py, which is the current directory.

Mainly for `python -m build_lib init`, which creates that file.
"""

from pathlib import Path

from build_lib.executor import program
from build_lib.tasks import collection

program(collection(str(Path.cwd() / "tasks.py"))).run()
