"""An image from a registry into the engine by the content path: found, its blobs on disk, streamed into a load.

The engine's own pull fetches three layers at a time on a classic store, and begins an interrupted one again; here
blobs go on where they stopped, in this run and in the next (design, decision 6).
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from build_lib.engine import Engine, LoadPlan, load_plan
from build_lib.errors import RegistryError
from build_lib.reference import Reference
from build_lib.registry import BlobStore, Descriptor, Downloads, Loadable, Manifest, Registries, image_layout

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An image at a registry, and what of it the engine lacks."""

    source: Reference
    loadable: Loadable
    leave_out: frozenset[str]  # layers that the engine has, upon the same layers

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What has to be on disk for the load, each once."""
        return image_layout.contents([self.loadable], self.leave_out)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(blob.size for blob in self.blobs)


class Incoming:
    """One run's way from registries into one engine; for several threads."""

    def __init__(self, engine: Engine, registries: Registries, blobs: BlobStore, *, classic: bool, tries: int) -> None:
        self._engine = engine
        self._registries = registries
        self._downloads = Downloads(registries, blobs, tries=tries)
        self._classic = classic
        self._fitting = LoadPlan(engine, classic=classic)

    @property
    def received(self) -> dict[str, int]:
        """Bytes of each blob that are here, by digest."""
        return self._downloads.received

    def find(self, image: Reference, source: Reference, platform: str | None) -> Found:
        """Look the image up at a source, down to its layers.

        Raises:
            NotLoadable: it has to come in by the engine's own pull.
            RegistryError: it is not there, not for this platform, or another one than the pinned one.
        """
        manifest = self._pinned(image, source) if image.digest else self._named(source)
        loadable = self._fitting.loadable(
            image, manifest, lambda listed: self._registries.manifest(source, listed.digest), platform
        )
        return Found(source=source, loadable=loadable, leave_out=self._held(source, loadable.image))

    def _named(self, source: Reference) -> Manifest:
        """What bears the name there, without asking before: each round trip counts, and its digest is told by it."""
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
            raise RegistryError(f"it has another image there, {top.digest}: refused as a substitution")
        return self._registries.manifest(source, top.digest)

    def fetch(self, source: Reference, blob: Descriptor) -> IO[bytes]:
        """A blob on disk, complete."""
        return self._downloads.fetch(source, blob)

    def load(self, found: Found) -> None:
        """Stream it into the engine; its blobs are fetched first, as far as they are not there.

        Raises:
            BuildError: a blob is not to be had, or the engine refused the image.
        """
        with ExitStack() as stack:
            # open: another run that has loaded them may remove them
            files = {blob.digest: stack.enter_context(self.fetch(found.source, blob)) for blob in found.blobs}
            self._engine.streams.load(
                image_layout.stream(
                    [found.loadable], lambda blob: _chunks(files[blob.digest]), leave_out=found.leave_out
                )
            )

    def _held(self, source: Reference, manifest: Manifest) -> frozenset[str]:
        """The lowest layers that some image in the engine stands on too."""
        if not self._classic or not manifest.blobs[1:]:
            return frozenset()
        with self.fetch(source, manifest.blobs[0]) as config:
            return self._fitting.held(manifest, load_plan.diff_ids_of(config.read()))


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
