"""The content path: an image is found at a registry, its blobs are fetched to disk and streamed into the engine's load.

The engine's own pull fetches three layers at a time on a classic store, and begins an interrupted one again; here
blobs go on where they stopped, in this run and in the next (design, decision 6).
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from build_lib.engine import Engine, LoadPlan, NotLoadable, load_plan
from build_lib.errors import RegistryError
from build_lib.reference import Reference
from build_lib.registry import LARGEST, Descriptor, Downloads, Loadable, Manifest, Registries, image_layout

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An image at a registry, and what the engine lacks of it."""

    source: Reference
    loadable: Loadable
    leave_out: frozenset[str]  # layers that the engine has, above the same layers

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What has to be on disk for the load, each once."""
        return image_layout.contents([self.loadable], self.leave_out)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(blob.size for blob in self.blobs)


class ContentPull:
    """Pulls images from registries into one engine, for one run; for several threads.

    `classic` says that the engine's store is the one that keeps no manifests.
    """

    def __init__(self, engine: Engine, registries: Registries, downloads: Downloads, *, classic: bool) -> None:
        self._engine = engine
        self._registries = registries
        self._downloads = downloads
        self._classic = classic
        self._plan = LoadPlan(engine, classic=classic)

    def find(self, image: Reference, source: Reference, platform: str | None) -> Found:
        """Look the image up at a source, down to its layers.

        Raises:
            NotLoadable: only the engine's own pull can take it.
            RegistryError: it is not there, or not for this platform, or its digest is not the pinned one.
        """
        manifest = self._pinned(image, source) if image.digest else self._named(source)
        loadable = self._plan.loadable(
            image, manifest, lambda listed: self._registries.manifest(source, listed.digest), platform
        )
        return Found(source=source, loadable=loadable, leave_out=self._held(source, loadable.image))

    def _named(self, source: Reference) -> Manifest:
        """The manifest of this name, without a HEAD before: each round trip counts, and the bytes give the digest."""
        try:
            return self._registries.manifest(source, source.tag or "latest")
        except RegistryError as error:
            if error.status == 404:
                raise RegistryError("there is no such image", status=404) from None
            raise

    def _pinned(self, image: Reference, source: Reference) -> Manifest:
        top = self._registries.resolve(source)
        if top is None:
            raise RegistryError("there is no such image", status=404)
        if top.digest != image.digest:
            raise RegistryError(f"refused: it has a different image there, {top.digest}")
        return self._registries.manifest(source, top.digest)

    def load(self, found: Found) -> None:
        """Stream the image into the engine; blobs that are not on disk are fetched first.

        Raises:
            BuildError: a blob could not be fetched, or the engine refused the image.
        """
        with ExitStack() as stack:
            # all are opened before the first is read, for another run that has loaded them may remove them
            files = {
                blob.digest: stack.enter_context(self._downloads.fetch(found.source, blob)) for blob in found.blobs
            }
            self._engine.streams.load(
                image_layout.stream(
                    [found.loadable], lambda blob: _chunks(files[blob.digest]), leave_out=found.leave_out
                )
            )

    def _held(self, source: Reference, manifest: Manifest) -> frozenset[str]:
        """The lowest layers, as far as some image in the engine begins with the same ones."""
        if not self._classic or not manifest.blobs[1:]:
            return frozenset()
        if manifest.blobs[0].size > LARGEST:
            raise NotLoadable("its config is too large")
        with self._downloads.fetch(source, manifest.blobs[0]) as config:
            return self._plan.held(manifest, load_plan.diff_ids_of(config.read()))


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
