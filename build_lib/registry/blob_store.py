"""Blobs on disk by their digests, and the check that content is what its descriptor says."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO

from build_lib.errors import BuildError
from build_lib.registry.manifests import Descriptor

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


class WrongContent(BuildError):
    """Bytes that are not those of their descriptor; nothing of them is kept."""


class Truncated(BuildError):
    """Content that ended too early, with no error of its own."""


class _DiskFull(BuildError):
    """There is no room for a blob."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far the downloads are, in bytes: those of each image that is coming in, and all."""

    done: int
    total: int
    images: Mapping[str, tuple[int, int]]  # done, total


class Check:
    """Looks at content as it goes by."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._digest = descriptor.digest
        self._limit = descriptor.size
        self._hash = hashlib.sha256()
        self.size = 0

    def passing(self, chunks: Iterable[bytes]) -> Generator[bytes, None, None]:
        """The chunks themselves, checked to their end; a generator of them is closed on every way out."""
        try:
            for chunk in filter(None, chunks):
                self.add(chunk)
                yield chunk
        finally:
            if isinstance(chunks, Generator):
                chunks.close()
        self.end()

    def add(self, chunk: bytes) -> None:
        """Look at some more.

        Raises:
            WrongContent: that is too much.
        """
        self.size += len(chunk)
        if self.size > self._limit:
            raise WrongContent(f"other bytes than its digest: {self._digest} has {self._limit}B, and more came")
        self._hash.update(chunk)

    def end(self) -> None:
        """That was all.

        Raises:
            WrongContent, Truncated: it is not what the descriptor says.
        """
        # a number never stands alone here: it could be taken for an HTTP status
        if self.size < self._limit:
            raise Truncated(f"unexpected EOF after {self.size}B of the {self._limit}B of {self._digest}")
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            raise WrongContent(f"other bytes than its digest: expected {self._digest}, got {found}")


class BlobStore:
    """Blobs on disk by their digests, complete ones in `sha256` and begun ones in `partial`.

    All methods may be called from several threads and processes at once.
    """

    def __init__(self, directory: Path, *, partial: Path | None = None) -> None:
        self.directory = directory
        self._complete = directory / "sha256"
        self._partial = partial or directory / "partial"  # in the same file system

    @classmethod
    def of_layout(cls, directory: Path) -> "BlobStore":
        """The blobs of an image layout, whose `blobs` directory may hold complete ones only."""
        return cls(directory / "blobs", partial=directory / "partial")

    def path(self, descriptor: Descriptor) -> Path:
        """Where the blob is, once it is complete."""
        return self._complete / hex_of(descriptor)

    def has(self, descriptor: Descriptor) -> bool:
        """Whether it is complete. The size is looked at too: a power cut may have cut off what was written."""
        return _size(self.path(descriptor)) == descriptor.size

    def partial_size(self, descriptor: Descriptor) -> int:
        """How many bytes of a blob that is not complete are there."""
        return _size(self._partial / hex_of(descriptor)) or 0

    def open(self, descriptor: Descriptor) -> IO[bytes]:
        """The complete blob as a file.

        Raises:
            BuildError: it is not there.
        """
        try:
            return self.path(descriptor).open("rb")
        except FileNotFoundError:
            raise BuildError(f"{descriptor.digest} is not in {self._complete.parent}") from None

    def chunks(self, descriptor: Descriptor) -> Iterator[bytes]:
        """The complete blob's bytes, as `stream` wants them.

        Raises:
            BuildError: it is not there.
        """
        with self.open(descriptor) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def fetched(self, descriptor: Descriptor, read: Callable[[int], Iterable[bytes]]) -> IO[bytes]:
        """The blob as a file, complete: as `fetch` does, also if another process removes it in between.

        Raises:
            BuildError: as for `fetch`.
        """
        while True:
            try:
                return self.fetch(descriptor, read).open("rb")
            except FileNotFoundError:
                continue

    def remove(self, descriptor: Descriptor) -> None:
        """Remove the complete blob. Not there is no error, and who reads it may go on."""
        self.path(descriptor).unlink(missing_ok=True)

    def fetch(self, descriptor: Descriptor, read: Callable[[int], Iterable[bytes]]) -> Path:
        """Make the blob complete, and say where it is; whoever else asks for it meanwhile waits.

        `read` gives the bytes from an offset on. When it fails (BuildError), what came is kept, and the next
        call goes on from there; when the disk is full, it is removed, for others may find room then.

        Raises:
            WrongContent: there are more bytes than the descriptor says, or others.
            Truncated: there are fewer.
            BuildError: nothing can be written, or what `read` raises.
        """
        begun = self._partial / hex_of(descriptor)
        while not self.has(descriptor):
            with self._opened(begun) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # the kernel frees it with the file, however the holder ends
                if _is_at(file, begun):  # else who held the lock completed or removed it
                    self._fill(descriptor, file, read)
        return self.path(descriptor)

    def _opened(self, begun: Path) -> FileIO:
        try:
            for directory in (self._complete, self._partial):
                directory.mkdir(parents=True, exist_ok=True)
            return begun.open("a+b", buffering=0)
        except OSError as error:
            raise cannot_write(begun, error) from error

    def _fill(self, descriptor: Descriptor, file: FileIO, read: Callable[[int], Iterable[bytes]]) -> None:
        begun = self._partial / hex_of(descriptor)
        if self.has(descriptor):  # completed between the look and the lock
            begun.unlink()
            return
        try:
            _check_room(begun, descriptor.size - self.partial_size(descriptor))
            _append_rest(descriptor, file, read)
        except (WrongContent, _DiskFull):
            begun.unlink()
            raise
        begun.replace(self.path(descriptor))


def _append_rest(descriptor: Descriptor, file: FileIO, read: Callable[[int], Iterable[bytes]]) -> None:
    check = Check(descriptor)
    file.seek(0)
    while chunk := file.read(_CHUNK):
        check.add(chunk)
    if check.size == descriptor.size:  # also of an empty one: there is nothing to ask for
        check.end()
        return
    with closing(check.passing(read(check.size))) as chunks:
        for chunk in chunks:
            _append(file, chunk)


def _append(file: FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise cannot_write(file.name, error) from error


def _check_room(begun: Path, needed: int) -> None:
    """Refuse what will not fit before it takes the room of what does."""
    disk = os.statvfs(begun.parent)
    free = disk.f_bavail * disk.f_frsize
    if disk.f_blocks and needed > free:
        text = f"cannot write {begun}: {os.strerror(errno.ENOSPC)}: it takes {needed}B more, and {free}B are free"
        raise _DiskFull(text, hint="make room there")


def cannot_write(name: object, error: OSError) -> BuildError:
    """A failure to write a file, by its name."""
    if error.errno in _FULL:
        return _DiskFull(f"cannot write {name}: {error.strerror}", hint="make room there")
    return BuildError(f"cannot write {name}: {error.strerror}")


def hex_of(descriptor: Descriptor) -> str:
    """The name of a blob's file in a layout."""
    return descriptor.digest.removeprefix("sha256:")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _is_at(file: FileIO, path: Path) -> bool:
    """Whether the open file still bears this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
