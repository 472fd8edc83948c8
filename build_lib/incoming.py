"""An image from a registry into the engine by the content path: found, its blobs on disk, streamed into a load.

The engine's own pull fetches three layers at a time on a classic store, and begins an interrupted one again; here
blobs go on where they stopped, in this run and in the next (design, decision 6).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from build_lib import retry
from build_lib.blobs import Blobs, WrongContent
from build_lib.engine import Engine
from build_lib.errors import RegistryError
from build_lib.layout import Loadable, contents, stream
from build_lib.oci import Descriptor, Manifest, matches
from build_lib.reference import Reference, pinned
from build_lib.registry import Registries

_CHUNK = 1 << 20
_UNKNOWN_TO_CLASSIC = ("zstd", "foreign", "nondistributable")  # in layers' media types


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An image at a registry, and what of it the engine lacks."""

    source: Reference
    loadable: Loadable
    leave_out: frozenset[str]  # layers that the engine has, upon the same layers

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What has to be on disk for the load, each once."""
        return contents([self.loadable], self.leave_out)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(blob.size for blob in self.blobs)


class NotLoadable(RegistryError):
    """An image that a `docker load` cannot take in; the engine's own pull may."""


class Incoming:
    """One run's way from registries into one engine; for several threads."""

    def __init__(self, engine: Engine, registries: Registries, blobs: Blobs, *, classic: bool, tries: int) -> None:
        self._engine = engine
        self._registries = registries
        self._blobs = blobs
        self._classic = classic
        self._tries = tries
        self._platform = engine.platform()
        self.received: dict[str, int] = {}  # bytes of each blob that are here, by digest
        self._chains = frozenset(_prefixes(engine.layer_chains())) if classic else frozenset()

    def find(self, image: Reference, source: Reference, platform: str | None) -> Found:
        """Look the image up at a source, down to its layers.

        Raises:
            NotLoadable: it has to come in by the engine's own pull.
            RegistryError: it is not there, not for this platform, or another one than the pinned one.
        """
        top = self._registries.resolve(source)
        if top is None:
            raise RegistryError("there is no such image", status=404)
        if image.digest and top.digest != image.digest:
            raise RegistryError(f"it has another image there, {top.digest}: refused as a substitution")
        manifest = self._registries.manifest(source, top.digest)
        chosen = self._choose(source, manifest, platform or self._platform)
        loadable = Loadable(
            name=pinned(image) or image,
            manifests=tuple({m.digest: m for m in (manifest, chosen)}.values()),
            image=chosen,
        )
        if self._classic:
            loadable = Loadable(name=loadable.name, manifests=(chosen,), image=chosen)
        return Found(source=source, loadable=loadable, leave_out=self._held(source, chosen))

    def fetch(self, source: Reference, blob: Descriptor) -> IO[bytes]:
        """A blob on disk, complete; with wrong bytes, also in what a former run left, it is begun again."""
        return retry.call(
            lambda: self._blobs.fetched(blob, self._reader(source, blob)),
            tries=self._tries,
            cancel=self._registries.cancel,
            final=lambda error: not isinstance(error, WrongContent),  # tried again by the registries' client
        )

    def load(self, found: Found) -> None:
        """Stream it into the engine; its blobs are fetched first, as far as they are not there.

        Raises:
            BuildError: a blob is not to be had, or the engine refused the image.
        """
        with ExitStack() as stack:
            # open: another run that has loaded them may remove them
            files = {blob.digest: stack.enter_context(self.fetch(found.source, blob)) for blob in found.blobs}
            self._engine.load(
                stream([found.loadable], lambda blob: _chunks(files[blob.digest]), leave_out=found.leave_out)
            )

    def _reader(self, source: Reference, blob: Descriptor) -> Callable[[int], Iterable[bytes]]:
        return lambda offset: self._counted(blob, offset, self._registries.blob(source, blob, offset))

    def _counted(self, blob: Descriptor, offset: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self.received[blob.digest] = offset
        for chunk in chunks:
            self.received[blob.digest] += len(chunk)
            yield chunk

    def _choose(self, source: Reference, top: Manifest, platform: str) -> Manifest:
        """The manifest for the platform (image-index.md: the first that matches)."""
        if not top.manifests:
            manifest = top
        else:
            listed = [item for item in top.manifests if matches(item.platform, platform)]
            if not listed:
                known = ", ".join(item.platform for item in top.manifests if item.platform)
                raise RegistryError(f"it is not there for {platform}, but for {known}")
            manifest = self._registries.manifest(source, listed[0].digest)
        odd = [
            layer.media_type for layer in manifest.blobs[1:] for word in _UNKNOWN_TO_CLASSIC if word in layer.media_type
        ]
        if manifest.manifests or (odd and self._classic) or any(blob.urls for blob in manifest.blobs):
            raise NotLoadable(f"a load does not take {odd[0] if odd else 'such manifests'}")
        return manifest

    def _held(self, source: Reference, manifest: Manifest) -> frozenset[str]:
        """The lowest layers that some image in the engine stands on too."""
        if not self._classic or not manifest.blobs[1:]:
            return frozenset()
        with self.fetch(source, manifest.blobs[0]) as config:
            try:
                diff_ids = tuple(json.load(config)["rootfs"]["diff_ids"])
            except (ValueError, KeyError, TypeError):
                raise NotLoadable("its config names no layers") from None
        layers = manifest.blobs[1:]
        if len(diff_ids) != len(layers):
            raise NotLoadable("its config and its manifest differ in their layers")
        held = max((depth for depth in range(len(layers) + 1) if diff_ids[:depth] in self._chains), default=0)
        above = {layer.digest for layer in layers[held:]}
        return frozenset(layer.digest for layer in layers[:held]) - above


def _prefixes(chains: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    for chain in chains:
        for depth in range(1, len(chain) + 1):
            yield chain[:depth]


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
