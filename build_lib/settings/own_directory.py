"""The directory of the program's own files, `.build`: nothing in it comes from the repository, or leads elsewhere."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from build_lib import git
from build_lib.errors import BuildError

_FOR = "the tasks keep their records and logs in a directory of this name"
_OF_PYTHON = "venv"  # what `./inv` of a repository makes; it has links to its Python, and nothing is opened there
_checked: set[Path] = set()  # once in a run, because nothing but this program writes there


def check(path: Path, environ: Mapping[str, str]) -> None:
    """Check the directory, which may not exist. It may itself be a link to another disk, which a user made.

    Raises:
        BuildError: it is not a directory, git tracks files in it, or there is a link in it.
    """
    if path in _checked:
        return
    if os.path.lexists(path) and not path.is_dir():
        raise BuildError(f"{path} is not a directory", hint=f"remove it: {_FOR}")
    if os.path.lexists(path) and git.tracks(path, environ):
        raise BuildError(
            f"git tracks files in {path}, which is for this program's own files alone",
            hint=f"git rm -r --cached {path.name}",
        )
    for link in _links(path):
        raise BuildError(f"{link} is a symbolic link, and nothing in {path.name} may lead elsewhere", hint=f"rm {link}")
    _checked.add(path)


def _links(directory: Path) -> Iterator[Path]:
    """The symbolic links below the directory."""
    for place, directories, files in os.walk(directory):
        if Path(place) == directory and _OF_PYTHON in directories:
            directories.remove(_OF_PYTHON)
        yield from (path for name in (*directories, *files) if (path := Path(place, name)).is_symlink())
