"""Which Dockerfiles of a repository make services, by the settings `SERVICES_DIR` and `DOCKERFILES`.

An entry of `SERVICES_DIR` names a directory, or several by a pattern, that holds services: each directory in it with a
Dockerfile is one. A named directory with a Dockerfile of its own, and the top of the repository, are services as well.
"""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from build_lib.settings import Settings

PATTERNS = ("*dockerfile*", "*containerfile*")  # what may be a Dockerfile, in any case; `is_dockerfile` decides
_NAME = re.compile(r"(?:(?P<before>.+)\.)?(?:docker|container)file(?:[._-](?P<after>.+))?", re.IGNORECASE)
_TEMPLATES = (".tpl", ".tmpl", ".template", ".j2", ".backup", ".bak", ".old", ".orig", ".rej", ".swp", "~")
_ABOUT = (".dockerignore", ".md", ".rst", ".txt", ".html", ".json", ".yaml", ".yml", ".py", ".sh", ".go", ".js", ".ts")
_IN_IMAGE_NAMES = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_WITHOUT_A_NAME = "app"  # for a directory whose name has no letter or digit that an image's name may have


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A Dockerfile in a directory that may be a service, and the name of the service."""

    name: str
    path: Path
    variant: bool  # whether it is no service, because DOCKERFILES does not name it


def find(settings: Settings) -> Iterator[Found]:
    """Return the Dockerfiles at the top and in the directories that SERVICES_DIR names, each once."""
    for directory in dict.fromkeys(_directories(settings)):
        for name in sorted(_names(directory)):
            if is_dockerfile(name) or name in settings.dockerfiles:
                service = _service(directory, name, settings)
                yield Found(name=service, path=directory / name, variant=not is_named(name, settings.dockerfiles))


def is_dockerfile(name: str) -> bool:
    """Return whether a file of this name is a Dockerfile, such as `Dockerfile.gpu`, and no template, copy or text."""
    return _NAME.fullmatch(name) is not None and not name.lower().endswith((*_TEMPLATES, *_ABOUT))


def is_template(name: str) -> bool:
    """Return whether a file of this name is a template or a copy of a Dockerfile, such as `Dockerfile.tpl`."""
    return _NAME.fullmatch(name.rstrip("~")) is not None and name.lower().endswith(_TEMPLATES)


def is_named(name: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the patterns of DOCKERFILES names the file."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def below(path: Path, settings: Settings) -> str:
    """Return the path as messages show it: relative to the repository if it is inside."""
    root = settings.project_root
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _directories(settings: Settings) -> Iterator[Path]:
    root = settings.project_root
    yield root
    for entry in settings.services_dir:
        for directory in _named_by(entry, root):
            yield directory
            names = sorted(name for name in _names(directory, directories=True) if not name.startswith("."))
            yield from (directory / name for name in names)


def _named_by(entry: str, root: Path) -> list[Path]:
    """The directories that an entry of SERVICES_DIR names, with paths without `..`."""
    if (root / entry).is_dir():  # its name may have the characters of a pattern
        return [Path(os.path.normpath(root / entry))]
    found = glob.glob(entry, root_dir=root, recursive=True)  # noqa: PTH207  # Path.glob also finds hidden directories
    return [Path(os.path.normpath(root / name)) for name in sorted(found) if (root / name).is_dir()]


def _names(directory: Path, *, directories: bool = False) -> list[str]:
    """The names of the files in a directory, or of the directories; none if it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if _is_directory(entry) == directories]
    except OSError:
        return []


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, or a link to one; a link to itself, for which `is_dir` raises an error, is none."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def _service(directory: Path, file: str, settings: Settings) -> str:
    """The name of a Dockerfile's service: `DIR`, `DIR-gpu` for `Dockerfile.gpu`, `DIR-web` for `web.Dockerfile`.

    At the top, `web.Dockerfile` is `web`, and DIR is made a valid image name, because its name is the user's choice.
    """
    parts = _NAME.fullmatch(file)
    before, after = (parts["before"], parts["after"]) if parts else (None, None)
    at_top = directory == settings.project_root
    name = as_image_name(directory.name) if at_top else directory.name
    words = [as_image_name(word) for word in (before, after) if word]
    return "-".join(words if at_top and before else [name, *words])


def as_image_name(text: str) -> str:
    """Return the text as a part of an image's name: in lower case, with a hyphen for what is not allowed in it."""
    return "-".join(_IN_IMAGE_NAMES.findall(text.lower())) or _WITHOUT_A_NAME
