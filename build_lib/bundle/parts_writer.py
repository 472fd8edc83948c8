"""Writes large files, whole or in numbered parts with checksums (`parts`)."""

import errno
import fcntl
import hashlib
import os
import shlex
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from build_lib.bundle.parts import matching, sums_of
from build_lib.errors import BadBundle, BuildError
from build_lib.registry import cannot_write


def check_target(path: Path, own: Path) -> None:
    """Check that a file can be written there, before any work. Only the directory `own` is created when needed.

    Raises:
        BuildError: the path is a directory, or its directory does not exist or is not writable: perhaps the disk that
            should be there is not mounted.
    """
    if path.is_dir():
        raise BuildError(f"{path} is a directory", hint="-f names a file")
    if path.parent == own and not own.exists():
        return
    if not path.parent.is_dir():
        hint = f"mount the disk, or mkdir -p {shlex.quote(str(path.parent))}"
        raise BuildError(f"cannot write {path}: there is no directory {path.parent}", hint=hint)
    if not os.access(path.parent, os.W_OK):
        hint = "name another file with -f, or run it as the owner of the directory"
        raise BuildError(f"cannot write {path}: the directory {path.parent} is not writable", hint=hint)


class Writer:
    """Writes a file, or parts of at most `limit` bytes, under temporary names that are renamed at the end.

    Existing files of these names are replaced then. If writing fails, nothing is left. After a kill, the temporary
    files remain, and the next writer of the same name overwrites them.
    """

    def __init__(self, path: Path, limit: int | None) -> None:
        self.path = path
        self.parts: list[Path] = []
        self._limit = limit
        self._room = 0
        self._file: FileIO | None = None
        self._finished = False
        self._sums: list[str] = []
        self._hash = hashlib.sha256()
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _temporary(self.path).open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._lock.truncate(0)  # what a killed writer left
            for part in matching(_temporary(self.path)):
                part.unlink()
        except BlockingIOError:
            assert self._lock is not None
            self._lock.close()
            raise BuildError(
                f"another process is writing {self.path}", hint="wait for it, or name another file with -f"
            ) from None
        except (FileExistsError, NotADirectoryError):
            raise BuildError(f"cannot write {self.path}: {self.path.parent} is not a directory") from None
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        for path in matching(_temporary(self.path)):
            path.unlink()
        if self._limit or not self._finished:  # otherwise it was renamed, and another writer may have begun
            _temporary(self.path).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def _failed(self, error: OSError) -> BuildError:
        if error.errno == errno.EFBIG:
            text = f"cannot write {self.path}: the file system does not support files of this size"
            return BuildError(text, hint="--split 4G writes parts that fit on FAT")
        return cannot_write(self.path, error)

    def write(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises:
            BuildError: the chunk cannot be written, for example because the disk is full.
        """
        rest = memoryview(chunk)
        try:
            while rest:
                if self._file is None or not self._room:
                    self._begin()
                assert self._file is not None
                count = self._file.write(rest[: self._room] if self._limit else rest)
                if self._limit:
                    self._hash.update(rest[:count])
                    self._room -= count
                rest = rest[count:]
        except OSError as error:
            raise self._failed(error) from error

    def finish(self) -> tuple[Path, ...]:
        """Give the files their final names, after everything was written. Return these names.

        Raises:
            BuildError: as for `write`.
        """
        try:
            self._end()
            former = _former_parts(self.path)
            sums = self.path.with_name(f"{self.path.name}.sha256")
            sums.unlink(missing_ok=True)
            for number in range(len(self.parts)):
                self._written(number).replace(self.parts[number])
            if self._limit:
                self.path.unlink(missing_ok=True)
                _write_text(sums, "".join(self._sums))
            for path in former:
                if path not in self.parts:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error
        self._finished = True
        return tuple(self.parts)

    def _begin(self) -> None:
        self._end()
        number = len(self.parts)
        self.parts.append(self.path.with_name(f"{self.path.name}.{number + 1:03}") if self._limit else self.path)
        self._file = self._written(number).open("wb", buffering=0)
        self._hash = hashlib.sha256()
        self._room = self._limit or 1

    def _end(self) -> None:
        """Complete the current file. It is synced to its medium, which may be removed afterwards."""
        if self._file is None:
            return
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        if self._limit:
            self._sums.append(f"{self._hash.hexdigest()}  {self.parts[-1].name}\n")

    def _written(self, number: int) -> Path:
        """The temporary name of a part. A whole file is written to the file that is locked."""
        temporary = _temporary(self.path)
        return temporary.with_name(f"{temporary.name}.{number + 1:03}") if self._limit else temporary


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _former_parts(path: Path) -> list[Path]:
    """The parts that an earlier checksum file lists, which are removed together with it."""
    with suppress(BadBundle):
        return [path.with_name(name) for name in sums_of(path)]
    return []


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
