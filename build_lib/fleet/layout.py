"""An image layout on this machine in the place of the build registry, for a single builder: buildx sends what it needs.

It has the methods of `Registries` that a store needs. A place's host and path mean nothing here: content is found by
its digest alone, and names are kept in a file of the layout.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from build_lib import state
from build_lib.errors import RegistryError
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import BlobStore, Descriptor, Manifest

LAYOUT = PrivateRegistry.parse("layout.invalid/images")  # the registry that a layout stands for
_NAMES = "names.json"


class Layout:
    """The layout in a directory. For several threads; the builds of a repository exclude each other by their lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._blobs = BlobStore.of_layout(directory)
        self._naming = threading.Lock()
        with state.writing(directory / "oci-layout"):
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def resolve(self, image: Reference) -> Descriptor | None:
        """See Registries. An image that is not whole is not there, so that it is fetched or built again."""
        digest = image.digest or self._names().get(image.canonical)
        if digest is None or not self._path(digest).is_file():
            return None
        top = self.manifest(image, digest)
        return top.descriptor if self._is_whole(image, top) else None

    def manifest(self, place: Reference, name: str) -> Manifest:
        """See Registries; `name` is a digest.

        Raises:
            RegistryError: there is none.
        """
        try:
            return Manifest.read(self._path(name).read_bytes(), "")
        except OSError:
            raise RegistryError(f"{place} is not in {self.directory}: {name}") from None

    def put_manifest(self, place: Reference, name: str, manifest: Manifest) -> None:
        """See Registries."""
        self._blobs.fetch(manifest.descriptor, lambda offset: [manifest.body[offset:]])
        if name != manifest.digest:
            with self._naming:
                names = self._names() | {place.with_tag(name).canonical: manifest.digest}
                state.write(self.directory / _NAMES, names)

    def blob(self, _place: Reference, blob: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """See Registries."""
        with self._blobs.open(blob) as file:
            file.seek(offset)
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                yield chunk
        if not offset and f"sha256:{digest.hexdigest()}" != blob.digest:
            self._blobs.path(blob).unlink(missing_ok=True)
            raise RegistryError(
                f"{self._blobs.path(blob)} is damaged", hint="it was removed; the next run fetches or builds it again"
            )

    def put_blob(self, _place: Reference, blob: Descriptor, read: Callable[[], Iterable[bytes]]) -> object:
        """See Registries."""
        return self.fetch(blob, lambda offset: _after(read(), offset))

    def fetch(self, blob: Descriptor, read: Callable[[int], Iterable[bytes]]) -> Path:
        """See BlobStore."""
        return self._blobs.fetch(blob, read)

    def _is_whole(self, place: Reference, top: Manifest) -> bool:
        """Whether all content is there: of an index, that of the images whose configs are there, at least of one."""
        listed = [self.manifest(place, item.digest) for item in top.manifests if self._blobs.has(item)]
        begun = [image for image in listed or [top] if image.blobs and self._blobs.has(image.blobs[0])]
        return bool(begun) and all(self._blobs.has(blob) for image in begun for blob in image.distributed)

    def _path(self, digest: str) -> Path:
        return self._blobs.path(Descriptor(digest=digest, size=0, media_type=""))

    def _names(self) -> dict[str, str]:
        return state.read(self.directory / _NAMES, {str: str}) or {}


def _after(chunks: Iterable[bytes], offset: int) -> Iterator[bytes]:
    """The bytes from an offset on."""
    for chunk in chunks:
        if offset < len(chunk):
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))
