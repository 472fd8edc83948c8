"""What services for continuous integration read in a log: annotations of files, and sections that can be folded.

GitHub Actions documents both as workflow commands; its runner reads them on stdout and on stderr. GitLab CI has
sections (its documentation, "Custom collapsible sections").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from build_lib.console.this_run import repository
from build_lib.foreign import Painted
from build_lib.settings import ci_service

if TYPE_CHECKING:
    from pathlib import Path

    from build_lib.errors import Place

Line = Callable[[str], None]  # prints a line
_KINDS = {"error": "error", "problem": "error", "warning": "warning", "remark": "warning"}
_IN_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}  # actions/toolkit, packages/core/src/command.ts
_IN_PROPERTY = _IN_DATA | {":": "%3A", ",": "%2C"}
_CLEAR = "\x1b[0K"  # lets GitLab's log show the rest of the line alone
_annotated: dict[str, str] = {}  # the annotations of this run, each with its command
_open: list[Callable[[], None]] = []  # what ends the section that is open


def annotate(kind: str, message: str, line: Line, *, hint: str = "", place: Place | None = None) -> None:
    """Print what is wrong as an annotation, once in a run, if GitHub Actions shows the output.

    `kind` is `error`, `problem`, `warning` or `remark`.
    """
    service = ci_service()
    if not service.github:
        return
    text = f"{message}\nnext: {hint}" if hint else message
    properties = [*_where(place, service.workspace), ("title", f"build-lib {kind}")]
    given = ",".join(f"{name}={_escaped(value, _IN_PROPERTY)}" for name, value in properties)
    annotation = f"::{_KINDS[kind]} {given}::{_escaped(text, _IN_DATA)}"
    if annotation not in _annotated:
        _annotated[annotation] = _KINDS[kind]
        line(annotation)


def has_error() -> bool:
    """Return whether this run has an annotation of an error."""
    return "error" in _annotated.values()


def begin_section(name: str, heading: str, line: Line) -> None:
    """Print a heading. If a service shows the output, it begins a section, and ends the one that is open."""
    end_section()
    service = ci_service()
    if service.github:
        line(f"::group::{_escaped(heading, _IN_DATA)}")
        _open.append(lambda: line("::endgroup::"))
    elif service.gitlab:
        line(_gitlab("start", name, heading))
        _open.append(lambda: line(_gitlab("end", name)))
    else:
        line(heading)


def end_section() -> None:
    """End the section that is open, if there is one."""
    while _open:
        _open.pop()()


def _gitlab(what: str, name: str, heading: str = "") -> Painted:
    return Painted(f"{_CLEAR}section_{what}:{int(time.time())}:{name}\r{_CLEAR}{heading}")


def _where(place: Place | None, workspace: Path | None) -> Iterator[tuple[str, str]]:
    if place is not None:
        yield "file", place.below(workspace, repository())
        if place.line:
            yield "line", str(place.line)


def _escaped(text: str, characters: dict[str, str]) -> str:
    return "".join(characters.get(character, character) for character in text)
