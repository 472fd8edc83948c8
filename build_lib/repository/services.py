"""The services of a repository: what to build, in which context, and which of them depends on which."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from build_lib import compose, image_files
from build_lib.compose import Problem
from build_lib.dockerfile import read
from build_lib.errors import BuildError, InvalidReference, SettingsError
from build_lib.files import kind
from build_lib.image_files import NamedImage
from build_lib.reference import Reference
from build_lib.repository import context_remarks, dockerfiles, edges, links, lock, names
from build_lib.repository.dockerfiles import Found
from build_lib.repository.lock import Lock
from build_lib.repository.nothing_found import no_services
from build_lib.repository.service import Service
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """All services by name, in the order of their names, the images that are only run, problems and remarks.

    The services' external images have the digests of the `lock`. `named_images` are those of the files that IMAGE_FILES
    names, `not_deployed` those that only services without an active profile run. `variants` are Dockerfiles that no
    compose file and no setting makes a service.
    """

    services: Mapping[str, Service]
    run_images: tuple[compose.ImageEntry, ...]
    problems: tuple[Problem, ...]
    named_images: tuple[NamedImage, ...] = ()
    not_deployed: tuple[compose.ImageEntry, ...] = ()
    variants: tuple[Found, ...] = ()
    compose_files: tuple[Path, ...] = ()
    lock: Lock
    not_fitting: tuple[Problem, ...] = ()  # of the problems, those of the lock: nothing names what it has

    @property
    def own_images(self) -> tuple[Reference, ...]:
        """The images of all services, and those that compose would give them."""
        found = ((service.image, service.in_compose) for service in self.services.values())
        return tuple(name for names in found for name in names if name)

    def chosen(self, names: Sequence[str]) -> dict[str, Service]:
        """Return the named services and all that they depend on; without names, all services.

        Raises:
            BuildError: there is no such service; with the problem that prevents it, or with similar names.
        """
        self.require(names)
        wanted = set(names or self.services)
        queue = list(wanted)
        while queue:
            new = set(self.services[queue.pop()].needs) - wanted
            wanted |= new
            queue += new
        return {name: service for name, service in self.services.items() if name in wanted}

    def require(self, names: Sequence[str]) -> None:
        """Check that there are services of these names.

        Raises:
            BuildError: there is no such service; with the problem that prevents it, or with similar names.
        """
        for name in names:
            if name not in self.services:
                raise self._missing(name)

    def _missing(self, name: str) -> BuildError:
        for problem in self.problems:
            if problem.service == name:
                text = f"service {name} cannot be used: {problem.path}:{problem.line}: {problem.reason}"
                return BuildError(text, hint="correct the file", place=problem.place)
        return BuildError(f"there is no service {name!r}", hint=edges.similar(name, self.services))


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


def service_names(settings: Settings) -> list[str]:
    """Return the names of the services, without reading their Dockerfiles; some of these may be wrong."""
    composed = compose.read(settings.project_root, settings.compose_variables)
    files = {file.name for file in _uncovered(settings, composed.builds) if not file.variant}
    return sorted({entry.name for entry in composed.builds} | files)


def _read(settings: Settings) -> Repository:
    composed = compose.read(settings.project_root, settings.compose_variables)
    named = image_files.read(settings)
    problems = [*composed.problems, *named.problems]
    files = _uncovered(settings, composed.builds)
    drafts: dict[str, Service] = {}
    entries = (*composed.builds, *(_entry(file, settings) for file in files if not file.variant))
    shared = names.shared(entries, settings)
    for entry in entries:
        found = _service(entry, shared, settings, drafts)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            drafts[found.name] = found
    used = {name for service in drafts.values() for name in links.named_images(service)}
    for entry in composed.builds:
        if entry.name in drafts and (name := names.by_default(entry, used)):
            drafts[entry.name] = replace(drafts[entry.name], in_compose=name)
    for service in drafts.values():
        problems += (
            Problem(
                path=service.dockerfile, line=item.line, reason=item.reason, remark=item.remark, service=service.name
            )
            for item in service.reading.problems
        )
        problems += links.context_problems(service, drafts)
    owner = {service.in_compose.canonical: service.name for service in drafts.values() if service.in_compose}
    owner |= {service.image.repository: service.name for service in drafts.values()}
    edges.refuse_unknown((edge for service in drafts.values() for edge in service.edges), drafts, settings)
    services = {name: links.linked(drafts[name], drafts, owner, settings) for name in sorted(drafts)}
    edges.refuse_circle({name: service.edges for name, service in services.items()})
    problems += (problem for service in services.values() for problem in service.wrong_tags)
    problems += context_remarks.remarks(map(_use, services.values()), settings)
    locked = lock.read(settings.project_root)
    not_fitting = tuple(lock.not_named(locked, _named(services.values(), composed.images, named.images, settings)))
    problems += not_fitting
    return Repository(
        services={name: links.with_lock(service, locked) for name, service in services.items()},
        lock=locked,
        not_fitting=not_fitting,
        run_images=tuple(image for image in composed.images if image.active),
        named_images=named.images,
        problems=tuple(problems),
        not_deployed=tuple(image for image in composed.images if not image.active),
        variants=tuple(file for file in files if file.variant),
        compose_files=composed.files,
    )


def _named(
    services: Iterable[Service],
    run_images: Iterable[compose.ImageEntry],
    named_images: Iterable[NamedImage],
    settings: Settings,
) -> dict[Reference, str]:
    """All external images that anything names, also for profiles that are not active, each with one of the places."""
    found = dict.fromkeys(settings.extra_images, "EXTRA_IMAGES")
    found |= {item.image: f"{dockerfiles.below(item.path, settings)}:{item.line}" for item in named_images}
    for entry in run_images:
        with suppress(InvalidReference):
            found[Reference.parse(entry.image)] = f"{dockerfiles.below(entry.path, settings)}:{entry.line}"
    for service in services:
        for use in service.external:
            path = service.origin if use.kind == "context" else service.dockerfile
            found[Reference.parse(use.name)] = f"{dockerfiles.below(path, settings)}:{use.line}"
    return found


def _uncovered(settings: Settings, composed: Collection[compose.BuildEntry]) -> list[Found]:
    """The Dockerfiles in the repository's directories, except those whose file or name a compose entry has."""
    files, names = {entry.dockerfile for entry in composed}, {entry.name for entry in composed}
    return [file for file in dockerfiles.find(settings) if file.path not in files and file.name not in names]


