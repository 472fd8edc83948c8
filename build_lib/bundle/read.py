"""Loads bundles, after every byte was checked: images into the engine or a registry, downloads into the store."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from build_lib.bundle.archive import Archive
from build_lib.bundle.collect import Connect
from build_lib.bundle.load_downloads import IntoStore, LoadedDownloads
from build_lib.bundle.load_into_engine import IntoEngine
from build_lib.bundle.load_into_registry import IntoRegistry
from build_lib.bundle.load_result import Listener, Loaded
from build_lib.graph import Cancel, Outcome
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedBundle:
    """The results of a load, in the bundle's order: of each image, and of each service whose downloads it carries."""

    images: tuple[Outcome[Loaded], ...]
    downloads: tuple[Outcome[LoadedDownloads], ...]


def into_engine(
    path: Path,
    settings: Settings,
    connect: Connect,
    listener: Listener,
    *,
    kept: Collection[Reference] = (),
    dry: bool = False,
) -> LoadedBundle:
    """Load a bundle's images into the engine, under their names, and its downloads into this repository's store.

    `kept` are images whose names, whatever their tags, are not replaced by others.

    Raises:
        BadBundle: the file is damaged, or not a bundle.
        BuildError: it is a delta, and the engine does not have all of its layers, or the store not all downloads; with
            the images or services that need them. Or it would replace names of `kept`.
    """
    with Archive.open(path) as archive:
        archive.check(jobs=settings.pulls_at_once, on_progress=listener.on_progress)
        store = IntoStore(archive, settings)
        store.refuse()
        with connect() as engine:
            images = IntoEngine(archive, engine).load(settings.pulls_at_once, listener, kept=kept, dry=dry)
        return LoadedBundle(images=tuple(images), downloads=tuple(store.load(dry=dry)))


def into_registry(
    path: Path,
    settings: Settings,
    listener: Listener,
    *,
    release: str | None = None,
    kept: Collection[Reference] = (),
    dry: bool = False,
) -> LoadedBundle:
    """Upload a bundle's images to the private registry, with their digests. Its downloads go into the store here.

    Their names are those that `deps-push` writes for `release`, by default the bundle's own release. Those that `push`
    writes for `kept` are not replaced by others.

    Raises:
        BadBundle: the file is damaged, or not a bundle.
        BuildError: no registry is set, it cannot be written to, or it does not have all layers that a delta needs, or
            the store not all downloads. Or names of `kept` would be replaced.
    """
    registry = settings.registry_to_push_to
    with Archive.open(path) as archive:
        archive.check(jobs=settings.pulls_at_once, on_progress=listener.on_progress)
        store = IntoStore(archive, settings)
        store.refuse()
        cancel = Cancel()
        with Registries(settings, cancel, connections=settings.pushes_at_once * 2) as registries:
            work = IntoRegistry(archive, registry, registries, release or archive.listing.release)
            images = work.load(settings.pushes_at_once, cancel, listener, kept=kept, dry=dry)
        return LoadedBundle(images=tuple(images), downloads=tuple(store.load(dry=dry)))
