"""Built images from the build registry into an engine."""

from dataclasses import replace

from build_lib.engine import Engine, LoadPlan
from build_lib.fleet.layout import Layout
from build_lib.fleet.registry_store import RegistryStore
from build_lib.reference import Reference
from build_lib.registry import Registries, image_layout


def load(image: Reference, store: RegistryStore, registries: Registries | Layout, engine: Engine) -> bool:
    """Load an image into the engine under its name, unless it is there; return whether it was loaded.

    Raises:
        BuildError: the registry does not give it, or the engine does not take it.
    """
    digest, stored = store.digest(image), store.stored(image)
    if digest is None or stored is None:
        return False
    present = engine.images.by_name().get(image.canonical)
    if present is not None and present.id in (stored.manifest.blobs[0].digest, stored.manifest.digest, digest):
        return False
    place = replace(store.place(image), tag=None, digest=digest)
    plan = LoadPlan(engine, classic=not engine.keeps_content())
    top = registries.manifest(place, digest)
    platform = None if "," in store.platform else store.platform
    loadable = plan.loadable(image, top, lambda item: registries.manifest(place, item.digest), platform)
    held = plan.held(stored.manifest, stored.layers) if loadable.image.digest == stored.manifest.digest else ()
    blobs = image_layout.stream([loadable], lambda blob: registries.blob(place, blob), leave_out=held)
    engine.streams.load(blobs)
    return True
