"""The services of a repository: what to build, in which context, and which of them depends on which."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from build_lib import compose, image_files
from build_lib.compose import Problem
from build_lib.dockerfile import ImageUse, Reading, read, with_names, wrong_with
from build_lib.errors import BuildError, InvalidReference
from build_lib.image_files import NamedImage
from build_lib.reference import Reference
from build_lib.repository import context_remarks, dockerfiles, edges, names
from build_lib.repository.dockerfiles import Found
from build_lib.repository.edges import Edge
from build_lib.repository.nothing_found import no_services
from build_lib.settings import Settings

_SERVICE, _IMAGE = "service:", "docker-image://"  # how a build context names another service, and an image

# suffixes of apphub's tags: the image as built, without the Slurm packages; and the last copy, with them
WITHOUT_SLURM, WITH_SLURM = "-without-slurm", "-with-slurm"


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One image that this repository builds."""

    name: str
    image: Reference
    context: Path
    dockerfile: Path  # the compose file if the Dockerfile is inline
    inline: bool  # `text` is not the content of a file
    text: str  # the Dockerfile's content
    target: str | None
    args: Mapping[str, str]  # the build arguments that its Dockerfile declares, with their values
    additional_contexts: tuple[tuple[str, str], ...]  # a sibling's or an external image is `docker-image://NAME`
    platform: str  # to build for, such as `linux/arm64`; "" for the engine's own
    origin: Path  # where the service is declared: the compose file, or its Dockerfile
    line: int
    reading: Reading
    external: tuple[ImageUse, ...] = ()  # the uses of external images
    edges: tuple[Edge, ...] = ()  # to the sibling services that it depends on
    health_check: tuple[str, ...] | None = None  # the compose file's, as in `compose.BuildEntry`
    in_compose: Reference | None = None  # the compose file's name for the image, which it gets after its build, too
    wrong_tags: tuple[Problem, ...] = ()  # siblings' images with another tag than this release's: it cannot be built

    @property
    def needs(self) -> tuple[str, ...]:
        """The sibling services that it depends on, in the order of their names."""
        return tuple(sorted({edge.name for edge in self.edges}))

    @property
    def build_with(self) -> tuple[str, ...]:
        """Those of them that run during its build."""
        return tuple(sorted({edge.name for edge in self.edges if edge.kind == "running"}))

    @property
    def uses_siblings(self) -> bool:
        """Whether its build uses the image of another service, which is in no registry."""
        return any(edge.kind == "image" for edge in self.edges)

    @property
    def base_images(self) -> tuple[Reference, ...]:
        """The external images that its build needs, in the order of their names."""
        return tuple(sorted({Reference.parse(use.name) for use in self.external if use.reached}, key=str))


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """All services by name, in the order of their names, the images that are only run, problems and remarks.

    `named_images` are those of the files that IMAGE_FILES names, `not_deployed` those that only services without an
    active profile run. `variants` are Dockerfiles that no compose file and no setting makes a service.
    """

    services: Mapping[str, Service]
    run_images: tuple[compose.ImageEntry, ...]
    problems: tuple[Problem, ...]
    named_images: tuple[NamedImage, ...] = ()
    not_deployed: tuple[compose.ImageEntry, ...] = ()
    variants: tuple[Found, ...] = ()
    compose_files: tuple[Path, ...] = ()

    def chosen(self, names: Sequence[str]) -> dict[str, Service]:
        """Return the named services and all that they depend on; without names, all services.

        Raises:
            BuildError: there is no such service; the hint names similar ones.
        """
        for name in names:
            if name not in self.services:
                hint = edges.similar(name, self.services)
                raise BuildError(f"there is no service {name!r}", hint=hint)
        wanted = set(names or self.services)
        queue = list(wanted)
        while queue:
            new = set(self.services[queue.pop()].needs) - wanted
            wanted |= new
            queue += new
        return {name: service for name, service in self.services.items() if name in wanted}


def with_images(service: Service, names: Sequence[tuple[ImageUse, str]]) -> Service:
    """Return the service with some images renamed in a copy of its Dockerfile."""
    if not names:
        return service
    contexts = {use.written: f"{_IMAGE}{name}" for use, name in names if use.kind == "context"}
    in_text = [(use, name) for use, name in names if use.kind != "context"]
    return replace(
        service,
        text=with_names(service.text, in_text),
        inline=True,
        additional_contexts=tuple((name, contexts.get(name, place)) for name, place in service.additional_contexts),
    )


