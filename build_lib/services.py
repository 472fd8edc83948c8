"""The services of a repository: what to build, in which context, and which of them stands on which."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from build_lib import compose
from build_lib.dockerfile import ImageUse, Reading, read
from build_lib.errors import BuildError
from build_lib.reference import Reference
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One image that this repository builds."""

    name: str
    image: Reference
    context: Path
    dockerfile: Path  # the compose file if the Dockerfile is inline there
    inline: bool
    text: str  # the Dockerfile's
    target: str | None
    args: Mapping[str, str]  # the build arguments that its Dockerfile declares, with their values
    additional_contexts: tuple[tuple[str, str], ...]
    reading: Reading
    external: tuple[ImageUse, ...] = ()  # the uses of images from outside
    needs: tuple[str, ...] = ()  # the sibling services that it stands on

    @property
    def base_images(self) -> tuple[Reference, ...]:
        """The images from outside that building it takes, in the order of their names."""
        return tuple(sorted({Reference.parse(use.name) for use in self.external if use.reached}, key=str))


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something in the repository's files that could not be understood, and where; line 0: the whole file."""

    path: Path
    line: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """All services by name, in the order of their names, the images that are only run, and what is wrong."""

    services: Mapping[str, Service]
    run_images: tuple[compose.ImageEntry, ...]
    problems: tuple[Problem, ...]

    def chosen(self, names: Sequence[str]) -> dict[str, Service]:
        """The named services and all that they stand on; without names, all.

        Raises:
            BuildError: there is no service of such a name; with the nearest known ones.
        """
        for name in names:
            if name not in self.services:
                raise _unknown(name, self.services)
        wanted = set(names or self.services)
        queue = list(wanted)
        while queue:
            new = set(self.services[queue.pop()].needs) - wanted
            wanted |= new
            queue += new
        return {name: service for name, service in self.services.items() if name in wanted}


def discover(settings: Settings) -> Repository:
    """Read the compose files and the directories under `SERVICES_DIR`.

    Raises:
        BuildError: services stand on each other in a circle.
    """
    composed = compose.read(settings.compose_files, settings.environment)
    problems = [Problem(path=item.path, line=item.line, reason=item.reason) for item in composed.problems]
    drafts: dict[str, Service] = {}
    for entry in (*composed.builds, *_directories(settings, composed.builds)):
        found = _service(entry, settings)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            drafts[found.name] = found
    for service in drafts.values():
        problems += (
            Problem(path=service.dockerfile, line=item.line, reason=item.reason) for item in service.reading.problems
        )
    services = {name: _linked(drafts[name], drafts) for name in sorted(drafts)}
    _refuse_circle(services)
    return Repository(services=services, run_images=composed.images, problems=tuple(problems))


def _directories(settings: Settings, composed: Collection[compose.BuildEntry]) -> Iterator[compose.BuildEntry]:
    """The directories under `SERVICES_DIR` whose Dockerfile, or whose name, no compose entry has."""
    files, names = {entry.dockerfile for entry in composed}, {entry.name for entry in composed}
    root = settings.project_root / settings.services_dir
    for file in sorted(root.glob("*/Dockerfile")):
        if file not in files and file.parent.name not in names:
            yield compose.BuildEntry(
                name=file.parent.name,
                image=None,
                context=file.parent,
                dockerfile=file,
                dockerfile_inline=None,
                target=None,
                args=(),
                additional_contexts=(),
                platforms=(),
                path=file,
                line=1,
            )


def _service(entry: compose.BuildEntry, settings: Settings) -> Service | Problem:
    """The entry with its Dockerfile read, or what keeps it from being one."""
    if not isinstance(entry.context, Path) or not entry.context.is_dir():
        return _problem(entry, f"service {entry.name}: the context {entry.context} is no directory here")
    if entry.dockerfile is not None and not entry.dockerfile.is_file():
        return _problem(entry, f"service {entry.name}: there is no {entry.dockerfile}")
    text = _text(entry)
    declared = read(text).arguments
    offered = settings.build_args | dict(entry.args)
    args = {name: value for name, value in sorted(offered.items()) if name in declared}
    try:
        image = Reference.parse(f"{settings.image_prefix}{entry.name}:{settings.image_tag}")
    except BuildError as error:
        return _problem(entry, f"service {entry.name}: {error.message}")
    return Service(
        name=entry.name,
        image=image,
        context=entry.context,
        dockerfile=entry.dockerfile or entry.path,
        inline=entry.dockerfile is None,
        text=text,
        target=entry.target,
        args=args,
        additional_contexts=entry.additional_contexts,
        reading=read(text, args, entry.target),
    )


def _text(entry: compose.BuildEntry) -> str:
    if entry.dockerfile is None:
        return entry.dockerfile_inline or ""
    return entry.dockerfile.read_text(encoding="utf-8", errors="surrogateescape")


def _problem(entry: compose.BuildEntry, reason: str) -> Problem:
    return Problem(path=entry.path, line=entry.line, reason=reason)


def _linked(service: Service, all_services: Mapping[str, Service]) -> Service:
    """The service with its images told apart: those of siblings are edges, the others come from outside."""
    owner = {other.image.repository: other.name for other in all_services.values()}
    replaced = {name for name, _ in service.additional_contexts}
    siblings: set[str] = set()
    external = []
    for use in service.reading.images:
        sibling = owner.get(Reference.parse(use.name).repository)
        if sibling is None and use.name not in replaced:
            external.append(use)
        elif sibling is not None and use.reached:
            siblings.add(sibling)
    return replace(service, external=tuple(external), needs=tuple(sorted(siblings)))


def _refuse_circle(services: Mapping[str, Service]) -> None:
    try:
        TopologicalSorter({name: service.needs for name, service in services.items()}).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise BuildError(
            f"services stand on each other in a circle: {circle}",
            hint="one of these Dockerfiles has to take its image from elsewhere",
        ) from None


def _unknown(name: str, known: Iterable[str]) -> BuildError:
    near = get_close_matches(name, list(known), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none'}"
    return BuildError(f"there is no service {name!r}", hint=hint)
