"""What builds services and keeps their images: an engine, or a fleet of builders with a registry."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from build_lib.build import Check, EngineStore, Hosts, Placement, RunningServices, Store, builders
from build_lib.engine import Engine
from build_lib.errors import BuildError
from build_lib.graph import Outcome
from build_lib.hub import EngineImages, Images
from build_lib.job.fleet_backend import connect_fleet
from build_lib.repository import Service
from build_lib.settings import Settings
from build_lib.transfer import PushedService, push_services

Prepare = Callable[[str], None]
Tell = Callable[[str], None]


class Backend(Protocol):
    """What builds services and keeps their images."""

    @property
    def engine(self) -> Engine | None:
        """The engine that it has, if any."""

    @property
    def store(self) -> Store:
        """Where images are."""

    @property
    def hub(self) -> Images:
        """The same images, for copy-slurm."""

    @property
    def platform(self) -> str:
        """The platform of images for which the settings name none."""

    @property
    def jobs(self) -> int:
        """How many services are built at once."""

    def sizes(self, checks: Mapping[str, Check]) -> dict[str, int]:
        """The sizes of the services' images in bytes, by the services' names; only those that are known."""

    def builder(
        self, checks: Mapping[str, Check], tell: Tell, *, pull: bool, no_cache: bool
    ) -> tuple[builders.Builder, Placement | None]:
        """Return the builder for these checks, and what decides which service is next, if that matters.

        `tell` gets remarks while the services are built, in the thread of `build`.

        Raises:
            BuildError: there is no builder.
        """

    def running(self, services: Mapping[str, Service], prepare: Prepare) -> AbstractContextManager[Hosts]:
        """Services that run while others are built (RunningServices)."""

    def push(
        self,
        services: Mapping[str, Service],
        unfit: Mapping[str, BuildError],
        *,
        on_start: Callable[[str], None],
        on_end: Callable[[Outcome[PushedService]], None],
        create_project: bool,
        dry: bool,
    ) -> list[Outcome[PushedService]]:
        """Push services to the private registry; those that are `unfit` fail with the error given there.

        Raises:
            BuildError: no private registry is set, or it cannot be pushed to.
        """

    def publish(self, services: Sequence[Service], tell: Tell) -> list[BuildError]:
        """Put the images of services, which are whole, to where they are wanted; return what went wrong."""

    def finish(self, services: Sequence[Service], tell: Tell, *, whole: bool) -> list[BuildError]:
        """At the end of a run, publish its services if all are `whole`; return what went wrong."""


class EngineBackend:
    """The engine builds, and keeps the images."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.store = EngineStore(engine, settings)
        self.hub = EngineImages(engine, settings)
        self.platform = engine.platform()
        self.jobs = settings.builds_at_once
        self._settings = settings

    def sizes(self, checks: Mapping[str, Check]) -> dict[str, int]:
        """See Backend."""
        images = self.engine.images.by_name()
        found = {name: images.get(check.service.image.canonical) for name, check in checks.items()}
        return {name: image.size for name, image in found.items() if image}

    def builder(
        self, _checks: Mapping[str, Check], _tell: Tell, *, pull: bool, no_cache: bool
    ) -> tuple[builders.Builder, Placement | None]:
        """See Backend."""
        return builders.choose(self._settings, self.engine, pull=pull, no_cache=no_cache), None

    @contextmanager
    def running(self, services: Mapping[str, Service], prepare: Prepare) -> Iterator[Hosts]:
        """See Backend."""
        with RunningServices(services, self.engine, self._settings, prepare) as running:
            yield running.hosts

    def push(
        self, services: Mapping[str, Service], unfit: Mapping[str, BuildError], **options: Any
    ) -> list[Outcome[PushedService]]:
        """See Backend: the engine pushes them."""
        return push_services.push(services, unfit, self.engine, self._settings, **options)

    def publish(self, _services: Sequence[Service], _tell: Tell) -> list[BuildError]:
        """See Backend: the images are there."""
        return []

    def finish(self, services: Sequence[Service], tell: Tell, *, whole: bool) -> list[BuildError]:
        """See Backend."""
        del whole
        return self.publish(services, tell)


@contextmanager
def connect(settings: Settings) -> Iterator[Backend]:
    """What the settings say: the engine, or the fleet that `BUILDERS` names.

    Raises:
        BuildError: it cannot be reached.
    """
    if settings.builders:
        with connect_fleet(settings, Engine.connect) as backend:
            yield backend
        return
    with Engine.connect(settings) as engine:
        yield EngineBackend(engine, settings)