def discover(settings: Settings, *, expected: Literal["services", "images", ""] = "") -> Repository:
    """Read the compose files, and the Dockerfiles at the top and in the directories of `SERVICES_DIR`.

    Raises:
        BuildError: services depend on each other in a circle; or there is nothing of what is expected, and no problem
            that explains it. Images are those of services, and those that compose files, `IMAGE_FILES` or
            `EXTRA_IMAGES` name. Or a service is to be built with another one running that is not there.
    """
    repository = _read(settings)
    images = repository.run_images or repository.not_deployed or repository.named_images or settings.extra_images
    if expected and not (repository.services or repository.problems or (expected == "images" and images)):
        raise no_services(settings)
    return repository


def _read(settings: Settings) -> Repository:
    composed = compose.read(settings.project_root, settings.compose_variables)
    named = image_files.read(settings)
    problems = [*composed.problems, *named.problems]
    files = _uncovered(settings, composed.builds)
    drafts: dict[str, Service] = {}
    entries = (*composed.builds, *(_entry(file) for file in files if not file.variant))
    shared = names.shared(entries, settings)
    for entry in entries:
        found = _service(entry, shared, settings, drafts)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            drafts[found.name] = found
    used = {name for service in drafts.values() for name in _named_images(service)}
    for entry in composed.builds:
        if entry.name in drafts and (name := names.by_default(entry, used)):
            drafts[entry.name] = replace(drafts[entry.name], in_compose=name)
    for service in drafts.values():
        problems += (
            Problem(path=service.dockerfile, line=item.line, reason=item.reason, remark=item.remark)
            for item in service.reading.problems
        )
        problems += _context_problems(service, drafts)
    owner = {service.in_compose.canonical: service.name for service in drafts.values() if service.in_compose}
    owner |= {service.image.repository: service.name for service in drafts.values()}
    edges.refuse_unknown((edge for service in drafts.values() for edge in service.edges), drafts, settings)
    services = {name: _linked(drafts[name], drafts, owner, settings) for name in sorted(drafts)}
    edges.refuse_circle({name: service.edges for name, service in services.items()})
    problems += (problem for service in services.values() for problem in service.wrong_tags)
    problems += context_remarks.remarks(map(_use, services.values()), settings)
    return Repository(
        services=services,
        run_images=tuple(image for image in composed.images if image.active),
        named_images=named.images,
        problems=tuple(problems),
        not_deployed=tuple(image for image in composed.images if not image.active),
        variants=tuple(file for file in files if file.variant),
        compose_files=composed.files,
    )


def _uncovered(settings: Settings, composed: Collection[compose.BuildEntry]) -> list[Found]:
    """The Dockerfiles in the repository's directories, except those whose file or name a compose entry has."""
    files, names = {entry.dockerfile for entry in composed}, {entry.name for entry in composed}
    return [file for file in dockerfiles.find(settings) if file.path not in files and file.name not in names]


def _entry(file: Found) -> compose.BuildEntry:
    """What a compose file would say about this Dockerfile."""
    return compose.BuildEntry(
        name=file.name,
        image=None,
        default_image="",
        context=file.path.parent,
        dockerfile=file.path,
        dockerfile_inline=None,
        target=None,
        args=(),
        additional_contexts=(),
        platforms=(),
        path=file.path,
        line=1,
    )


