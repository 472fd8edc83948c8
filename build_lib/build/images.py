"""Where images are: those that services are based on, those of services, and those that are built."""

from collections.abc import Collection
from typing import Protocol

from build_lib.engine import Content, Engine, Image, built_here
from build_lib.reference import Reference, local_names
from build_lib.repository import Service, fingerprint
from build_lib.settings import Settings


class Images(Protocol):
    """Images as they are at one moment, and the platform that they are for."""

    @property
    def platform(self) -> str:
        """Such as `linux/amd64`."""

    def image(self, name: Reference) -> Image | None:
        """The image of this name, or None."""

    def name_of(self, image: Reference) -> Reference | None:
        """The name by which a build finds an image from outside, or None if it does not."""

    def content(self, name: Reference) -> Content | None:
        """What the image of this name contains, or None if there is none."""


class Store(Protocol):
    """Where a builder puts images: an engine or a registry."""

    def look(self, names: Collection[Reference] = ()) -> Images:
        """What is there now; `names` are those that will be asked for, as far as that is known."""

    def take(self, service: Service) -> str:
        """The service was built just now. Return the id of its image; "" if there is none."""

    def name(self, service: Service) -> None:
        """Give the service's image, which is up to date, the further names that it has."""

    def check(self) -> None:
        """Check that images can still be put there.

        Raises:
            EngineLost: they cannot.
        """


class EngineStore:
    """The engine's own images."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def look(self, _names: Collection[Reference] = ()) -> Images:
        """See Store."""
        return _Held(self._engine)

    def take(self, service: Service) -> str:
        """See Store. The image is remembered as made here."""
        image = self._engine.images.by_name().get(service.image.canonical)
        if image is None:
            return ""
        built_here.remember(image.id, self._settings)
        return image.id

    def name(self, service: Service) -> None:
        """Let `docker compose up` and Dockerfiles find the image by the name in the compose file."""
        if service.in_compose is not None:
            self._engine.images.tag(str(service.image), service.in_compose)

    def check(self) -> None:
        """See Store."""
        self._engine.check()


class _Held:
    """The images that the engine has at this moment, and its platform."""

    def __init__(self, engine: Engine) -> None:
        self.platform = engine.platform()
        self._engine = engine
        self._images = engine.images.by_name()
        self._contents: dict[str, Content] = {}

    def image(self, name: Reference) -> Image | None:
        """See Images."""
        return self._images.get(name.identity)

    def name_of(self, image: Reference) -> Reference | None:
        """See Images; the name may be a local one."""
        return next((name for name in local_names(image) if name.identity in self._images), None)

    def content(self, name: Reference) -> Content | None:
        """See Images."""
        image = self.image(name)
        if image is None:
            return None
        if image.id not in self._contents:
            self._contents[image.id] = self._engine.images.content(image.id, without_label=fingerprint.LABEL)
        return self._contents[image.id]
