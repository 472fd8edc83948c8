"""The error of a repository in which no service was found: which Dockerfiles it has, and the settings that use them."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from build_lib import git
from build_lib.errors import BuildError
from build_lib.repository.dockerfiles import PATTERNS, is_dockerfile, is_named
from build_lib.settings import Settings
from build_lib.units import number

_SHOWN = 20
_WALKED_DIRECTORIES, _DEEP = 5000, 8  # limits of the search in a directory that git does not know
_NOT_WALKED = {"node_modules", "vendor", "__pycache__"}
_WORTH_A_PATTERN = 3  # so many directories beside each other are named by one pattern


def no_services(settings: Settings) -> BuildError:
    """Return the error; its hint is the line to write in .env."""
    seen = seen_dockerfiles(settings)
    entries = ",".join(settings.services_dir)
    if not seen:
        return BuildError(
            f"no services found: {settings.project_root} has no Dockerfile, and no compose file with a build: section",
            hint=f"add {settings.services_dir[0]}/NAME/Dockerfile, or name another repository with PROJECT_ROOT",
        )
    shown = [f"    {path}" for path in seen[:_SHOWN]]
    more = [f"    and {len(seen) - _SHOWN} more"] if len(seen) > _SHOWN else []
    listed = "\n".join([*shown, *more])
    return BuildError(
        f"no services found in SERVICES_DIR={entries}, at the top, or in a compose file; the repository has "
        f"{number(len(seen), 'Dockerfile')}:\n{listed}",
        hint=f"write in .env: {' and '.join(_lines(seen, settings))}",
    )


def seen_dockerfiles(settings: Settings) -> list[PurePosixPath]:
    """Return the Dockerfiles of the repository, as git knows them, relative to its top."""
    root = settings.project_root
    known = git.files(root, PATTERNS, settings.environment)
    files = _walk(root) if known is None else known
    own = settings.dockerfiles
    paths = (PurePosixPath(path.relative_to(root).as_posix()) for path in files)
    return sorted(path for path in paths if is_dockerfile(path.name) or path.name in own)


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


def _lines(seen: Sequence[PurePosixPath], settings: Settings) -> Iterator[str]:
    """The settings that make services of these Dockerfiles, or of those that DOCKERFILES names, if it names any."""
    named = [path for path in seen if is_named(path.name, settings.dockerfiles)]
    inside = [path for path in named or seen if path.parent != PurePosixPath()]
    if inside:
        yield f"SERVICES_DIR={','.join(_holders(inside))}"
    if not named:
        yield dockerfiles_line([path.name for path in seen], settings)


def dockerfiles_line(names: Sequence[str], settings: Settings) -> str:
    """Return the line for .env with which files of these names are services too."""
    return f"DOCKERFILES={','.join(dict.fromkeys([*settings.dockerfiles, *sorted(names)]))}"


def _holders(files: Sequence[PurePosixPath]) -> list[str]:
    """The entries of SERVICES_DIR for these files: the directories that hold their directories."""
    holders = {path.parent.parent for path in files}
    beside = Counter(holder.parent for holder in holders if holder.parts)
    return sorted({_entry(holder, beside) for holder in holders})


def _entry(holder: PurePosixPath, beside: Counter[PurePosixPath]) -> str:
    several = holder.parts and beside[holder.parent] >= _WORTH_A_PATTERN
    return str(holder.parent / "*") if several else str(holder)
