"""The registries of the source chain: where an image is looked for, in order (design, "Words")."""

from collections.abc import Iterator

from build_lib.reference import TAG_LIMIT, Reference
from build_lib.settings import Settings


def places(image: Reference, settings: Settings) -> Iterator[Reference]:
    """What the image is called in each registry that may have it: the private one, the mirrors, its own."""
    yield from _private(image, settings)
    yield from upstream(image, settings)


def upstream(image: Reference, settings: Settings) -> Iterator[Reference]:
    """The chain without the private registry: the mirrors, and the registry that the image names."""
    for mirror in settings.registry_mirrors:
        place = mirror.place(image)
        if place is not None:
            yield place
    yield image


def _private(image: Reference, settings: Settings) -> Iterator[Reference]:
    """Its names in the private registry: by digest if it is pinned, else the release's own first (decision 8)."""
    registry = settings.private_registry
    if registry is None or registry.holds(image):
        return
    place = registry.place(image)
    if not image.digest and image.tag and len(released := f"{image.tag}-{settings.image_tag}") <= TAG_LIMIT:
        yield place.with_tag(released)
    yield place
