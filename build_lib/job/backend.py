"""What builds services and keeps their images: an engine, or a fleet of builders with a registry."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from build_lib.build import Check, EngineStore, Hosts, Placement, RunningServices, Store, builders
from build_lib.engine import Engine
from build_lib.errors import BuildError
from build_lib.hub import EngineImages, Images
from build_lib.repository import Service
from build_lib.settings import Settings

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

    def finish(self, checks: Mapping[str, Check], tell: Tell) -> list[BuildError]:
        """After the last build, put the images that are whole to where they are wanted; return what went wrong."""


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
        self, checks: Mapping[str, Check], _tell: Tell, *, pull: bool, no_cache: bool
    ) -> tuple[builders.Builder, Placement | None]:
        """See Backend."""
        del checks
        return builders.choose(self._settings, self.engine, pull=pull, no_cache=no_cache), None

    @contextmanager
    def running(self, services: Mapping[str, Service], prepare: Prepare) -> Iterator[Hosts]:
        """See Backend."""
        with RunningServices(services, self.engine, self._settings, prepare) as running:
            yield running.hosts

    def finish(self, _checks: Mapping[str, Check], _tell: Tell) -> list[BuildError]:
        """See Backend: the images are there."""
        return []


@contextmanager
def connect(settings: Settings) -> Iterator[Backend]:
    """What the settings say: the engine, or the fleet that `BUILDERS` names.

    Raises:
        BuildError: it cannot be reached.
    """
    with Engine.connect(settings) as engine:
        yield EngineBackend(engine, settings)
