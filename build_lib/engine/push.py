"""Images that only the engine has, into a registry: by the engine's own push, which gives them a new digest."""

from collections.abc import Sequence

from build_lib.engine.client import Engine
from build_lib.errors import RegistryError
from build_lib.reference import Reference
from build_lib.registry import Manifest, Registries, retry


def pushed_before(places: Sequence[Reference], id: str, registries: Registries) -> str:
    """The image's digest at the registry, if all places have it already; else "".

    `id` is the image's in the engine: its config's digest, or, in a containerd store, its own.
    """
    tops = [registries.resolve(place) for place in places]
    found = {top.digest if top else "" for top in tops}
    if len(found) != 1 or "" in found:
        return ""
    [digest] = found
    manifest = registries.manifest(places[0], digest)
    return digest if id in (digest, *(blob.digest for blob in manifest.blobs[:1])) else ""


def push_by_engine(image: Reference, place: Reference, engine: Engine, registries: Registries) -> Manifest:
    """Push the image as `place`, a name that the engine has only for the push; the manifest at the registry then.

    Raises:
        EngineError: the push failed, also when tried again.
        RegistryError: the image is not there after the push.
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
