"""What of a service's build context the builder would be sent: paths, and a hash of what each of them is.

Contents are read only where a file's stat data differ from those of the last look, as git's index does it; and as
git does (racy-git.txt), a file that changed just before the look is read again at the next one, for another change
within the same tick of the clock would leave no trace in them.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from build_lib import state
from build_lib.errors import BuildError
from build_lib.repository import ignore_file
from build_lib.repository.services import Service

_CHUNK = 1 << 20  # bytes read at once
_TICK_NANOSECONDS = 2_000_000_000  # the longest that a file system's clock takes for a step: FAT's, and old NFS's


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """By path, with `/`: what each entry is, hashed with its content; and of files a stamp of their stat data.

    A stamp has size, mtime, ctime and inode: one of them differs after any change. The Dockerfile has one too.
    """

    files: Mapping[str, str]
    stamps: Mapping[str, str]
    dockerfile: str

    def changes(self, later: "Context") -> list[str]:
        """The paths that were written to, came or went in between, also where the content is the same again."""
        own = ["Dockerfile"] if self.dockerfile != later.dockerfile else []
        differing = {path for path, stamp in self.stamps.items() if later.stamps.get(path) != stamp}
        return own + sorted(differing | (self.files.keys() ^ later.files.keys()))


def read(service: Service, memory: Path, *, own: Path | None = None) -> Context:
    """Look at the service's context; `memory` is the file in which stamps are kept from one look to the next.

    `own` is the program's own directory: if it lies in the context, it is no part of it, for each run writes there.

    Raises:
        BuildError: something in it cannot be read.
    """
    known = _remembered(memory)
    recent = time.time_ns() - _TICK_NANOSECONDS
    files: dict[str, str] = {}
    stamps: dict[str, str] = {}
    kept: dict[str, str] = {}
    for path, entry in _entries(service, own):
        try:
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                files[path] = _without_content(entry, status.st_mode)
                continue
            stamp = _stamp(status)
            content, _, before = known.get(path, "").partition(" ")
            if before != stamp:
                content = _content(entry.path)
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
    """Of the file that the builder reads by itself; a text in a compose file is handed to it as it was found."""
    try:
        return "" if service.inline else _stamp(service.dockerfile.stat())
    except OSError as error:
        raise _unreadable(service, error) from None


def _remembered(memory: Path) -> dict[str, str]:
    """Content and stamp of each file at the last look; nothing, if that is not what the memory holds."""
    found = state.read(memory)
    if not isinstance(found, dict):
        return {}
    return {path: known for path, known in found.items() if isinstance(known, str)}


def _unreadable(service: Service, error: OSError) -> BuildError:
    hint = "it went away while the context was read: run again" if isinstance(error, FileNotFoundError) else ""
    return BuildError(f"service {service.name}: {error.filename} cannot be read: {error.strerror}", hint=hint)


def _entries(service: Service, skipped: Path | None = None) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What is not ignored, by path in a fixed order; the Dockerfile is a part of its own."""
    rules = ignore_file.rules(service.context, service.dockerfile)
    dockerfile = str(service.dockerfile)
    try:
        walked = _walk(str(service.context), "", rules, skipped=str(skipped))
        found = [item for item in walked if item[1].path != dockerfile]
    except OSError as error:
        raise _unreadable(service, error) from None
    return iter(sorted(found, key=lambda item: item[0]))


def _walk(
    directory: str, prefix: str, rules: ignore_file.Rules, *, skipped: str
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.path == skipped:
                continue
            path = prefix + entry.name
            ignored = rules.ignores(path)
            if not ignored:
                yield path, entry
            if entry.is_dir(follow_symlinks=False) and (not ignored or rules.brings_back):
                yield from _walk(entry.path, f"{path}/", rules, skipped=skipped)


def _without_content(entry: os.DirEntry[str], mode: int) -> str:
    """What an entry is that is no file. Sockets and pipes are only named: reading them would hang."""
    if stat.S_ISLNK(mode):
        return f"link {_short(hashlib.sha256(os.fsencode(Path(entry.path).readlink())))}"
    return "directory" if stat.S_ISDIR(mode) else "special"


def _content(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return _short(digest)


def _short(digest: "hashlib._Hash") -> str:
    return digest.hexdigest()[:16]
