"""Downloads blobs from registries to disk. A download resumes where it stopped, in the same run or in a later one."""

from collections.abc import Callable, Iterable, Iterator
from typing import IO

from build_lib.reference import Reference
from build_lib.registry import retry
from build_lib.registry.blob_store import BlobStore, WrongContent
from build_lib.registry.client import Registries
from build_lib.registry.manifests import Descriptor


class Downloads:
    """The downloads of one run. Safe to use from several threads."""

    def __init__(self, registries: Registries, blobs: BlobStore, *, tries: int) -> None:
        self._registries = registries
        self._blobs = blobs
        self._tries = tries
        self.received: dict[str, int] = {}  # bytes that are present of each blob, by digest

    def fetch(self, source: Reference, blob: Descriptor) -> IO[bytes]:
        """Fetch a blob and open it for reading. If its content is wrong, even from an earlier run, it is fetched anew.

        Raises:
            BuildError: the source does not deliver the blob, or it cannot be written.
        """
        begun_by_another = self._blobs.partial_size(blob) > 0  # if it is wrong, that is not this source's fault
        return retry.call(
            lambda: self._blobs.fetched(blob, self._reader(source, blob)),
            tries=self._tries + begun_by_another,
            cancel=self._registries.cancel,
            final=lambda error: not isinstance(error, WrongContent),  # the registries' client retries the others
        )

    def _reader(self, source: Reference, blob: Descriptor) -> Callable[[int], Iterable[bytes]]:
        return lambda offset: self._counted(blob, offset, self._registries.blob(source, blob, offset))

    def _counted(self, blob: Descriptor, offset: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self.received[blob.digest] = offset
        for chunk in chunks:
            self.received[blob.digest] += len(chunk)
            yield chunk
