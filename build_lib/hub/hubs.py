"""The hubs of a repository: which services serve packages, in which directories, and where the packages come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from build_lib.errors import BuildError, PackagesError
from build_lib.repository import Repository, Service
from build_lib.settings import PACKAGES, ServicePath, Settings

UNIFIED = "unified"


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """A directory that a hub serves, and what is copied into it; without sources, it has only what the hub brings."""

    path: str
    sources: tuple[ServicePath, ...]

    def holds(self, name: str) -> bool:
        """Whether a file in it is a package, or one that could be copied."""
        return name.endswith(PACKAGES) or any(source.takes(name) for source in self.sources)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    """A service that serves packages."""

    service: Service
    directories: tuple[Directory, ...]
    absent: tuple[str, ...] = ()  # services of the default of `HUB_PACKAGES` that the repository does not have

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The services whose packages it gets."""
        return tuple(sorted({source.service for directory in self.directories for source in directory.sources}))


def find_hubs(repository: Repository, settings: Settings) -> tuple[Hub, ...]:
    """The hubs that `HUB_PACKAGES` names. Its default names services that a repository need not have.

    Raises:
        PackagesError: `HUB_PACKAGES` names a service that there is not, and is not the default.
    """
    key = Settings.hub_packages.key
    if settings.hub_packages != key.parse(key.default):
        _require_services(repository, settings)
    targets = dict.fromkeys(entry.target.service for entry in settings.hub_packages)
    return tuple(_hub(name, repository, settings) for name in targets if name in repository.services)


def why_none(repository: Repository, settings: Settings) -> str:
    """Why the repository has no hub, in words."""
    sources = {entry.source.service for entry in settings.hub_packages if entry.source}
    targets = {entry.target.service for entry in settings.hub_packages}
    return no_services(sorted(sources - repository.services.keys()) + sorted(targets))


def no_services(names: Sequence[str]) -> str:
    """That there are no such services, in words."""
    return f"there {'is no service' if len(names) == 1 else 'are no services'} {' and '.join(names)}"


def require_mode(hub: Hub, settings: Settings) -> None:
    """Check that the hub's Dockerfile has what `APPHUB_MODE=unified` asks for.

    Raises:
        PackagesError: it has not; the hint says what to write.
    """
    if settings.apphub_mode != UNIFIED or "APPHUB_MODE" in hub.service.args:
        return
    line = "its stage and COPY --from=… /out/*.deb"
    for directory in hub.directories:
        for source in directory.sources:
            image = f"${{IMAGE_PREFIX}}{source.service}:${{IMAGE_TAG}}"
            files = f"{source.directory}/{source.pattern or '*.deb'}"
            line = f"COPY --from={source.service} {files} {directory.path}/ after FROM {image} AS {source.service}"
    raise PackagesError(
        f"APPHUB_MODE is {UNIFIED}, but {hub.service.dockerfile} has no ARG APPHUB_MODE",
        hint=f"leave APPHUB_MODE empty; if the build is to copy the packages, write {line}",
    )


def _hub(name: str, repository: Repository, settings: Settings) -> Hub:
    entries = [entry for entry in settings.hub_packages if entry.target.service == name]
    found: dict[str, list[ServicePath]] = {entry.target.directory: [] for entry in entries}
    absent = set()
    for entry in entries:
        if entry.source and entry.source.service in repository.services:
            found[entry.target.directory].append(entry.source)
        elif entry.source:
            absent.add(entry.source.service)
    directories = tuple(Directory(path=path, sources=tuple(sources)) for path, sources in found.items())
    return Hub(service=repository.services[name], directories=directories, absent=tuple(sorted(absent)))


def _require_services(repository: Repository, settings: Settings) -> None:
    for entry in settings.hub_packages:
        try:
            repository.chosen([place.service for place in (entry.source, entry.target) if place])
        except BuildError as error:
            raise PackagesError(f"HUB_PACKAGES: {error.message}", hint=error.hint) from None
