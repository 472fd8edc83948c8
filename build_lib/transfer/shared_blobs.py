"""The blobs that a run's images wait for: each is fetched once, and removed when no image waits for it any more."""

import threading
from collections import Counter

from build_lib.errors import BuildError
from build_lib.graph import Cancel
from build_lib.reference import Reference
from build_lib.registry import BlobStore, Descriptor, Downloads, retry
from build_lib.transfer.content_pull import Found


class SharedBlobs:
    """Fetches one run's blobs, for several threads; with `keep`, they stay in the store."""

    def __init__(self, downloads: Downloads, store: BlobStore, cancel: Cancel, *, keep: bool) -> None:
        self._downloads = downloads
        self._store = store
        self._cancel = cancel
        self._keep = keep
        self._failures: dict[tuple[str, str], BuildError] = {}  # by host and digest
        self._retries: Counter[str] = Counter()  # by digest
        self._awaited: dict[str, list[Descriptor]] = {}  # by image, from each source that it was to come from
        self._waiting: Counter[str] = Counter()  # how many images wait for a blob, by digest
        self._lock = threading.Lock()

    def wait_for(self, image: str, found: Found) -> None:
        """Note that the image waits for what was found of it."""
        with self._lock:
            self._awaited.setdefault(image, []).extend(found.blobs)
            self._waiting.update(blob.digest for blob in found.blobs)

    def fetch(self, source: Reference, blob: Descriptor) -> None:
        """Fetch a blob to disk. A failure is kept: `check` raises it for each image that needs the blob.

        Raises:
            BuildError: the run was cancelled.
        """
        with retry.counted() as passed:
            try:
                self._downloads.fetch(source, blob).close()
            except BuildError as error:
                if self._cancel.requested():
                    raise
                with self._lock:
                    self._failures[source.host, blob.digest] = error
        with self._lock:
            self._retries[blob.digest] = len(passed)

    def check(self, found: Found) -> None:
        """See whether the image's blobs could be fetched from its source, as far as that was tried.

        Raises:
            BuildError: one could not; with the reason.
        """
        with self._lock:
            failures = [self._failures.get((found.source.host, blob.digest)) for blob in found.blobs]
        for error in failures:
            if error is not None:
                raise error

    def retries(self, found: Found) -> int:
        """How many failures passed while the image's blobs were fetched."""
        with self._lock:
            return sum(self._retries[blob.digest] for blob in found.blobs)

    def release(self, image: str) -> None:
        """Remove the blobs of an image that the engine has now, except those that other images wait for."""
        if self._keep:
            return
        with self._lock:
            blobs = self._awaited.pop(image, [])
            self._waiting.subtract(blob.digest for blob in blobs)
            unused = [blob for blob in blobs if not self._waiting[blob.digest]]
        for blob in unused:
            self._store.remove(blob)
