"""What a service's images are: those of siblings, which it depends on, or external ones."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from build_lib.compose import Problem
from build_lib.dockerfile import ImageUse, wrong_with
from build_lib.errors import InvalidReference
from build_lib.reference import Reference
from build_lib.repository import dockerfiles, edges
from build_lib.repository.edges import Edge
from build_lib.repository.lock import Lock
from build_lib.repository.service import IMAGE, Service
from build_lib.settings import Settings

_SERVICE = "service:"  # what a build context that is another service begins with


def named_images(service: Service) -> Iterator[str]:
    """The images that its Dockerfile and its contexts name, in their longest form."""
    contexts = (place.removeprefix(IMAGE) for _, place in service.additional_contexts if place.startswith(IMAGE))
    for name in (*(use.name for use in service.reading.images), *contexts):
        if not wrong_with(name):
            yield Reference.parse(name).canonical


def linked(
    service: Service, all_services: Mapping[str, Service], owner: Mapping[str, str], settings: Settings
) -> Service:
    """The service with its images classified: those of siblings are dependencies, the others are external.

    `owner` has the service of each image repository that is built here, and of each image that compose files name.
    """
    contexts = tuple((name, _context_place(place, all_services)) for name, place in service.additional_contexts)
    replaced = {_context_name(name) for name, _ in contexts}
    written = [use for use in service.reading.images if _context_name(use.name) not in replaced]
    uses = [*written, *_context_images(service, contexts)]
    siblings = [(use, name) for use in uses if use.reached and (name := _owner(use, service, owner))]
    wrong = (_wrong_tag(service, use, all_services[name]) for use, name in siblings)
    return replace(
        service,
        additional_contexts=contexts,
        external=tuple(use for use in uses if not _owner(use, service, owner)),
        edges=(
            *(Edge(name=name, kind="image", where=_where(use, service, settings)) for use, name in siblings),
            *edges.with_packages(service.edges, all_services, settings),
        ),
        wrong_tags=tuple(problem for problem in wrong if problem),
    )


def with_lock(service: Service, lock: Lock) -> Service:
    """The service with the digests that are locked for its external images."""
    uses = (replace(use, locked=lock.digest(Reference.parse(use.name))) for use in service.external)
    return replace(service, external=tuple(uses))


def _where(use: ImageUse, service: Service, settings: Settings) -> str:
    """Where an image is named, for messages."""
    path = service.origin if use.kind == "context" else service.dockerfile
    return f"{dockerfiles.below(path, settings)}:{use.line}"


def _wrong_tag(service: Service, use: ImageUse, sibling: Service) -> Problem | None:
    """The problem of a sibling's image that this release does not build: another tag, or a digest, known too early."""
    own = str(sibling.image)
    name = own.removesuffix(f":{sibling.image.tag}")
    if Reference.parse(use.name) in (sibling.image, sibling.in_compose):
        return None
    if use.kind == "context":
        reason = f"service {service.name}: {use.name} is built here as {own}: write service:{sibling.name}"
        return Problem(path=service.origin, line=service.line, reason=reason, service=service.name)
    if use.kind == "from":
        reason = (
            f"FROM {use.name} is built here as {own}: write ARG IMAGE_TAG before FROM, and FROM {name}:${{IMAGE_TAG}}"
        )
    else:
        lines = f"ARG IMAGE_TAG before FROM, FROM {name}:${{IMAGE_TAG}} AS NAME, and from=NAME"
        reason = f"{use.name} is built here as {own}: write {lines}"
    return Problem(path=service.dockerfile, line=use.line, reason=reason, service=service.name)


def _owner(use: ImageUse, service: Service, owner: Mapping[str, str]) -> str | None:
    """The service that builds an image; None if it is external, as `redis:7` is to the service of `redis:own`."""
    image = Reference.parse(use.name)
    found = owner.get(image.canonical) or owner.get(image.repository)
    if found == service.name and service.in_compose is not None and image not in (service.image, service.in_compose):
        return None
    return found


def _context_place(place: str, all_services: Mapping[str, Service]) -> str:
    """The image of a context that is a service (compose specification, "additional_contexts"), else the context."""
    other = all_services.get(place.removeprefix(_SERVICE)) if place.startswith(_SERVICE) else None
    return f"{IMAGE}{other.image}" if other else place


def _context_name(name: str) -> str:
    """The form in which BuildKit compares the names of contexts and images (dockerui/namedcontext.go)."""
    try:
        return str(Reference.parse(name)).removesuffix(":latest")
    except InvalidReference:
        return name


def _context_images(service: Service, contexts: Iterable[tuple[str, str]]) -> Iterator[ImageUse]:
    """The images used as contexts; `context_problems` reports those that are not image names."""
    for name, place in contexts:
        if place.startswith(IMAGE) and not wrong_with(place.removeprefix(IMAGE)):
            yield ImageUse(
                name=place.removeprefix(IMAGE),
                written=name,
                kind="context",
                line=service.line,
                stage="",
                platform=None,
                reached=True,
            )


def context_problems(service: Service, all_services: Collection[str]) -> Iterator[Problem]:
    """Return the problems of its additional contexts: services that there are not, names that are none."""
    for name, place in service.additional_contexts:
        wrong = ""
        if place.startswith(_SERVICE) and place.removeprefix(_SERVICE) not in all_services:
            wrong = f"there is no service {place.removeprefix(_SERVICE)!r} that is built here"
        elif place.startswith(IMAGE):
            wrong = wrong_with(place.removeprefix(IMAGE))
        if wrong:
            reason = f"service {service.name}: the additional context {name}: {wrong}"
            yield Problem(path=service.origin, line=service.line, reason=reason, service=service.name)
