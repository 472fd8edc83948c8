"""Give another repository these tasks: look at what it has, then write the settings that fit it, and the files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build_lib.errors import BuildError
from build_lib.job.init_files import Change, changes, write
from build_lib.job.library_source import clone
from build_lib.repository import Survey, survey


@dataclass(frozen=True, kw_only=True, slots=True)
class Initialized:
    """What was found, and what became of each file."""

    survey: Survey
    changes: tuple[Change, ...]


def initialize(repository: Path, environ: Mapping[str, str], *, dry: bool = False) -> Initialized:
    """Write the files, except those that already exist; with `dry`, only return what would be written.

    Raises:
        BuildError: the repository is none, a file in it is in the way, or `.env` has a wrong value, and nothing was
            written; or a file cannot be written.
    """
    if not repository.is_dir():
        raise BuildError(f"{repository} is not a directory", hint="--path names the repository that gets the tasks")
    if repository == clone():
        raise BuildError(f"{repository} is build-lib itself", hint="--path names the repository that gets the tasks")
    copied = not (repository / ".env").exists() and (repository / ".env.example").exists()
    found = survey.take(repository, environ, ".env.example" if copied else ".env")
    planned = tuple(changes(found))
    for change in () if dry else planned:
        write(change)
    return Initialized(survey=found, changes=planned)
