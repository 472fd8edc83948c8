"""What `clean` shows and asks before it removes anything, and prints after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from build_lib.console.output import Console, failure
from build_lib.errors import BuildError, Incomplete
from build_lib.units import size

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.job import Leftover


def may_remove(console: Console, leftovers: Sequence[Leftover], *, engine_is_there: bool, yes: bool) -> bool:
    """Print what would be removed, and return whether to remove it: with `yes`, or if the user at the terminal agrees.

    Raises:
        BuildError: there is no terminal to ask at.
    """
    if not engine_is_there:
        console.line("no Docker Engine answers: only files are looked for")
    if not leftovers:
        console.line("nothing to remove")
        return False
    rows = [(item.kind, console.below(Path(item.name)), size(item.size), item.why) for item in leftovers]
    console.table(("KIND", "NAME", "SIZE", "WHY"), rows)
    if console.dry or yes:
        return not console.dry
    if not console.can_ask():
        raise BuildError("nothing was removed, for there is nobody to ask", hint="./inv clean --yes")
    return console.ask(f"Remove these {len(leftovers)}?")


def removed(console: Console, leftovers: Sequence[Leftover], failures: Sequence[BuildError]) -> None:
    """Print each failure, and how much was removed.

    Raises:
        Incomplete: something is still there.
    """
    for error in failures:
        failure(error)
    console.line(f"removed {len(leftovers) - len(failures)}")
    if failures:
        raise Incomplete(f"{len(failures)} of {len(leftovers)} could not be removed, see above")
