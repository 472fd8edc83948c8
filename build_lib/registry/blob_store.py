"""Blobs on disk, stored by digest, and the check that content matches its descriptor."""

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
    """Content that does not match its descriptor; none of it is kept."""


class Truncated(BuildError):
    """Content that ended too early, without an error from its source."""


class _DiskFull(BuildError):
    """There is not enough disk space for a blob."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The progress of the downloads in bytes, in total and for each image being downloaded."""

    done: int
    total: int
    images: Mapping[str, tuple[int, int]]  # done, total


class Check:
    """Checks content against its descriptor while it is streamed."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._digest = descriptor.digest
        self._limit = descriptor.size
        self._hash = hashlib.sha256()
        self.size = 0

    def passing(self, chunks: Iterable[bytes]) -> Generator[bytes, None, None]:
        """The chunks unchanged, checked up to their end. If `chunks` is a generator, it is always closed."""
        try:
            for chunk in filter(None, chunks):
                self.add(chunk)
                yield chunk
        finally:
            if isinstance(chunks, Generator):
                chunks.close()
        self.end()

    def add(self, chunk: bytes) -> None:
        """Check the next chunk.

        Raises:
            WrongContent: the content is longer than the descriptor says.
        """
        self.size += len(chunk)
        if self.size > self._limit:
            raise WrongContent(f"content does not match its digest: {self._digest} has {self._limit}B, but more came")
        self._hash.update(chunk)

    def end(self) -> None:
        """Check the size and the digest after the last chunk.

        Raises:
            WrongContent: the digest differs from the descriptor's.
            Truncated: the content is shorter than the descriptor says.
        """
        # sizes have no space before their unit: `retry` could take a number on its own for an HTTP status
        if self.size < self._limit:
            raise Truncated(f"unexpected EOF after {self.size}B of the {self._limit}B of {self._digest}")
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            raise WrongContent(f"content does not match its digest: expected {self._digest}, got {found}")


class BlobStore:
    """Blobs on disk, stored by digest: complete ones in `sha256`, incomplete ones in `partial`.

    All methods may be called from several threads and processes at once.
    """

    def __init__(self, directory: Path, *, partial: Path | None = None) -> None:
        self.directory = directory
        self._complete = directory / "sha256"
        self._partial = partial or directory / "partial"  # on the same file system, so that a rename moves a blob

    @classmethod
    def of_layout(cls, directory: Path) -> "BlobStore":
        """The blob store of an image layout, whose `blobs` directory may only hold complete blobs."""
        return cls(directory / "blobs", partial=directory / "partial")

    def path(self, descriptor: Descriptor) -> Path:
        """The path of the blob once it is complete."""
        return self._complete / hex_of(descriptor)

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the complete blob is present. Its size is checked too: a power failure may have truncated it."""
        return _size(self.path(descriptor)) == descriptor.size

    def partial_size(self, descriptor: Descriptor) -> int:
        """The number of bytes that are present of an incomplete blob."""
        return _size(self._partial / hex_of(descriptor)) or 0

    def open(self, descriptor: Descriptor) -> IO[bytes]:
        """Open the complete blob for reading.

        Raises:
            BuildError: the blob is missing.
        """
        try:
            return self.path(descriptor).open("rb")
        except FileNotFoundError:
            raise BuildError(f"{descriptor.digest} is not in {self._complete.parent}") from None

    def chunks(self, descriptor: Descriptor) -> Iterator[bytes]:
        """The complete blob's bytes in chunks, as `image_layout.stream` expects them.

        Raises:
            BuildError: the blob is missing.
        """
        with self.open(descriptor) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def fetched(self, descriptor: Descriptor, read: Callable[[int], Iterable[bytes]]) -> IO[bytes]:
        """Fetch the blob and open it for reading, even if another process removes it in between.

        Raises:
            BuildError: as for `fetch`.
        """
        while True:
            try:
                return self.fetch(descriptor, read).open("rb")
            except FileNotFoundError:
                continue

    def remove(self, descriptor: Descriptor) -> None:
        """Remove the complete blob, if it is present. Files that are already open stay readable."""
        self.path(descriptor).unlink(missing_ok=True)

    def fetch(self, descriptor: Descriptor, read: Callable[[int], Iterable[bytes]]) -> Path:
        """Fetch the blob unless it is complete, and return its path. Concurrent calls for the same blob wait.

        `read` returns the bytes from an offset on. If it fails (BuildError), the bytes received so far are kept, and
        the next call resumes from there. If the disk is full, they are removed to leave the space to other blobs.

        Raises:
            WrongContent: the content is longer than the descriptor says, or does not match its digest.
            Truncated: the content is shorter than the descriptor says.
            BuildError: the blob cannot be written, or whatever `read` raises.
        """
        begun = self._partial / hex_of(descriptor)
        while not self.has(descriptor):
            with self._opened(begun) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # released by the kernel, however the holder ends
                if _is_at(file, begun):  # otherwise the previous holder completed or removed it
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
        if self.has(descriptor):  # completed between the check and the lock
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
    if check.size == descriptor.size:  # true of an empty blob too: nothing is requested
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
    """Refuse a blob that does not fit, before it takes the space that others could use."""
    disk = os.statvfs(begun.parent)
    free = disk.f_bavail * disk.f_frsize
    if disk.f_blocks and needed > free:
        text = f"cannot write {begun}: {os.strerror(errno.ENOSPC)}: {needed}B more are needed, {free}B are free"
        raise _DiskFull(text, hint="free up space there")


def cannot_write(name: object, error: OSError) -> BuildError:
    """The error for a failure to write the file called `name`."""
    if error.errno in _FULL:
        return _DiskFull(f"cannot write {name}: {error.strerror}", hint="free up space there")
    return BuildError(f"cannot write {name}: {error.strerror}")


def hex_of(descriptor: Descriptor) -> str:
    """The file name of a blob in an image layout."""
    return descriptor.digest.removeprefix("sha256:")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _is_at(file: FileIO, path: Path) -> bool:
    """Whether `path` is still the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
