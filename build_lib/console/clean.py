"""Output of `clean`: what would be removed, the question whether to remove it, and the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from build_lib.console.output import Console, failure
from build_lib.errors import BuildError, Incomplete
from build_lib.units import number, size

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.job import Leftover


def may_remove(console: Console, leftovers: Sequence[Leftover], *, engine_is_there: bool, yes: bool) -> bool:
    """Print what would be removed, and return whether to remove it: if `yes` is set, or if the user agrees.

    Raises:
        BuildError: the user cannot be asked, because there is no terminal.
    """
    if not engine_is_there:
        console.line("no Docker Engine answers: only files can be removed")
    if not leftovers:
        console.line("nothing to remove")
        return False
    console.line("unused files and images that this tool created:")
    rows = [(item.kind, console.below(Path(item.name)), size(item.size), item.why) for item in leftovers]
    console.table(("KIND", "NAME", "SIZE", "WHY"), rows)
    if console.dry or yes:
        return not console.dry
    if not console.can_ask():
        raise BuildError("nothing was removed: confirmation requires a terminal", hint="./inv clean --yes")
    return console.ask(f"Remove {number(len(leftovers), 'item')}?")


def removed(console: Console, leftovers: Sequence[Leftover], failures: Sequence[BuildError]) -> None:
    """Print each failure, and how many items were removed.

    Raises:
        Incomplete: an item could not be removed.
    """
    for error in failures:
        failure(error)
    console.line(f"removed {number(len(leftovers) - len(failures), 'item')}")
    if failures:
        raise Incomplete(f"{len(failures)} of {number(len(leftovers), 'item')} could not be removed, see above")
