"""What of an image is loaded into an engine: the manifest for its platform, and the layers that it lacks."""

import json
from collections.abc import Callable, Iterable, Iterator

from build_lib.engine.client import Engine
from build_lib.errors import RegistryError
from build_lib.reference import Reference, pinned
from build_lib.registry import INDEXES, Descriptor, Loadable, Manifest, image_layout, matches
from build_lib.units import shortened


class NotLoadable(RegistryError):
    """An image that `docker load` does not take; the engine's own pull may."""


class LoadPlan:
    """Plans loads into one engine; `classic` says that its store is the one that keeps no manifests."""

    def __init__(self, engine: Engine, *, classic: bool) -> None:
        self._classic = classic
        self._platform = engine.platform()
        self._chains = set(_prefixes(engine.images.layer_chains()))

    def loadable(
        self, image: Reference, top: Manifest, read: Callable[[Descriptor], Manifest], platform: str | None = None
    ) -> Loadable:
        """The image in the form in which the engine loads it, for `platform` or else for the engine's own.

        `read` gives a manifest that `top` lists.

        Raises:
            NotLoadable: the engine's store does not load it.
            RegistryError: there is none for this platform.
        """
        chosen = choose(top, read, platform or self._platform)
        odd = image_layout.not_for_classic(chosen) if self._classic else ""
        if not chosen.blobs or odd or any(blob.foreign for blob in chosen.blobs):
            raise NotLoadable(f"a load does not take {odd or 'such manifests'}")
        manifests = (chosen,) if self._classic else tuple({each.digest: each for each in (top, chosen)}.values())
        return Loadable(name=pinned(image) or image, manifests=manifests, image=chosen)

    def held(self, manifest: Manifest, diff_ids: tuple[str, ...]) -> frozenset[str]:
        """The lowest layers that some image in the engine begins with too, and that need not be sent.

        Raises:
            NotLoadable: the config, which lists the uncompressed layers, belongs to another image.
        """
        layers = manifest.blobs[1:]
        if not self._classic or not layers:
            return frozenset()
        if len(diff_ids) != len(layers):
            raise NotLoadable("its config and its manifest differ in their layers")
        held = max((depth for depth in range(len(layers) + 1) if self.has(diff_ids[:depth])), default=0)
        above = {layer.digest for layer in layers[held:]}
        return frozenset(layer.digest for layer in layers[:held]) - above

    def add(self, diff_ids: tuple[str, ...]) -> None:
        """Note that an image of these layers was loaded."""
        self._chains.update(_prefixes([diff_ids]))

    def has(self, diff_ids: tuple[str, ...]) -> bool:
        """Whether these layers, lowest first, begin an image that the engine has."""
        return diff_ids in self._chains


def choose(top: Manifest, read: Callable[[Descriptor], Manifest], platform: str) -> Manifest:
    """The manifest for the platform (image-index.md: the first that matches).

    Raises:
        RegistryError: there is none.
    """
    if top.media_type not in INDEXES:
        return top
    listed = [item for item in top.manifests if matches(item.platform, platform)]
    if not listed:
        known = shortened(", ".join(item.platform for item in top.manifests if item.platform)) or "none"
        raise RegistryError(f"it is not available for {platform}, only for {known}")
    return read(listed[0])


def diff_ids_of(config: bytes) -> tuple[str, ...]:
    """The digests of an image's uncompressed layers, as its config lists them (config.md).

    Raises:
        NotLoadable: it lists none.
    """
    try:
        return tuple(map(str, json.loads(config)["rootfs"]["diff_ids"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotLoadable("its config names no layers") from None


def _prefixes(chains: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    for chain in chains:
        for depth in range(1, len(chain) + 1):
            yield chain[:depth]