def _entry(file: Found, settings: Settings) -> compose.BuildEntry:
    """What a compose file would say about this Dockerfile."""
    root, directory = settings.project_root, file.path.parent
    return compose.BuildEntry(
        name=file.name,
        image=None,
        default_image="",
        context=root / settings.services_context if settings.services_context and directory != root else directory,
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
    wrong = _without_dockerfile(entry)
    if wrong:
        return wrong
    text = _text(entry)
    seen = read(text)
    if not seen.stages and entry.path == settings.project_root / entry.path.name and entry.path == entry.dockerfile:
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
        reading=read(text, args, entry.target, _platform_of(entry, settings).partition(",")[0] or None),
    )


def _use(service: Service) -> context_remarks.Use:
    return context_remarks.Use(
        service=service.name, context=service.context, dockerfile=service.dockerfile, paths=service.reading.context
    )


def _platform_of(entry: compose.BuildEntry, settings: Settings) -> str:
    """The compose file's platforms, or the settings'; one, because an engine has images of one platform under a name.

    A fleet of builders makes images for several.

    Raises:
        SettingsError: the settings name several, but no fleet.
    """
    if settings.builders:
        return ",".join(entry.platforms) or settings.platform
    if "," in settings.platform:
        raise SettingsError(
            f"PLATFORM names several platforms, but an engine keeps images of one: {settings.platform}",
            hint="name one of them, or set BUILDERS",
        )
    return entry.platforms[0] if len(entry.platforms) == 1 else settings.platform


def _problem(entry: compose.BuildEntry, reason: str) -> Problem:
    """A problem of the place that declares the service."""
    return Problem(path=entry.path, line=entry.line, reason=reason, service=entry.name)


def _without_dockerfile(entry: compose.BuildEntry) -> Problem | None:
    """The problem of an entry whose Dockerfile cannot be read."""
    odd = kind(entry.dockerfile, follow=True) if entry.dockerfile else ""
    if odd:
        return _problem(entry, f"service {entry.name}: {entry.dockerfile} is {odd}: only regular files are read")
    if entry.dockerfile is not None and not entry.dockerfile.is_file():
        return _problem(entry, f"service {entry.name}: there is no {entry.dockerfile}")
    return None


def _text(entry: compose.BuildEntry) -> str:
    if entry.dockerfile is None:
        return entry.dockerfile_inline or ""
    return entry.dockerfile.read_text(encoding="utf-8", errors="surrogateescape")
