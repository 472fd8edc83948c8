"""Blobs from registries onto the disk: they go on where they stopped, in this run and in the next."""

from collections.abc import Callable, Iterable, Iterator
from typing import IO

from build_lib.reference import Reference
from build_lib.registry import retry
from build_lib.registry.blob_store import BlobStore, WrongContent
from build_lib.registry.client import Registries
from build_lib.registry.manifests import Descriptor


class Downloads:
    """One run's; for several threads."""

    def __init__(self, registries: Registries, blobs: BlobStore, *, tries: int) -> None:
        self._registries = registries
        self._blobs = blobs
        self._tries = tries
        self.received: dict[str, int] = {}  # bytes of each blob that are here, by digest

    def fetch(self, source: Reference, blob: Descriptor) -> IO[bytes]:
        """A blob on disk, complete; with wrong bytes, also in what a former run left, it is begun again.

        Raises:
            BuildError: it is not to be had there, or cannot be written.
        """
        return retry.call(
            lambda: self._blobs.fetched(blob, self._reader(source, blob)),
            tries=self._tries,
            cancel=self._registries.cancel,
            final=lambda error: not isinstance(error, WrongContent),  # tried again by the registries' client
        )

    def _reader(self, source: Reference, blob: Descriptor) -> Callable[[int], Iterable[bytes]]:
        return lambda offset: self._counted(blob, offset, self._registries.blob(source, blob, offset))

    def _counted(self, blob: Descriptor, offset: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self.received[blob.digest] = offset
        for chunk in chunks:
            self.received[blob.digest] += len(chunk)
            yield chunk
