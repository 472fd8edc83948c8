"""The source chain: the registries in which an image is looked up, in order (design, "Words")."""

from collections.abc import Iterator

from build_lib.reference import TAG_LIMIT, Reference
from build_lib.settings import Settings


def places(image: Reference, settings: Settings) -> Iterator[Reference]:
    """The image's name in each registry that may have it: the private registry, the mirrors, its own registry."""
    yield from _private(image, settings)
    yield from upstream(image, settings)


def upstream(image: Reference, settings: Settings) -> Iterator[Reference]:
    """The source chain without the private registry: the mirrors, then the registry that the image names."""
    for mirror in settings.registry_mirrors:
        place = mirror.place(image)
        if place is not None:
            yield place
    yield image


def _private(image: Reference, settings: Settings) -> Iterator[Reference]:
    """The names in the private registry: by digest if pinned, else the release's tag first (design, decision 8)."""
    registry = settings.private_registry
    if registry is None or registry.holds(image):
        return
    place = registry.place(image)
    if not image.digest and image.tag and len(released := f"{image.tag}-{settings.image_tag}") <= TAG_LIMIT:
        yield place.with_tag(released)
    yield place
