"""Every Dockerfile and compose file of a repository, wherever it is, and the settings that name them."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from build_lib import git
from build_lib.repository.dockerfiles import PATTERNS, is_dockerfile, is_named, is_template
from build_lib.settings import Settings

_WALKED_DIRECTORIES, _DEEP = 5000, 8  # limits of the search in a directory that git does not know
_NOT_WALKED = {"node_modules", "vendor", "__pycache__"}
_WORTH_A_PATTERN = 3  # so many directories beside each other, or names of one form, are named by one pattern
_COMPOSE = re.compile(r"(?:.*[._-])?compose(?:[._-].*)?\.ya?ml(?P<template>\..+)?", re.IGNORECASE)
_PLAIN = re.compile(r"[\w./@+-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Files of a repository, relative to its top, in the order of their paths.

    Templates are the templates and copies of Dockerfiles and compose files, such as `Dockerfile.tpl`.
    """

    dockerfiles: tuple[PurePosixPath, ...]
    dockerfile_templates: tuple[PurePosixPath, ...]
    compose_files: tuple[PurePosixPath, ...]
    compose_templates: tuple[PurePosixPath, ...]


def search(settings: Settings) -> Seen:
    """Return the files as git knows them; outside of a git repository, those that a bounded walk finds."""
    root = settings.project_root
    known = git.files(root, (*PATTERNS, "*compose*"), settings.environment)
    files = _walk(root) if known is None else known
    paths = sorted(PurePosixPath(path.relative_to(root).as_posix()) for path in files)
    composed = {path: found for path in paths if (found := _COMPOSE.fullmatch(path.name))}
    return Seen(
        dockerfiles=tuple(path for path in paths if is_dockerfile(path.name) or path.name in settings.dockerfiles),
        dockerfile_templates=tuple(path for path in paths if is_template(path.name)),
        compose_files=tuple(path for path, found in composed.items() if not found["template"]),
        compose_templates=tuple(path for path, found in composed.items() if found["template"]),
    )


def services_dir(files: Sequence[PurePosixPath]) -> str:
    """Return the SERVICES_DIR for these Dockerfiles: the directories that hold their directories, "" if there are none.

    Those at the top need none, and those that the setting cannot name get none.
    """
    inside = [path for path in files if path.parent.parts and is_plain(path)]
    return ",".join(_holders(inside))


def is_plain(path: PurePosixPath) -> bool:
    """Return whether a list in `.env` can have the path: it means itself to all who read that file, shells too."""
    return _PLAIN.fullmatch(str(path)) is not None


def dockerfiles_setting(names: Sequence[str], settings: Settings) -> str:
    """Return the DOCKERFILES with which files of these names are services too."""
    return ",".join(dict.fromkeys([*settings.dockerfiles, *sorted(names)]))


def setting_lines(seen: Sequence[PurePosixPath], settings: Settings) -> Iterator[str]:
    """The settings that make services of these Dockerfiles, or of those that DOCKERFILES names, if it names any."""
    named = [path for path in seen if is_named(path.name, settings.dockerfiles)]
    directories = services_dir(named or seen)
    if directories:
        yield f"SERVICES_DIR={directories}"
    if not named:
        yield f"DOCKERFILES={dockerfiles_setting([path.name for path in seen], settings)}"


def _walk(root: Path) -> Iterator[Path]:
    """The files in the directories that are not hidden, up to a number and a depth of them."""
    for count, (directory, directories, names) in enumerate(os.walk(root), start=1):
        if count > _WALKED_DIRECTORIES:
            return
        deep = len(Path(directory).relative_to(root).parts) >= _DEEP
        directories[:] = [] if deep else sorted(_walked(directories))
        yield from (Path(directory) / name for name in names)


def _walked(directories: Sequence[str]) -> Iterator[str]:
    return (name for name in directories if not name.startswith(".") and name not in _NOT_WALKED)


def _holders(files: Sequence[PurePosixPath]) -> list[str]:
    """The entries of SERVICES_DIR for these files: the directories that hold their directories."""
    holders = {path.parent.parent for path in files}
    beside = Counter(holder.parent for holder in holders if holder.parts)
    return sorted({_entry(holder, beside) for holder in holders})


def _entry(holder: PurePosixPath, beside: Counter[PurePosixPath]) -> str:
    several = holder.parts and beside[holder.parent] >= _WORTH_A_PATTERN
    return str(holder.parent / "*") if several else str(holder)
