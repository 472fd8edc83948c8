"""The documents of a bundle: `build-lib.json` for this program, `index.json` and `manifest.json` for others.

All three name the same images. Where they differ, `docker load` would load, and name, other images than those that
were checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build_lib.bundle import values
from build_lib.bundle.contents import NAME, Listed, Listing
from build_lib.bundle.members import DOCUMENTS, MOST_MEMBERS, OTHERS, SUMS, Member, sum_of
from build_lib.bundle.parts import Volume
from build_lib.errors import BadBundle
from build_lib.reference import pinned
from build_lib.registry import Descriptor, Loadable, Manifest, image_layout

_MOST_DESCRIPTORS = MOST_MEMBERS - len(DOCUMENTS) - 1  # of all images, each as often as an image has it
_MANIFEST = "manifest.json"
_LARGEST_MANIFESTS = 32 << 20  # bytes of them, likewise


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """An image of a bundle with its manifests, of which the first is the one that its name resolves to."""

    listed: Listed
    manifests: tuple[Manifest, ...]

    @property
    def blobs(self) -> dict[str, Descriptor]:
        """The image's configs and layers by digest, without foreign layers, which are never in a bundle."""
        return {blob.digest: blob for manifest in self.manifests for blob in manifest.distributed}


class Documents:
    """The documents of an open bundle, which are read one at a time, because each may be large."""

    def __init__(self, volume: Volume, members: Mapping[str, Member]) -> None:
        """Check them by their checksums.

        Raises:
            BadBundle: one is missing, too large, or damaged.
        """
        self._volume = volume
        self._members = members
        wanted = [sum_of(name, self._read(name)) for name in DOCUMENTS]
        found = self._read(SUMS).decode(errors="replace")
        if found != "".join(wanted):
            wrong = [line.split()[1] for line in wanted if line not in found]
            text = f"the checksums in {SUMS} do not match {' and '.join(wrong or [SUMS])}"
            raise BadBundle(f"{volume.path} is damaged: {text}")

    def listing(self) -> Listing:
        """The content of `build-lib.json`.

        Raises:
            BadBundle: it is not a listing.
        """
        return Listing.read(self._read(NAME), f"{NAME} in {self._volume.path}")

    def check(self, images: Sequence[Held]) -> None:
        """Check that the documents for other programs are those that `image_layout` writes for these images.

        Raises:
            BadBundle: one of them differs, byte for byte.
        """
        listed = values.read(self._read(_MANIFEST), f"{_MANIFEST} in {self._volume.path}")
        entries = iter(listed if isinstance(listed, list) else ())
        loadables = [_loadable(item, None if item.listed.not_loaded else next(entries, None)) for item in images]
        expected = image_layout.documents_of([each for each in loadables if each])
        differ = [name for name in expected if self._read(name) != expected[name]]
        if differ or not all(loadables):
            text = f"{differ[0] if all(loadables) else _MANIFEST} and {NAME} in it name different images"
            raise BadBundle(f"{self._volume.path} is not a bundle: {text}", hint=OTHERS)

    def _read(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise BadBundle(f"{self._volume.path} is not a bundle: it has no {name}", hint=OTHERS)
        if member.size > values.LARGEST_DOCUMENT:
            raise BadBundle(f"{name} in {self._volume.path} is too large: {member.size} bytes")
        return self._volume.read(member.offset, member.size)


@dataclass(kw_only=True)
class Counter:
    """Counts what the images of a bundle consist of, up to what can be read in bounded memory and time."""

    where: str
    _size: int = 0
    _descriptors: int = 0

    def add(self, manifest: Manifest) -> None:
        """Count a manifest of an image, and what it lists.

        Raises:
            BadBundle: it is more than a bundle may have.
        """
        self._size += len(manifest.body)
        self._descriptors += 1 + len(manifest.manifests) + len(manifest.blobs)
        if self._size > _LARGEST_MANIFESTS or self._descriptors > _MOST_DESCRIPTORS:
            limits = f"{_LARGEST_MANIFESTS} bytes of manifests, {_MOST_DESCRIPTORS} manifests and layers"
            raise BadBundle(f"the images of {self.where} exceed the limits of a bundle: {limits}", hint=values.SMALLER)


def _loadable(item: Held, entry: Any) -> Loadable | None:
    """The image as the bundle's writer had it: its entry in `manifest.json`, if it has one, tells the manifest."""
    name = pinned(item.listed.image) or item.listed.image
    chosen = [
        Loadable(name=name, manifests=item.manifests, image=manifest)
        for manifest in item.manifests
        if manifest.blobs and bool(image_layout.not_for_classic(manifest)) == bool(item.listed.not_loaded)
    ]
    return next((each for each in chosen if entry is None or image_layout.loaded(each) == entry), None)
