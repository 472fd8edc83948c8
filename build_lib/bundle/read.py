"""Loads the images of a bundle into the engine or into a private registry, after every byte was checked."""

from collections.abc import Collection
from pathlib import Path

from build_lib.bundle.archive import Archive
from build_lib.bundle.collect import Connect
from build_lib.bundle.load_into_engine import IntoEngine
from build_lib.bundle.load_into_registry import IntoRegistry
from build_lib.bundle.load_result import Listener, Loaded
from build_lib.graph import Cancel, Outcome
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings


def into_engine(
    path: Path,
    settings: Settings,
    connect: Connect,
    listener: Listener,
    *,
    kept: Collection[Reference] = (),
    dry: bool = False,
) -> list[Outcome[Loaded]]:
    """Load a bundle's images into the engine, under their names. Outcomes are in the bundle's order.

    `kept` are images whose names, whatever their tags, are not replaced by others.

    Raises:
        BadBundle: the file is damaged, or not a bundle.
        BuildError: it is a delta, and the engine does not have all of its layers; with the images that need them. Or it
            would replace names of `kept`.
    """
    with Archive.open(path) as archive:
        archive.check(jobs=settings.pulls_at_once, on_progress=listener.on_progress)
        with connect() as engine:
            return IntoEngine(archive, engine).load(settings.pulls_at_once, listener, kept=kept, dry=dry)


def into_registry(
    path: Path,
    settings: Settings,
    listener: Listener,
    *,
    release: str | None = None,
    kept: Collection[Reference] = (),
    dry: bool = False,
) -> list[Outcome[Loaded]]:
    """Upload a bundle's images to the private registry, with their digests. Outcomes are in the bundle's order.

    Their names are those that `deps-push` writes for `release`, by default the bundle's own release. Those that `push`
    writes for `kept` are not replaced by others.

    Raises:
        BadBundle: the file is damaged, or not a bundle.
        BuildError: no registry is set, it cannot be written to, or it does not have all layers that a delta needs. Or
            names of `kept` would be replaced.
    """
    registry = settings.registry_to_push_to
    with Archive.open(path) as archive:
        archive.check(jobs=settings.pulls_at_once, on_progress=listener.on_progress)
        cancel = Cancel()
        with Registries(settings, cancel, connections=settings.pushes_at_once * 2) as registries:
            work = IntoRegistry(archive, registry, registries, release or archive.listing.release)
            return work.load(settings.pushes_at_once, cancel, listener, kept=kept, dry=dry)
