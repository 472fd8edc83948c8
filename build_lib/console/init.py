"""Output of `init`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # as in output
    from build_lib.console.output import Console
    from build_lib.job import Initialized


def initialized(console: Console, initialized: Initialized) -> None:
    """Print which files were written, and the next steps in the repository."""
    for path in initialized.there:
        console.line(f"{path}: already present")
    for path in initialized.written:
        console.line(f"{path}: {'would be written' if console.dry else console.good('written')}")
    console.line("next: cp .env.example .env; inv --list; inv doctor")
    console.line("  and add .env and .build/ to .gitignore")
