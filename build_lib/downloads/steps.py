"""Which lines of a Dockerfile asked for something: those whose steps ran at that time."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from build_lib.dockerfile import line_of_step

_RUN = re.compile(r"(?:\] |: )RUN\b")
_LATE_SECONDS = 1.0  # at most, with which a builder that says no times says that a step began


class Step(Protocol):
    """A step of a build, as its builder names it, and from when to when it ran (time.time)."""

    @property
    def name(self) -> str:
        """As the builder prints it."""

    @property
    def began(self) -> float:
        """When it began."""

    @property
    def ended(self) -> float:
        """When it ended."""


def asking_lines(text: str, steps: Iterable[Step], moments: Sequence[float]) -> tuple[int, ...]:
    """The lines of the Dockerfile with this text whose steps ran at one of these moments."""
    found = set()
    for step in steps:
        if _RUN.search(step.name) and any(step.began - _LATE_SECONDS <= moment <= step.ended for moment in moments):
            found.add(line_of_step(text, step.name))
    return tuple(sorted(found - {0}))
