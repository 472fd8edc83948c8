"""The completion scripts for shells: `inv.bash`, `inv.zsh` and `inv.fish` beside this file."""

import shlex
from pathlib import Path

from build_lib.errors import UsageError

SHELLS = ("bash", "fish", "zsh")
_FALLBACK = "@INV@"


def script(shell: str, inv: Path) -> str:
    """Return the script for a shell. It asks the `inv` that is typed, and if it cannot be found, the one given here.

    Raises:
        UsageError: there is none for this shell.
    """
    if shell not in SHELLS:
        raise UsageError(f"--print-completion-script is {shell!r}", hint="allowed: bash, fish or zsh")
    text = Path(__file__).with_name(f"inv.{shell}").read_text(encoding="utf-8")
    return text.replace(_FALLBACK, shlex.quote(str(inv)))
