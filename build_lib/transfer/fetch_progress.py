"""How far a run's downloads are: blobs of the content path, and layers that the engine pulls."""

import threading
from collections.abc import Mapping

from build_lib.registry import Progress
from build_lib.transfer.content_pull import Found


class FetchProgress:
    """Counts the bytes of one run; for several threads.

    `received` says at any time how many bytes of each blob are on disk, by digest.
    """

    def __init__(self, received: Mapping[str, int]) -> None:
        self._received = received
        self._sizes: dict[str, dict[str, int]] = {}  # of blobs, by image and digest
        self._layers: dict[str, dict[str, tuple[int, int]]] = {}  # done and total, by image and the engine's id
        self._ended: set[str] = set()
        self._lock = threading.Lock()

    def expect(self, image: str, found: Found) -> None:
        """Count the blobs of an image that was found."""
        with self._lock:
            self._sizes[image] = {blob.digest: blob.size for blob in found.blobs}

    def on_layer(self, image: str, layer: str, done: int, total: int) -> None:
        """Note how far the engine is with a layer; its layers count then instead of the image's blobs."""
        with self._lock:
            self._layers.setdefault(image, {})[layer] = (done, total)

    def end(self, image: str) -> None:
        """Leave the image out of those that are coming in; its bytes still count in the sum."""
        with self._lock:
            self._ended.add(image)

    def now(self) -> Progress:
        """The bytes that are here, of how many: of each image that is coming in, and of all together."""
        received = dict(self._received)
        with self._lock:
            sizes, ended = dict(self._sizes), frozenset(self._ended)
            for image, layers in self._layers.items():
                sizes[image] = {layer: total for layer, (_, total) in layers.items()}
                received |= {layer: done for layer, (done, _) in layers.items()}
        images = {
            image: (sum(received.get(part, 0) for part in parts), sum(parts.values()))
            for image, parts in sizes.items()
            if image not in ended
        }
        total = {part: size for parts in sizes.values() for part, size in parts.items()}  # images share some
        return Progress(
            done=sum(received.get(part, 0) for part in total),
            total=sum(total.values()),
            images={image: both for image, both in images.items() if both[0]},
        )
