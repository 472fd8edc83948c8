"""How the user called the program, for messages: advice names the program as it was typed."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

AS_MODULE = "python -m build_lib"
_SCRIPTS = ("inv", "invoke")  # what invoke installs
_WRITTEN = "./inv "  # how texts in the code name the program
_typed: list[str] = []


def remember(script: str, arguments: Sequence[str]) -> None:
    """Keep what the user typed, if `sys.argv` differs from it: the path of a script or `AS_MODULE`, and arguments."""
    _typed[:] = [script, *arguments]


def as_typed(text: str) -> str:
    """The text, with `./inv` replaced by the program as the user typed it."""
    return text.replace(_WRITTEN, f"{program()} ")


def command() -> str:
    """The command that the user typed, quoted for a shell."""
    return f"{program()} {shlex.join((_typed or sys.argv)[1:])}".rstrip()


def program() -> str:
    """The program as the user typed it, quoted for a shell: its name alone if the PATH leads to it."""
    script = _typed[0] if _typed else sys.argv[0]
    name = Path(script).name
    if script == AS_MODULE:
        return script
    if not _typed and name not in _SCRIPTS:  # such as `python -m invoke`
        return _beside_tasks() or "inv"
    return name if shutil.which(name) == script else shlex.quote(script)


def _beside_tasks() -> str:
    """The `./inv` beside the tasks.py that invoke finds from here, as it can be called; "" if there is none."""
    here = Path.cwd()
    top = next((each for each in (here, *here.parents) if (each / "tasks.py").is_file()), here)
    path = os.path.relpath(top / "inv")
    return shlex.quote(path if "/" in path else f"./{path}") if (top / "inv").is_file() else ""
