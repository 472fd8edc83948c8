"""Collects the images for a bundle: from the registries of the source chain, or else from the engine."""

import json
import os
import platform as machine
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace

from build_lib.bundle import layers
from build_lib.bundle.contents import Listed, Variant
from build_lib.engine import Engine, Image, NotLoadable, load_plan, saved_images
from build_lib.errors import BuildError, EngineError, Refusal, RegistryError, Unavailable
from build_lib.foreign import on_one_line
from build_lib.reference import Reference, pinned
from build_lib.registry import (
    IMAGE_CONFIGS,
    LARGEST,
    BlobStore,
    Descriptor,
    Downloads,
    Loadable,
    Manifest,
    Registries,
    copy_plan,
    image_layout,
    is_sha256,
    matches,
    source_chain,
)
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.units import shortened

Connect = Callable[[], AbstractContextManager[Engine]]

FROM_ENGINE = "engine"  # the source of images that no registry has
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # Go's names for those of uname
_EXPORTS = 4  # at once, because each compresses


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """An image, and the registries that may have its blobs; blobs of an image from the engine are already on disk."""

    listed: Listed
    loadable: Loadable
    sources: tuple[Reference, ...]

    @property
    def blobs(self) -> dict[str, Descriptor]:
        """Configs and layers by digest, without foreign layers, which are not copied."""
        return {blob.digest: blob for manifest in self.loadable.manifests for blob in manifest.distributed}

    @property
    def foreign(self) -> frozenset[str]:
        """The digests of foreign layers, which registries do not distribute."""
        return frozenset(blob.digest for each in self.loadable.manifests for blob in each.blobs if blob.foreign)


class Collect:
    """The lookups of one run, for several threads. With `dry`, nothing is written and no image is exported."""

    def __init__(
        self,
        settings: Settings,
        registries: Registries,
        connect: Connect,
        blobs: BlobStore,
        *,
        platforms: Sequence[str],
        built: Mapping[Reference, Reference],
        dry: bool,
    ) -> None:
        self.downloads = Downloads(registries, blobs, tries=settings.tries)
        self._settings = settings
        self._registries = registries
        self._connect = connect
        self._blobs = blobs
        self._platforms = tuple(platforms)
        self._built = built
        self._dry = dry
        self._exporting = threading.BoundedSemaphore(min(os.cpu_count() or 1, _EXPORTS))

    def find(self, item: Dependency) -> Collected:
        """Find a dependency image.

        Raises:
            Unavailable: neither a registry nor the engine has it; with the reason of each source.
        """
        sources = tuple(source_chain.places(item.image, self._settings))
        refusals: list[Refusal] = []
        for source, top in copy_plan.sources_with(item.image, sources, self._registries, refusals):
            try:
                found = self._read(item, source, top)
            except BuildError as error:
                if self._registries.cancel.requested():
                    raise
                refusals.append(Refusal(source=source.host, reason=error.message))
            else:
                return replace(found, sources=(source, *(each for each in sources if each != source)))
        try:
            return self._from_engine(item)
        except EngineError as error:
            raise Unavailable(str(item.image), [*refusals, Refusal(source="engine", reason=error.message)]) from None

    def service(self, image: Reference) -> Collected:
        """Take a service's image from the build registry, if it is there, else from the engine.

        Raises:
            EngineError: the image is not built.
            RegistryError: the registry does not give it.
        """
        if image in self._built:
            source = self._built[image]
            top = self._registries.manifest(source, source.digest or "").descriptor
            found = self._read(Dependency(image=image, needs=()), source, top)
            return replace(found, listed=replace(found.listed, service=True), sources=(source,))
        with self._connect() as engine:
            if image.identity not in engine.images.by_name():
                raise EngineError(f"{image} is not built", hint="./inv build-all builds the services")
            return self._exported(image, engine, service=True)

    def _read(self, item: Dependency, source: Reference, top: Descriptor) -> Collected:
        if self._platforms and not item.image.digest:
            found = copy_plan.tree_for_platforms(source, top.digest, self._registries, self._platforms)
        else:
            found = copy_plan.manifest_tree(source, top.digest, self._registries)
        manifests = tuple({each.digest: each for each in reversed(tuple(found))}.values())
        own = (item.platform,) if item.platform else self._settings.platforms or (_here(),)
        loadable = Loadable(
            name=pinned(item.image) or item.image,
            manifests=manifests,
            image=_chosen(manifests, self._platforms or own),
        )
        variants = tuple(self._variant(source, manifest) for manifest in manifests if manifest.blobs)
        if self._platforms and not item.image.digest:
            _check_platform(variants, self._platforms)
        collected = gathered(item.image, loadable, variants, source.host)
        return replace(collected, listed=replace(collected.listed, locked=item.locked is not None))

    def _variant(self, source: Reference, manifest: Manifest) -> Variant:
        config = self._config(source, manifest.blobs[0])
        layers.diff_ids(manifest, config)
        return variant_of(manifest, config)

    def _config(self, source: Reference, config: Descriptor) -> bytes:
        """A config; b"" if it is too large for one of an image."""
        if config.size > LARGEST:
            return b""
        if self._dry and not self._blobs.has(config):
            return b"".join(self._registries.blob(source, config))
        with self.downloads.fetch(source, config) as file:
            return file.read()

    def _from_engine(self, item: Dependency) -> Collected:
        image = item.image
        with self._connect() as engine:
            if image.digest:
                raise EngineError("it cannot provide an image that is pinned by its digest")
            if image.identity not in engine.images.by_name():
                raise EngineError("it has no such image")
            wanted = self._platforms or ((item.platform,) if item.platform else self._settings.platforms)
            if wanted and not any(engine.images.is_for(image, platform) for platform in wanted):
                raise EngineError(f"it has the image, but not for {', '.join(wanted)}")
            return self._exported(image, engine)

    def _exported(self, image: Reference, engine: Engine, *, service: bool = False) -> Collected:
        if self._dry:
            return _unseen(image, engine.images.by_name()[image.identity], service=service)
        with self._exporting:
            manifest = saved_images.export(image, engine, self._blobs, self._settings.state_dir / "blobs")
        variant = variant_of(manifest, b"".join(self._blobs.chunks(manifest.blobs[0])))
        loadable = Loadable(name=image, manifests=(manifest,), image=manifest)
        return gathered(image, loadable, (variant,), FROM_ENGINE, service=service)


