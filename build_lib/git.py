"""What git knows about a directory: the top of its repository, and the files that are not ignored."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATIENCE_SECONDS = 20
# a git hook sets these, for a repository that need not be the one that is asked about
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


def top_level(directory: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the top of the repository that contains the directory; None if there is none, or no git."""
    answer = _ask(directory, ["rev-parse", "--show-toplevel"], environ)
    return Path(os.fsdecode(answer.removesuffix(b"\n"))) if answer else None


def files(directory: Path, patterns: Sequence[str], environ: Mapping[str, str]) -> list[Path] | None:
    """Return the files below the directory that match one of the patterns, in the order of their paths.

    These are the files that are tracked, or neither tracked nor ignored. A `*` of a pattern matches `/` too, and case
    does not matter. The result is None if the directory is in no repository, or if there is no git.
    """
    options = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    answer = _ask(directory, [*options, *(f":(icase){pattern}" for pattern in patterns)], environ)
    if answer is None:
        return None
    names = {os.fsdecode(name) for name in answer.split(b"\0") if name}
    return [path for name in sorted(names) if (path := directory / name).is_file()]


def _ask(directory: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> bytes | None:
    """The output of a git command; None if it failed."""
    environment = {name: value for name, value in environ.items() if name not in _OF_A_HOOK}
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout
