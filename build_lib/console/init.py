"""Output of `init`: what the repository has, the settings that fit it, what became of each file, the next steps."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from build_lib.console.overview import service_table
from build_lib.console.problems import listed
from build_lib.errors import Incomplete

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence
    from pathlib import Path, PurePosixPath

    from build_lib.console.output import Console
    from build_lib.job import Change, Initialized
    from build_lib.repository import Survey

_SHOWN = 10  # files of a kind
_DONE = {"create": "written", "copy": "written, as a copy of .env.example", "append": "lines added"}
_UNCHANGED = {
    "keep": "unchanged",
    "differs": "unchanged; to get the one of this version, delete it and run init again",
    "lacks": "unchanged; it needs these lines",
}


def initialized(console: Console, initialized: Initialized) -> None:
    """Print everything.

    Raises:
        Incomplete: a file of the repository has to be changed by hand before the tasks work.
    """
    root = initialized.survey.settings.project_root
    console.line(f"repository: {root}")
    _found(console, initialized.survey)
    for suggestion in initialized.survey.suggestions:
        console.line(f"setting for .env: {suggestion.name}={suggestion.value} ({suggestion.why})")
    for change in initialized.changes:
        _change(console, change, root)
    lacking = " and ".join(change.path.name for change in initialized.changes if change.kind == "lacks")
    if lacking:
        raise Incomplete(f"the tasks work only when {lacking} has the lines above", hint="add them by hand")
    _next_steps(console, root)


def _found(console: Console, survey: Survey) -> None:
    repository = survey.repository
    if repository.services or repository.variants:
        service_table(console, repository, survey.settings, repository.variants)
    else:
        console.line("services: none yet")
    listed(console, repository)
    if repository.run_images:
        console.line(f"images that are only run: {len(repository.run_images)}")
    _files(console, "other Dockerfiles (SERVICES_DIR names the directories of services)", survey.other_dockerfiles)
    _files(console, "templates and copies of Dockerfiles, which are not read", survey.dockerfile_templates)
    _files(console, "compose files", survey.compose_files)
    _files(console, "other compose files (COMPOSE_FILE names those that are read)", survey.other_compose_files)
    again = "" if survey.compose_files else "; run init again when the compose file is made"
    _files(console, f"templates and copies of compose files, which are not read{again}", survey.compose_templates)


def _files(console: Console, what: str, paths: Sequence[PurePosixPath]) -> None:
    if paths:
        more = [f"and {len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
        console.line(f"{what}: {', '.join([*map(str, paths[:_SHOWN]), *more])}")


def _change(console: Console, change: Change, root: Path) -> None:
    """A line for the file, and the lines that were added or have to be."""
    done = _DONE.get(change.kind, "")
    text = (f"would be {done}" if console.dry else console.good(done)) if done else _UNCHANGED[change.kind]
    console.line(f"{change.path.relative_to(root)}: ", text)
    if change.kind in ("append", "lacks"):
        for line in change.text.strip().splitlines():
            console.line(f"  {line}")


def _next_steps(console: Console, root: Path) -> None:
    if console.dry:
        return
    there = os.path.relpath(root)
    enter = f"cd {shlex.quote(there)} && " if there != "." else ""
    console.line(f"next: {enter}./inv doctor, then ./inv build-all; ./inv --list shows all tasks")
    console.line(f'  for tab completion: eval "$({enter}./inv --print-completion-script bash)"')
