"""Built services into the private registry, by the engine's own pushes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from build_lib.engine import Engine, push_by_engine, pushed_before
from build_lib.errors import BuildError, EngineError
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.registry import Registries, harbor
from build_lib.repository import Service
from build_lib.settings import Settings
from build_lib.units import some


@dataclass(frozen=True, kw_only=True, slots=True)
class PushedService:
    """Where a service's image is now, under which digest; "there": it was already."""

    place: Reference
    digest: str  # "" of a dry run, for the push gives it
    result: Literal["pushed", "there"]


def push(
    services: Mapping[str, Service],
    unfit: Mapping[str, BuildError],
    engine: Engine,
    settings: Settings,
    *,
    on_start: Callable[[str], None] = lambda _name: None,
    on_end: Callable[[Outcome[PushedService]], None] = lambda _outcome: None,
    create_project: bool = False,
    dry: bool = False,
) -> list[Outcome[PushedService]]:
    """Push the services' images, PUSH_JOBS at once; the outcomes in their order.

    Services in `unfit` are not pushed, each for the reason given there. An image that the registry already has under
    this name is left alone. With `dry`, nothing is written.

    Raises:
        SettingsError: no private registry is set.
        RegistryError: the registry is out of reach, does not let us in, or is a Harbor without that project.
    """
    registry = settings.registry_to_push_to
    places = {name: registry.place(service.image) for name, service in services.items()}
    images = engine.images.by_name()
    cancel = Cancel()

    def work(name: str, _cancel: Cancel) -> PushedService:
        if name in unfit:
            raise unfit[name]
        image = services[name].image
        return _push(image, places[name], images[image.canonical].id, engine, registries, dry=dry)

    with Registries(settings, cancel, connections=settings.pushes_at_once) as registries:
        for place in list(places.values())[:1]:
            harbor.check_access(registries, place, registry, create=create_project and not dry)
            harbor.check_project(registries.session, registry, create=create_project and not dry)
        needs: dict[str, tuple[str, ...]] = dict.fromkeys(services, ())
        return run(
            needs,
            work,
            jobs=settings.pushes_at_once,
            on_start=on_start,
            on_end=on_end,
            cancel=cancel,
            doing=lambda names: f"pushing {some(names)}",
        )


def _push(
    image: Reference, place: Reference, id: str, engine: Engine, registries: Registries, *, dry: bool
) -> PushedService:
    digest = pushed_before([place], id, registries)
    if digest:
        return PushedService(place=place, digest=digest, result="there")
    try:
        manifest = None if dry else push_by_engine(image, place, engine, registries)
    except EngineError:
        engine.check()
        raise
    return PushedService(place=place, digest=manifest.digest if manifest else "", result="pushed")
