"""The part of a service's build context that its build depends on: paths, and a hash of each entry.

These are the paths that the Dockerfile copies or mounts, or else the whole context, without what is ignored. Additional
contexts that are directories count whole: their entries are called NAME//PATH, as no path in the context is.

As with git's index, a file's content is read only if its stat data differ from those of the last scan. As in git too
(racy-git.txt), a file that changed just before a scan is read again by the next one, because another change within the
same tick of the clock would not show in its stat data.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from build_lib import state
from build_lib.errors import BuildError
from build_lib.repository import copied_paths, ignore_file
from build_lib.repository.service import Service

_CHUNK = 1 << 20  # bytes read at once
_TICK_NANOSECONDS = 2_000_000_000  # the coarsest timestamps of a file system: FAT's, and old NFS's


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """The type and content hash of each entry, by path with `/`, and a stamp of each file's stat data.

    A stamp has size, mtime, ctime and inode: any change alters one of them. `dockerfile` is the Dockerfile's stamp.
    """

    files: Mapping[str, str]
    stamps: Mapping[str, str]
    dockerfile: str

    def changes(self, later: "Context") -> list[str]:
        """Return the paths that were written, added or removed in between, even if the content is the same again."""
        own = ["Dockerfile"] if self.dockerfile != later.dockerfile else []
        differing = {path for path, stamp in self.stamps.items() if later.stamps.get(path) != stamp}
        return own + sorted(differing | (self.files.keys() ^ later.files.keys()))


def read(service: Service, memory: Path, *, own: Path | None = None, patterns: Iterable[str] | None = None) -> Context:
    """Scan the service's context, or, with `patterns` (see `copied_paths`), only what they name.

    `memory` is the file that keeps stamps from one scan to the next. `own` is the program's own directory: it is
    skipped if it is in the context, because every run writes there.

    Raises:
        BuildError: a file or directory cannot be read.
    """
    known = _remembered(memory)
    recent = time.time_ns() - _TICK_NANOSECONDS
    files: dict[str, str] = {}
    stamps: dict[str, str] = {}
    kept: dict[str, str] = {}
    for path, place in _entries(service, own, patterns):
        try:
            status = os.lstat(place)
            if not stat.S_ISREG(status.st_mode):
                files[path] = _without_content(place, status.st_mode)
                continue
            stamp = _stamp(status)
            content, _, before = known.get(path, "").partition(" ")
            if before != stamp:
                content = _content(place)
        except OSError as error:
            raise _unreadable(service, error) from None
        files[path] = f"{'executable' if status.st_mode & 0o111 else 'file'} {content}"
        stamps[path] = stamp
        if max(status.st_mtime_ns, status.st_ctime_ns) < recent:
            kept[path] = f"{content} {stamp}"
    if kept != known:
        state.write(memory, kept, compact=True)
    return Context(files=files, stamps=stamps, dockerfile=_stamp_of_dockerfile(service))


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _stamp_of_dockerfile(service: Service) -> str:
    """The stamp of a Dockerfile that the builder reads itself; an inline one is passed to it as it was read."""
    try:
        return "" if service.inline else _stamp(service.dockerfile.stat())
    except OSError as error:
        raise _unreadable(service, error) from None


def _remembered(memory: Path) -> dict[str, str]:
    """The content hash and stamp of each file at the last scan; empty if the file holds something else."""
    return state.read(memory, {str: str}) or {}


def _unreadable(service: Service, error: OSError) -> BuildError:
    hint = "it was removed while the context was read: run again" if isinstance(error, FileNotFoundError) else ""
    return BuildError(f"service {service.name}: {error.filename} cannot be read: {error.strerror}", hint=hint)


def _entries(
    service: Service, skipped: Path | None = None, patterns: Iterable[str] | None = None
) -> Iterator[tuple[str, str]]:
    """The path in the context and the place of each entry that is not ignored, sorted by path.

    The Dockerfile is left out, because it has a part of its own in the fingerprint. The compose file around an inline
    one is a file like any other.
    """
    rules = ignore_file.rules(service.context, service.dockerfile)
    walk = _Walk(str(service.context), rules, str(skipped))
    try:
        roots = [""] if patterns is None else copied_paths.roots(service.context, patterns)
        walked = [item for root in roots for item in walk.of(root)]
        for name, directory in _directories(service):
            walk = _Walk(str(directory), ignore_file.read(directory / ".dockerignore"), str(skipped))
            walked += ((f"{name}//{path}", place) for path, place in walk.of(""))
    except OSError as error:
        raise _unreadable(service, error) from None
    dockerfile = "" if service.inline else str(service.dockerfile)
    return iter(sorted(item for item in walked if item[1] != dockerfile))


def _directories(service: Service) -> Iterator[tuple[str, Path]]:
    """The additional contexts that are directories; the builder refuses one that is not there."""
    for name, place in service.additional_contexts:
        if place.startswith("/") and Path(place).is_dir():
            yield name, Path(place)


@dataclass(frozen=True, slots=True)
class _Walk:
    """Goes through the entries of a context that are not ignored, without those in the directory `skipped`."""

    context: str
    rules: ignore_file.Rules
    skipped: str

    def of(self, root: str) -> Iterator[tuple[str, str]]:
        """An entry, and all that are below it; "" is the context."""
        if not root:
            return self._inside(self.context, "")
        place = f"{self.context}/{root}"
        if f"{place}/".startswith(f"{self.skipped}/"):
            return iter(())
        return self._entry(root, place, is_directory=stat.S_ISDIR(os.lstat(place).st_mode))

    def _entry(self, path: str, place: str, *, is_directory: bool) -> Iterator[tuple[str, str]]:
        ignored = self.rules.ignores(path)
        if not ignored:
            yield path, place
        if is_directory and (not ignored or self.rules.brings_back):
            yield from self._inside(place, f"{path}/")

    def _inside(self, directory: str, prefix: str) -> Iterator[tuple[str, str]]:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.path != self.skipped:
                    is_directory = entry.is_dir(follow_symlinks=False)
                    yield from self._entry(prefix + entry.name, entry.path, is_directory=is_directory)


def _without_content(place: str, mode: int) -> str:
    """The type of an entry that is not a file. Sockets and pipes are not read, because that would block."""
    if stat.S_ISLNK(mode):
        return f"link {_short(hashlib.sha256(os.fsencode(Path(place).readlink())))}"
    return "directory" if stat.S_ISDIR(mode) else "special"


def _content(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return _short(digest)


def _short(digest: "hashlib._Hash") -> str:
    return digest.hexdigest()[:16]