def _service(
    entry: compose.BuildEntry, shared: Collection[str], settings: Settings, known: Mapping[str, Service]
) -> Service | Problem:
    """The entry with its Dockerfile read, or the problem that prevents that; `known` are the services so far."""
    if entry.name in known:
        other = dockerfiles.below(known[entry.name].dockerfile, settings)
        return _problem(
            entry, f"service {entry.name}: {other} has the same name: rename one, or name it in a compose file"
        )
    if not isinstance(entry.context, Path) or not entry.context.is_dir():
        return _problem(entry, f"service {entry.name}: the context {entry.context} is not a local directory")
    if entry.dockerfile is not None and not entry.dockerfile.is_file():
        return _problem(entry, f"service {entry.name}: there is no {entry.dockerfile}")
    text = _text(entry)
    seen = read(text)
    if not seen.stages and entry.path == entry.dockerfile and entry.context == settings.project_root:
        # whatever it is, nobody said that it is a service
        return Problem(path=entry.path, line=0, reason="it has no FROM, so it is not a service", remark=True)
    declared = seen.arguments
    own = {name: value for name, value in entry.args if name in declared}
    args = dict(sorted((settings.build_args(declared - own.keys()) | own).items()))
    try:
        named = names.of(entry, shared, settings)
    except InvalidReference as error:
        return _problem(entry, f"service {entry.name}: {error.message}")
    return Service(
        name=entry.name,
        image=named.image,
        in_compose=named.in_compose,
        context=entry.context,
        dockerfile=entry.dockerfile or entry.path,
        inline=entry.dockerfile is None,
        text=text,
        target=entry.target,
        args=args,
        additional_contexts=entry.additional_contexts,
        origin=entry.path,
        line=entry.line,
        platform=_platform_of(entry, settings),
        edges=tuple(edges.running(entry, settings)),
        health_check=entry.health_check,
        reading=read(text, args, entry.target, _platform_of(entry, settings) or None),
    )


def _named_images(service: Service) -> Iterator[str]:
    """The images that its Dockerfile and its contexts name, in their longest form."""
    contexts = (place.removeprefix(_IMAGE) for _, place in service.additional_contexts if place.startswith(_IMAGE))
    for name in (*(use.name for use in service.reading.images), *contexts):
        if not wrong_with(name):
            yield Reference.parse(name).canonical


def _use(service: Service) -> context_remarks.Use:
    return context_remarks.Use(
        service=service.name, context=service.context, dockerfile=service.dockerfile, paths=service.reading.context
    )


def _platform_of(entry: compose.BuildEntry, settings: Settings) -> str:
    """The compose file's platform if it names just one: an engine has images of one platform under a name."""
    return entry.platforms[0] if len(entry.platforms) == 1 else settings.platform


def _text(entry: compose.BuildEntry) -> str:
    if entry.dockerfile is None:
        return entry.dockerfile_inline or ""
    return entry.dockerfile.read_text(encoding="utf-8", errors="surrogateescape")


def _problem(entry: compose.BuildEntry | Service, reason: str) -> Problem:
    """A problem of the place that declares the service."""
    path = entry.origin if isinstance(entry, Service) else entry.path
    return Problem(path=path, line=entry.line, reason=reason)


def _linked(
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
        return _problem(
            service, f"service {service.name}: {use.name} is built here as {own}: write service:{sibling.name}"
        )
    if use.kind == "from":
        reason = (
            f"FROM {use.name} is built here as {own}: write ARG IMAGE_TAG before FROM, and FROM {name}:${{IMAGE_TAG}}"
        )
    else:
        lines = f"ARG IMAGE_TAG before FROM, FROM {name}:${{IMAGE_TAG}} AS NAME, and from=NAME"
        reason = f"{use.name} is built here as {own}: write {lines}"
    return Problem(path=service.dockerfile, line=use.line, reason=reason)


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
    return f"{_IMAGE}{other.image}" if other else place


def _context_name(name: str) -> str:
    """The form in which BuildKit compares the names of contexts and images (dockerui/namedcontext.go)."""
    try:
        return str(Reference.parse(name)).removesuffix(":latest")
    except InvalidReference:
        return name


def _context_images(service: Service, contexts: Iterable[tuple[str, str]]) -> Iterator[ImageUse]:
    """The images used as contexts; `_context_problems` reports those that are not image names."""
    for name, place in contexts:
        if place.startswith(_IMAGE) and not wrong_with(place.removeprefix(_IMAGE)):
            yield ImageUse(
                name=place.removeprefix(_IMAGE),
                written=name,
                kind="context",
                line=service.line,
                stage="",
                platform=None,
                reached=True,
            )


def _context_problems(service: Service, all_services: Collection[str]) -> Iterator[Problem]:
    for name, place in service.additional_contexts:
        wrong = ""
        if place.startswith(_SERVICE) and place.removeprefix(_SERVICE) not in all_services:
            wrong = f"there is no service {place.removeprefix(_SERVICE)!r} that is built here"
        elif place.startswith(_IMAGE):
            wrong = wrong_with(place.removeprefix(_IMAGE))
        if wrong:
            reason = f"service {service.name}: the additional context {name}: {wrong}"
            yield Problem(path=service.origin, line=service.line, reason=reason)
