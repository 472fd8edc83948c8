"""What git knows about a directory: the top of its repository, its files, its tags, where it was cloned from."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_SECONDS = 20
# a git hook sets these, for a repository that need not be the one that is asked about
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """The commit that a working tree is at. `changed` is whether it has changes not committed, None if unknown."""

    hash: str
    changed: bool | None


def top_level(directory: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the top of the repository that contains the directory; None if there is none, or no git."""
    answer = _text(directory, ["rev-parse", "--show-toplevel"], environ)
    return Path(answer) if answer else None


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


def index_lock(directory: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the file that is there while git changes the working tree; None if there is no repository, or no git."""
    answer = _text(directory, ["rev-parse", "--git-path", "index.lock"], environ)
    return directory / answer if answer else None


def uncommitted(directory: Path, names: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return which of the names below the directory git would add: those that are neither tracked nor ignored.

    A name of a directory ends in `/`. Outside of a repository, these are all names.
    """
    known = {
        *_text(directory, ["check-ignore", "--", *names], environ).splitlines(),
        *_text(directory, ["ls-files", "--", *names], environ).splitlines(),
    }
    return [name for name in names if name not in known]


def tracks(path: Path, environ: Mapping[str, str]) -> bool:
    """Return whether git tracks the path, or anything below it."""
    return bool(_text(path.parent, ["ls-files", "--", path.name], environ))


def newest_tag(directory: Path, environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the newest tag of the commit or of those before it, and how many commits came after it; None if no tag."""
    answer = _text(directory, ["describe", "--tags", "--long"], environ)
    if not answer:
        return None
    tag, later, _ = answer.rsplit("-", 2)
    return tag, int(later)


def tags(directory: Path, environ: Mapping[str, str]) -> list[str]:
    """Return all tags, the newest first."""
    return _text(directory, ["tag", "--list", "--sort=-creatordate"], environ).splitlines()


def origin(directory: Path, environ: Mapping[str, str]) -> str:
    """Return the URL of the remote `origin`; "" if there is none."""
    return _text(directory, ["remote", "get-url", "origin"], environ)


def pushed_commit(directory: Path, environ: Mapping[str, str]) -> str:
    """Return the hash of the current commit if a branch of a remote has it, as far as is known here; otherwise ""."""
    branches = _text(directory, ["for-each-ref", "--count=1", "--contains=HEAD", "refs/remotes"], environ)
    return _text(directory, ["rev-parse", "HEAD"], environ) if branches else ""


def commit(directory: Path, environ: Mapping[str, str], *, except_for: Path) -> Commit | None:
    """Return the commit of the repository that contains the directory; None if there is none, or no git.

    Files that git would add count as changes, but not those below `except_for`, which is in the directory.
    """
    found = _text(directory, ["rev-parse", "--verify", "HEAD"], environ)
    if not found:
        return None
    paths = [":(top)", f":(exclude,literal){except_for.relative_to(directory)}"]
    # it must not take the lock of a git command that the user runs meanwhile
    changes = _ask(directory, ["--no-optional-locks", "status", "--porcelain", "--", *paths], environ)
    return Commit(hash=found, changed=None if changes is None else bool(changes))


def _text(directory: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The output of a git command without the end of its last line; "" if it failed."""
    return os.fsdecode(_ask(directory, arguments, environ) or b"").removesuffix("\n")


def _ask(directory: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> bytes | None:
    """The output of a git command; None if it failed."""
    environment = {name: value for name, value in environ.items() if name not in _OF_A_HOOK}
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout
