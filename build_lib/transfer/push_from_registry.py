"""Built services from the build registry into the private registry."""

from collections.abc import Callable, Mapping

from build_lib.errors import BuildError
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.registry import AtSource, Copy, Pushed, Registries, Uploads, copy_plan, harbor
from build_lib.settings import Settings
from build_lib.transfer.push_services import PushedService
from build_lib.units import some


def push(
    images: Mapping[str, Reference],
    sources: Mapping[str, Reference],
    unfit: Mapping[str, BuildError],
    settings: Settings,
    *,
    on_start: Callable[[str], None] = lambda _name: None,
    on_end: Callable[[Outcome[PushedService]], None] = lambda _outcome: None,
    create_project: bool = False,
    dry: bool = False,
) -> list[Outcome[PushedService]]:
    """Copy the services' images, with all their platforms; the outcomes in their order.

    `sources` are their places in the build registry, by digest, without those that are `unfit`, each for the reason
    given there. With `dry`, nothing is written.

    Raises:
        SettingsError: no private registry is set.
        RegistryError: the registry is out of reach, does not let us in, or is a Harbor without that project.
    """
    registry = settings.registry_to_push_to
    places = {name: registry.place(image) for name, image in images.items()}
    cancel = Cancel()

    def find(name: str, _cancel: Cancel) -> Copy:
        if name in unfit:
            raise unfit[name]
        top = registries.manifest(sources[name], sources[name].digest or "").descriptor
        return copy_plan.compared(images[name], sources[name], top, (places[name],), registries)

    def otherwise(name: str) -> Pushed:
        raise errors[name]

    with Registries(settings, cancel, connections=settings.pushes_at_once * 2) as registries:
        for place in list(places.values())[:1]:
            harbor.check_access(registries, place, registry, create=create_project and not dry)
            harbor.check_project(registries.session, registry, create=create_project and not dry)
        found = run(
            dict.fromkeys(images, ()),
            find,
            jobs=settings.pushes_at_once,
            on_start=on_start,
            cancel=cancel,
            doing=lambda names: f"pushing {some(names)}",
        )
        copies = {outcome.name: outcome.value for outcome in found if outcome.value is not None}
        errors = {outcome.name: outcome.error for outcome in found if outcome.error is not None}
        uploads = Uploads(registries, AtSource(registries), jobs=settings.pushes_at_once, cancel=cancel, dry=dry)
        pushed = uploads.carry_out(tuple(images), copies, otherwise, lambda outcome: on_end(_of_service(outcome)))
    return [_of_service(outcome) for outcome in pushed]


def _of_service(outcome: Outcome[Pushed]) -> Outcome[PushedService]:
    pushed = outcome.value
    if pushed is None:
        return Outcome(name=outcome.name, error=outcome.error)
    result = PushedService(
        place=pushed.places[0], digest=pushed.digest, result="there" if pushed.result == "there" else "pushed"
    )
    return Outcome(name=outcome.name, value=result)
