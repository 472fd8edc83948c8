"""The names of the services' images."""

from collections import Counter
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass

from build_lib.compose import BuildEntry
from build_lib.errors import InvalidReference
from build_lib.reference import Reference
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The name of a service's image for a release, and its name in the compose file, if that is another one."""

    image: Reference
    in_compose: Reference | None


def shared(entries: Iterable[BuildEntry], settings: Settings) -> frozenset[str]:
    """Return the repositories that the names of several services have: one tag cannot name the images of all."""
    found: Counter[str] = Counter()
    for entry in entries:
        with suppress(InvalidReference):
            found[_written(entry, settings).repository] += 1
    return frozenset(repository for repository, times in found.items() if times > 1)


def of(entry: BuildEntry, shared: Container[str], settings: Settings) -> Names:
    """Return the names of a service's image.

    The first is the repository of the compose file's `image`, or else `IMAGE_PREFIX` and the service's name, with the
    release as its tag. A service whose `image` is in a shared repository has the latter, too.

    Raises:
        InvalidReference: these are not names of images.
    """
    written = _written(entry, settings)
    by_service = entry.image is None or written.repository in shared
    image = _with_prefix(entry, settings) if by_service else written.with_tag(settings.image_tag)
    named = entry.image is not None and written.digest is None and written != image
    return Names(image=image, in_compose=written if named else None)


def by_default(entry: BuildEntry, used: Container[str]) -> Reference | None:
    """Return the name PROJECT-SERVICE that compose gives to an image without a name of its own.

    It is None unless it is one of the `used` names: nobody else looks for it.
    """
    if entry.image is not None or not entry.default_image:
        return None
    with suppress(InvalidReference):
        name = Reference.parse(entry.default_image)
        return name if name.canonical in used else None
    return None


def _written(entry: BuildEntry, settings: Settings) -> Reference:
    return Reference.parse(entry.image) if entry.image is not None else _with_prefix(entry, settings)


def _with_prefix(entry: BuildEntry, settings: Settings) -> Reference:
    return Reference.parse(f"{settings.image_prefix}{entry.name}:{settings.image_tag}")
