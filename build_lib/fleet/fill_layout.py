"""The images that builds need from outside, into the layout of a single builder, from the source chain."""

from collections.abc import Iterator

from build_lib.errors import BuildError, Refusal, Unavailable
from build_lib.fleet.layout import Layout
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import Descriptor, Manifest, Registries, copy_plan, matches, source_chain
from build_lib.settings import Settings


def fill(
    image: Reference,
    platforms: tuple[str, ...],
    registry: PrivateRegistry,
    layout: Layout,
    registries: Registries,
    settings: Settings,
) -> tuple[str, int]:
    """Copy an image for these platforms into the layout, unless it is there; the host that it came from, and bytes.

    The host is "" if it was there. `registry` is the layout's, which gives images their names there.

    Raises:
        Unavailable: no source has the image; with the reason of each.
    """
    places = tuple(source_chain.private(image, registry, settings.image_tag))
    if any(layout.resolve(place) for place in places):
        return "", 0
    refusals: list[Refusal] = []
    for source, top in copy_plan.sources_with(image, source_chain.places(image, settings), registries, refusals):
        try:
            size = _copy(source, top, platforms, layout, registries)
        except BuildError as error:
            if registries.cancel.requested():
                raise
            refusals.append(Refusal(source=source.host, reason=error.message))
            continue
        manifest = layout.manifest(source, top.digest)
        for place in places:
            layout.put_manifest(place, place.tag or top.digest, manifest)
        return source.host, size
    raise Unavailable(str(image), refusals)


def _copy(
    source: Reference, top: Descriptor, platforms: tuple[str, ...], layout: Layout, registries: Registries
) -> int:
    """Copy all manifests, and what those for the platforms refer to; the bytes."""
    manifests = copy_plan.manifest_tree(source, top.digest, registries)
    size = 0
    for blob in _blobs(manifests, platforms):
        layout.fetch(blob, lambda offset, blob=blob: registries.blob(source, blob, offset))  # type: ignore[misc]
        size += blob.size
    for manifest in manifests:
        layout.put_manifest(source, manifest.digest, manifest)
    return size


def _blobs(manifests: tuple[Manifest, ...], platforms: tuple[str, ...]) -> Iterator[Descriptor]:
    """The configs and layers of the platforms' manifests; of all, if there is no index."""
    other = {
        listed.digest
        for manifest in manifests
        for listed in manifest.manifests
        if listed.platform and not any(matches(listed.platform, wanted) for wanted in platforms)
    }
    for manifest in manifests:
        if manifest.digest not in other:
            yield from manifest.distributed
