"""What a check of `doctor` found."""

from dataclasses import dataclass
from typing import Literal

from build_lib.errors import BuildError

Level = Literal["good", "warning", "bad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of one check, and how to fix what is not good."""

    level: Level
    what: str
    detail: str
    fix: str = ""


def good(what: str, detail: str) -> Finding:
    """Nothing has to be done."""
    return Finding(level="good", what=what, detail=detail)


def bad(what: str, error: BuildError, *, level: Level = "bad") -> Finding:
    """The failure that a task would meet too."""
    return Finding(level=level, what=what, detail=error.message, fix=error.hint)
