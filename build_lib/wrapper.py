"""What `./inv` runs: `python -m build_lib.wrapper INV TOP ARGUMENTS…`.

INV is the script as the user typed it, TOP the directory that has tasks.py.
"""

import sys

from build_lib import invocation
from build_lib.program import Program

if __name__ == "__main__":
    script, top, *arguments = sys.argv[1:]
    invocation.remember(script, arguments)
    # --write-pyc: without it, invoke compiles all modules on each run
    Program().run([script, "--write-pyc", "--search-root", top, *arguments])
