"""What compose takes from the directory and the environment that it is called in: compose files, `.env`, variables.

The rules are those of `docker compose` without flags, version 2.28 or newer ("Set environment variables within your
container's environment" and "Pre-defined environment variables" in its documents, `cmd/compose/compose.go` and
compose-go's `cli/options.go`).
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from build_lib.compose.env_file import read_env_file
from build_lib.compose.yaml_nodes import FileReport, is_file, read_text

_TRUE = ("1", "t", "T", "true", "TRUE", "True")  # as Go reads it
_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """Compose files that belong together, later ones overriding earlier ones, and the variables that they may use."""

    files: tuple[Path, ...]
    directory: Path  # where relative paths start
    variables: Mapping[str, str] = field(repr=False)
    outermost: Mapping[str, str] = field(repr=False)  # the variables of the project that includes this one, or its own

    @property
    def profiles(self) -> frozenset[str]:
        """The active profiles; `*` stands for all."""
        return frozenset(map(str.strip, self.variables.get("COMPOSE_PROFILES", "").split(",")))

    def activates(self, profiles: Iterable[str]) -> bool:
        """Return whether a service with these profiles is deployed; one without profiles always is."""
        wanted = set(profiles)
        return not wanted or not self.profiles.isdisjoint({"*", *wanted})


def look(directory: Path, variables: Mapping[str, str], report: FileReport) -> Project:
    """Return what `docker compose` finds if it is called in a directory with these environment variables.

    The variables take precedence over the `.env` in the directory, which does over the one beside the first file.
    `COMPOSE_ENV_FILES` names other files to read instead of both, and `COMPOSE_DISABLE_ENV_FILE` leaves both out.
    """
    named = [directory / name for name in variables.get("COMPOSE_ENV_FILES", "").split(",") if name]
    reads_default = not named and variables.get("COMPOSE_DISABLE_ENV_FILE") not in _TRUE
    known = {**variables, "PWD": str(directory)}
    known = with_env_files(known, default_env_file(directory) if reads_default else named, report)
    files = tuple(Path(os.path.normpath(path)) for path in _files(directory, known))
    first = files[0].parent if files else directory
    if reads_default and first != directory:
        known = with_env_files(known, default_env_file(first), report)
    return Project(files=files, directory=first, variables=known, outermost=known)


def with_env_files(variables: Mapping[str, str], files: Iterable[Path], report: FileReport) -> dict[str, str]:
    """Return the variables and those of the files, of which later ones override earlier ones, but not `variables`."""
    found: dict[str, str] = {}
    for path in files:
        report_in = partial(report, path)
        found |= read_env_file(read_text(path, report_in) or "", variables, found, report_in)
    return found | dict(variables)


def default_env_file(directory: Path) -> list[Path]:
    """Return the `.env` in a directory, if there is one."""
    path = directory / ".env"
    return [path] if is_file(path) else []


def _files(directory: Path, variables: Mapping[str, str]) -> list[Path]:
    """The files that COMPOSE_FILE names, or else the first one with a default name, and the first override."""
    named = variables.get("COMPOSE_FILE", "").split(variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep)
    if any(named):
        return [directory / name for name in named if name]
    usual, overrides = ([directory / name for name in names] for names in (_NAMES, _OVERRIDES))
    found = [path for path in usual if is_file(path)][:1]
    return [*found, *[path for path in overrides if is_file(path)][:1]] if found else []
