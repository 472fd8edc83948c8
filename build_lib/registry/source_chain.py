"""The source chain: the registries in which an image is looked up, in order (design, "Words")."""

from collections.abc import Iterator

from build_lib.reference import TAG_LIMIT, PrivateRegistry, Reference
from build_lib.settings import Settings


def places(image: Reference, settings: Settings) -> Iterator[Reference]:
    """The image's name in each registry that may have it: the private registry, the mirrors, its own registry."""
    if settings.private_registry is not None:
        yield from private(image, settings.private_registry, settings.image_tag)
    yield from upstream(image, settings)


def upstream(image: Reference, settings: Settings) -> Iterator[Reference]:
    """The source chain without the private registry: the mirrors, then the registry that the image names."""
    for mirror in settings.registry_mirrors:
        place = mirror.place(image)
        if place is not None:
            yield place
    yield image


def private(image: Reference, registry: PrivateRegistry, release: str) -> Iterator[Reference]:
    """The names in a private registry: by digest if pinned, else the release's tag first (design, decision 8).

    None, if the image's own name is one of that registry.
    """
    if registry.holds(image):
        return
    place = registry.place(image)
    if not image.digest and image.tag and len(released := f"{image.tag}-{release}") <= TAG_LIMIT:
        yield place.with_tag(released)
    yield place
