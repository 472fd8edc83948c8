"""What has to be copied so that the private registry has an image under all its names. Nothing is written here."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from build_lib.errors import Refusal, RegistryError, SettingsError, Unavailable
from build_lib.reference import TAG_LIMIT, PrivateRegistry, Reference
from build_lib.registry.client import Registries
from build_lib.registry.manifests import Descriptor, Manifest, matches
from build_lib.units import shortened

_DEEPEST = 3  # levels of manifests below the one that a name resolves to
_MOST_MANIFESTS = 256  # of one image
_LARGEST_TREE = 8 << 20  # bytes of all manifests of one image


class SourceFailed(RegistryError):
    """A source does not give an image that it says it has; the next one may."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """An image at its source, and what is missing of it in the private registry."""

    image: Reference
    source: Reference
    top: Descriptor  # what the names should resolve to
    places: tuple[Reference, ...]  # all its names in the private registry; one repository
    lacking: tuple[Reference, ...]  # the places that do not resolve to `top` yet
    occupied: tuple[Reference, ...]  # the lacking ones that resolve to another image
    manifests: tuple[Manifest, ...]  # missing in the repository, `top` last; only `top` if only names are missing
    content_is_there: bool  # only names can be missing

    @property
    def manifests_below_names(self) -> tuple[Manifest, ...]:
        """The manifests that are written by digest, because no tag is written for them."""
        return self.manifests[:-1] if any(place.tag for place in self.lacking) else self.manifests

    @property
    def blobs(self) -> dict[str, Descriptor]:
        """The blobs that the repository needs before the manifests, by digest. Foreign layers are not copied."""
        if self.content_is_there:
            return {}
        return {blob.digest: blob for manifest in self.manifests for blob in manifest.distributed}


def places(image: Reference, registry: PrivateRegistry, release: str) -> tuple[Reference, ...]:
    """The image's names in the private registry (design, decision 8): by digest, by tag and release, by tag.

    Raises:
        SettingsError: the tag with the release's name is too long.
    """
    place = registry.place(image)
    by_digest = (replace(place, tag=None),) if image.digest else ()
    if not image.tag:
        return by_digest
    released = f"{image.tag}-{release}"
    if len(released) > TAG_LIMIT:
        raise SettingsError(
            f"{image} of the release {release} would have the tag {released!r}, which is too long",
            hint=f"a tag has up to {TAG_LIMIT} characters: choose a shorter IMAGE_TAG",
        )
    return (*by_digest, place.with_tag(released), place.with_tag(image.tag))


def find(
    image: Reference,
    sources: Iterable[Reference],
    targets: tuple[Reference, ...],
    registries: Registries,
    *,
    platforms: Sequence[str] = (),
) -> Copy:
    """Find the image at its sources, in order, and at its places. Needs only HEAD requests if nothing is missing.

    `platforms` limits an index to these platforms, unless the image is pinned by its digest.

    Raises:
        Unavailable: no registry has the image; with the reason of each registry.
        RegistryError: the private registry cannot be asked.
    """
    own = targets[0].host
    refusals: list[Refusal] = []
    for source, top in sources_with(image, sources, registries, refusals, own=own):
        try:
            manifests: tuple[Manifest, ...] = ()
            if platforms and not image.digest:
                manifests = tree_for_platforms(source, top.digest, registries, platforms)
            return compared(
                image, source, manifests[-1].descriptor if manifests else top, targets, registries, manifests
            )
        except SourceFailed as error:
            if source.host == own:
                raise
            refusals.append(Refusal(source=source.host, reason=error.message))
    raise Unavailable(str(image), refusals)


def sources_with(
    image: Reference,
    sources: Iterable[Reference],
    registries: Registries,
    refusals: list[Refusal],
    *,
    own: str = "",
) -> Iterator[tuple[Reference, Descriptor]]:
    """Each source that has the image, with its descriptor. The reasons of the other sources are added to `refusals`.

    Raises:
        RegistryError: the registry `own` cannot be asked.
    """
    for source in sources:
        try:
            top = registries.resolve(source)
        except RegistryError as error:
            if source.host == own:
                raise
            refusals.append(Refusal(source=source.host, reason=error.message))
            continue
        if top is not None and image.digest and top.digest != image.digest:
            refusals.append(
                Refusal(source=source.host, reason=f"refused: it has a different image there, {top.digest}")
            )
        elif top is not None:
            yield source, top
        else:
            refusals.append(Refusal(source=source.host, reason="there is no such image"))


def compared(
    image: Reference,
    source: Reference,
    top: Descriptor,
    targets: tuple[Reference, ...],
    registries: Registries,
    manifests: tuple[Manifest, ...] = (),
) -> Copy:
    """Compare the image's places with `top`. Its manifests are read from the source, unless they are given.

    Raises:
        SourceFailed: the manifests cannot be read.
        RegistryError: the private registry cannot be asked.
    """
    held = {place: registries.resolve(place) for place in targets}
    lacking = tuple(place for place, there in held.items() if there is None or there.digest != top.digest)
    there = len(lacking) < len(targets)
    if not there and any(held.values()):  # an existing repository may have the image under the names of another release
        there = registries.resolve(replace(targets[0], tag=None, digest=top.digest)) is not None
    if lacking and not manifests:
        manifests = manifest_tree(source, top.digest, registries, only_top=there)
    if there:
        manifests = manifests[-1:] if lacking else ()
    return Copy(
        image=image,
        source=source,
        top=top,
        places=targets,
        lacking=lacking,
        occupied=tuple(place for place in lacking if held[place] is not None),
        manifests=manifests,
        content_is_there=there,
    )


def manifest_tree(
    place: Reference, digest: str, registries: Registries, *, only_top: bool = False
) -> tuple[Manifest, ...]:
    """A manifest, preceded by all manifests that it refers to, each once.

    Raises:
        SourceFailed: one cannot be read, or there are more, deeper or larger ones than an image has.
    """
    with _of_source():
        if only_top:
            return (registries.manifest(place, digest),)
        return tuple(_Tree(place, registries).below(digest))


def tree_for_platforms(
    source: Reference, digest: str, registries: Registries, platforms: Sequence[str]
) -> tuple[Manifest, ...]:
    """Like `manifest_tree`, with an index limited to these platforms, or the only manifest that remains of it.

    Raises:
        SourceFailed: as for `manifest_tree`, or the image does not exist for these platforms.
    """
    with _of_source():
        tree = _Tree(source, registries)
        top = registries.manifest(source, digest)
        listed = [item for item in top.manifests if any(matches(item.platform, wanted) for wanted in platforms)]
        if top.manifests and not listed:
            known = shortened(", ".join(item.platform for item in top.manifests if item.platform))
            raise RegistryError(f"{source} is not available for {', '.join(platforms)}, only for {known}")
        found = [manifest for item in listed for manifest in tree.below(item.digest, item, depth=1)]
        if len(listed) != 1:
            found.append(top.limited([item.digest for item in listed]) if len(listed) < len(top.manifests) else top)
        return tuple(found)


@contextmanager
def _of_source() -> Iterator[None]:
    """Within, errors of the registry are those of an image's source."""
    try:
        yield
    except RegistryError as error:
        raise SourceFailed(error.message, hint=error.hint, status=error.status) from None


class _Tree:
    """Reads the manifests of one image, however its registry has woven them."""

    def __init__(self, place: Reference, registries: Registries) -> None:
        self._place = place
        self._registries = registries
        self._deadline = registries.deadline(place, "the manifests of an image")
        self._seen: set[str] = set()
        self._size = 0

    def below(self, digest: str, listed: Descriptor | None = None, *, depth: int = 0) -> Iterator[Manifest]:
        """The manifest, preceded by those that it refers to, without those that were read before."""
        if digest in self._seen:
            return
        self._seen.add(digest)
        if depth > _DEEPEST or len(self._seen) > _MOST_MANIFESTS or self._size > _LARGEST_TREE:
            limits = f"{_MOST_MANIFESTS} manifests, {_DEEPEST} levels, {_LARGEST_TREE} bytes"
            raise RegistryError(f"{self._place.host} has an index that exceeds the limits: {limits}")
        self._deadline.check()
        manifest = self._registries.manifest(self._place, digest)
        if listed is not None and listed.size != len(manifest.body):
            raise RegistryError(f"{self._place.host} has an index that gives {digest} a wrong size")
        self._size += len(manifest.body)
        for item in manifest.manifests:
            yield from self.below(item.digest, item, depth=depth + 1)
        yield manifest
