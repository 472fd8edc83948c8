"""`python -m build_lib TASK`: the tasks without a tasks.py, for the repository that is the current directory.

Above all for `python -m build_lib init`, which gives it one.
"""

from pathlib import Path

from build_lib.executor import program
from build_lib.tasks import collection

program(collection(str(Path.cwd() / "tasks.py"))).run()
