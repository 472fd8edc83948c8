"""An image that the engine alone has, into a registry: by the engine's own push, which gives it a digest of its own."""

from collections.abc import Sequence

from build_lib.engine.client import Engine
from build_lib.errors import RegistryError
from build_lib.reference import Reference
from build_lib.registry import Manifest, Registries, retry


def pushed_before(places: Sequence[Reference], id: str, registries: Registries) -> str:
    """The digest there, if all places are this image of the engine, whose id is its config's or its own; else ""."""
    tops = [registries.resolve(place) for place in places]
    found = {top.digest if top else "" for top in tops}
    if len(found) != 1 or "" in found:
        return ""
    [digest] = found
    manifest = registries.manifest(places[0], digest)
    return digest if id in (digest, *(blob.digest for blob in manifest.blobs[:1])) else ""


def push_by_engine(image: Reference, place: Reference, engine: Engine, registries: Registries) -> Manifest:
    """Push it under one name, which the engine has only meanwhile; what the registry then has.

    Raises:
        EngineError: the push failed, also when tried again.
        RegistryError: the image is not there after it.
    """
    login = registries.session.login(place.host)
    had = place.identity in engine.images.by_name()
    engine.images.tag(str(image), place)
    try:
        retry.call(lambda: engine.streams.push(place, login), tries=registries.tries, cancel=registries.cancel)
    finally:
        if not had:
            engine.images.remove(place)
    top = registries.resolve(place)
    if top is None:
        raise RegistryError(f"{place} is not there after the engine's push")
    return registries.manifest(place, top.digest)