def variant_of(manifest: Manifest, config: bytes) -> Variant:
    """The layers and the platform of a manifest. If its config is not that of an image, only the layers are known."""
    diff_ids: tuple[str, ...] = ()
    platform = ""
    with suppress(NotLoadable, ValueError, AttributeError):
        diff_ids = load_plan.diff_ids_of(config)
        found = json.loads(config)
        parts = map(found.get, ("os", "architecture", "variant"))
        platform = shortened("/".join(part for part in parts if part and isinstance(part, str)))
    if manifest.blobs[0].media_type not in IMAGE_CONFIGS or not all(map(is_sha256, diff_ids)):
        diff_ids = ()
    return Variant(
        layers=tuple(layer.digest for layer in manifest.blobs[1:]), diff_ids=diff_ids, platform=on_one_line(platform)
    )


def _check_platform(variants: Sequence[Variant], platforms: Sequence[str]) -> None:
    """Check the platform of an image without an index, which only its config names."""
    found = [variant.platform for variant in variants if variant.platform]
    if found and not any(matches(platform, wanted) for platform in found for wanted in platforms):
        raise RegistryError(f"it is not available for {', '.join(platforms)}, only for {', '.join(found)}")


def _chosen(manifests: Sequence[Manifest], platforms: Sequence[str]) -> Manifest:
    """The manifest that `docker load` gets, which loads one platform: the first of these that is available."""
    by_digest = {manifest.digest: manifest for manifest in manifests}
    failure: RegistryError | None = None
    for platform in platforms:
        try:
            chosen = load_plan.choose(manifests[0], lambda listed: by_digest[listed.digest], platform)
        except RegistryError as error:
            failure = failure or error
            continue
        if not chosen.blobs:
            raise RegistryError("it is an index of indexes")
        return chosen
    assert failure is not None
    raise failure


def gathered(
    image: Reference, loadable: Loadable, variants: tuple[Variant, ...], source: str, *, service: bool = False
) -> Collected:
    """An image that was found, with its entry for the listing."""
    top = loadable.manifests[0]
    blobs = {blob.digest: blob.size for each in loadable.manifests for blob in each.distributed}
    listed = Listed(
        image=image,
        digest=top.digest,
        media_type=top.media_type,
        size=sum(blobs.values()) + sum(len(each.body) for each in loadable.manifests),
        source=source,
        service=service,
        variants=variants,
        not_loaded=on_one_line(image_layout.not_for_classic(loadable.image)),
    )
    return Collected(listed=listed, loadable=loadable, sources=())


def _unseen(image: Reference, held: Image, *, service: bool) -> Collected:
    """An image of the engine that is not exported: it counts as one uncompressed blob."""
    blob = Descriptor(digest=held.id, size=held.size, media_type="")
    manifest = Manifest(body=b"", media_type="", manifests=(), blobs=(blob,))
    loadable = Loadable(name=image, manifests=(manifest,), image=manifest)
    found = gathered(image, loadable, (), FROM_ENGINE, service=service)
    return replace(found, listed=replace(found.listed, digest=""))


def _here() -> str:
    name = machine.machine()
    return f"linux/{_ARCHITECTURES.get(name, name)}"
