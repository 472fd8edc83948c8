"""A tar archive that the engine sends in chunks, read as it comes."""

import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_CHUNK = 1 << 20


@contextmanager
def opened(chunks: Iterator[bytes]) -> Iterator[tarfile.TarFile]:
    """The archive, to be read once and in order."""
    with tarfile.open(fileobj=_Chunks(chunks), mode="r|", bufsize=_CHUNK) as archive:
        yield archive
    for _ in chunks:  # an answer that is read to its last byte leaves a connection that can be used again
        pass


def first(chunks: Iterator[bytes]) -> tarfile.TarInfo | None:
    """The archive's first member; the rest is not read."""
    with tarfile.open(fileobj=_Chunks(chunks), mode="r|", bufsize=tarfile.BLOCKSIZE) as archive:
        return archive.next()


class _Chunks(io.RawIOBase):
    """Chunks as a file that tarfile can read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        out, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return out
