"""The images that copy-slurm reads and makes, wherever they are kept."""

import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, Protocol

from build_lib.engine import Engine, add_layer, built_here, owner
from build_lib.reference import Reference
from build_lib.settings import Settings

CREATED_BY = "build-lib copy-slurm"  # in the history of images


class Files(Protocol):
    """The files of an image."""

    def files(self, path: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """Each member of the directory `path`, a regular file with its content. Names begin with that directory's."""

    def entry(self, path: str) -> tarfile.TarInfo | None:
        """What is at the path, with its mode and owner; a link itself, not its target. None if nothing is there."""


class Images(Protocol):
    """The images of services, by name."""

    def has(self, name: Reference) -> bool:
        """Whether there is an image of this name."""

    def layers(self, name: Reference) -> tuple[str, ...]:
        """The digests of the image's uncompressed layers, lowest first."""

    def opened(self, name: Reference) -> AbstractContextManager[Files]:
        """The files of an image, within the `with` block."""

    def add_layer(self, image: Reference, layer: IO[bytes], name: Reference) -> None:
        """Make the image with one more layer, an uncompressed tar archive, under another name."""

    def tag(self, image: Reference, name: Reference) -> None:
        """Give an image one more name, instead of the image that has it."""

    def keep(self, image: Reference) -> None:
        """The image that was made under this name is the new one, and has its names."""

    def remove(self, name: Reference) -> None:
        """Remove a name. Not there is no error."""

    def remove_leftovers(self, target: Reference, prefix: str) -> None:
        """Remove what killed runs left: the target's other tags that begin so, and what was made for them."""


class EngineImages:
    """Those in an engine."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def has(self, name: Reference) -> bool:
        """See Images."""
        return name.identity in self._engine.images.by_name()

    def layers(self, name: Reference) -> tuple[str, ...]:
        """See Images."""
        return self._engine.images.layers(str(name))

    def opened(self, name: Reference) -> AbstractContextManager[Files]:
        """See Images: by a container, which does not run."""
        return self._engine.containers.temporary(str(name), owner=owner(self._settings))

    def add_layer(self, image: Reference, layer: IO[bytes], name: Reference) -> None:
        """See Images."""
        add_layer(image, layer, name, self._engine, created_by=CREATED_BY)

    def tag(self, image: Reference, name: Reference) -> None:
        """See Images."""
        self._engine.images.tag(str(image), name)

    def keep(self, image: Reference) -> None:
        """See Images."""
        built_here.remember(self._engine.images.by_name()[image.canonical].id, self._settings)

    def remove(self, name: Reference) -> None:
        """See Images."""
        self._engine.images.remove(name)

    def remove_leftovers(self, target: Reference, prefix: str) -> None:
        """See Images."""
        self._engine.containers.remove_leftovers(owner(self._settings))
        for image in self._engine.images.by_name():
            name = Reference.parse(image)
            if name.repository == target.repository and (name.tag or "").startswith(prefix):
                self.remove(name)
