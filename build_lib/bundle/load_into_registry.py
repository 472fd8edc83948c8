"""Uploads the images of a bundle to the private registry, with their digests and under the names of `deps-push`."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from build_lib.bundle.archive import Archive
from build_lib.bundle.contents import Listed
from build_lib.bundle.load_result import Listener, Loaded, Result, refuse, refuse_to_replace
from build_lib.errors import BuildError, InvalidReference
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import Copy, Descriptor, Pushed, Registries, Uploads, copy_plan, harbor

T = TypeVar("T")


class IntoRegistry:
    """An upload of an open bundle that has been checked. It is also the source of the blobs (upload.Content)."""

    def __init__(self, archive: Archive, registry: PrivateRegistry, registries: Registries, release: str) -> None:
        self.archive = archive
        self.registry = registry
        self.registries = registries
        self.images = {item.listed.name: item for item in archive.images}
        self.places = {name: _places(item.listed, registry, release) for name, item in self.images.items()}
        self._replaced: dict[str, tuple[Reference, ...]] = {}
        self._held: dict[str, Reference] = {}  # left-out blobs by digest, each with a repository that has it

    def load(
        self, jobs: int, cancel: Cancel, listener: Listener, *, kept: Collection[Reference], dry: bool
    ) -> list[Outcome[Loaded]]:
        """Upload all images, after checking that the registry has all blobs that were left out.

        Names in the repositories that `push` writes for `kept` are not replaced.
        """
        for targets in list(self.places.values())[:1]:
            harbor.check_access(self.registries, targets[0], self.registry, create=False)
        found = run(dict.fromkeys(self.images, ()), lambda name, _cancel: self._copy(name), jobs=jobs, cancel=cancel)
        copies = dict(_values(found))
        missing = run(
            dict.fromkeys(copies, ()), lambda name, _cancel: self._missing(copies[name]), jobs=jobs, cancel=cancel
        )
        refuse(self.archive, str(self.registry), dict(_values(missing)))
        self._replaced = {name: copy.occupied for name, copy in copies.items()}
        replaced = [place for places in self._replaced.values() for place in places]
        refuse_to_replace(self.archive, str(self.registry), replaced, map(self.registry.place, kept))
        if any(copy.lacking for copy in copies.values()):
            harbor.check_project(self.registries.session, self.registry, create=False)
        uploads = Uploads(self.registries, self, jobs=jobs, cancel=cancel, dry=dry)
        outcomes = uploads.carry_out(
            tuple(copies), copies, _none_is_left, lambda outcome: listener.on_loaded(self._of(outcome))
        )
        return [self._of(outcome) for outcome in outcomes]

    def mount(self, _copy: Copy, blob: Descriptor) -> Reference | None:
        """See upload.Content."""
        return self._held.get(blob.digest)

    def read(self, _copy: Copy, blob: Descriptor) -> Iterable[bytes]:
        """See upload.Content. Blobs that were left out are read from the registry."""
        if self.archive.has(blob):
            return self.archive.chunks(blob)
        return self.registries.blob(self._held[blob.digest], blob)

    def _copy(self, name: str) -> Copy:
        item = self.images[name]
        manifests = tuple(reversed(item.manifests))
        top = item.manifests[0].descriptor
        return copy_plan.compared(
            item.listed.image, item.listed.image, top, self.places[name], self.registries, manifests
        )

    def _missing(self, copy: Copy) -> list[str]:
        """The blobs that are neither in the bundle nor in the registry."""
        absent = (blob for blob in copy.blobs.values() if not self.archive.has(blob))
        return [blob.digest for blob in absent if not self._find(copy, blob)]

    def _find(self, copy: Copy, blob: Descriptor) -> bool:
        if blob.digest not in self._held:
            for place in (copy.places[0], *self._holders(blob.digest)):
                if self.registries.has_blob(place, blob.digest):
                    self._held[blob.digest] = place
                    break
        return blob.digest in self._held

    def _holders(self, digest: str) -> Iterable[Reference]:
        """Repositories that may have the blob: of the image named in the bundle, then of the bundle's own images."""
        with suppress(InvalidReference):  # the bundle's word is only a hint
            yield self.registry.place(Reference.parse(self.archive.left_out[digest].held_by))
        yield from (self.places[name][0] for name, item in self.images.items() if digest in item.blobs)

    def _of(self, outcome: Outcome[Pushed]) -> Outcome[Loaded]:
        pushed, item = outcome.value, self.images[outcome.name].listed
        if pushed is None:
            return Outcome(name=outcome.name, error=outcome.error)
        result: Result = "there" if pushed.result == "there" else "loaded"
        replaced = self._replaced[outcome.name]
        return Outcome(name=outcome.name, value=Loaded.of(item, result, pushed.moved, pushed.places, replaced))


def _values(outcomes: Iterable[Outcome[T]]) -> Iterator[tuple[str, T]]:
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        if outcome.value is not None:
            yield outcome.name, outcome.value


def _places(listed: Listed, registry: PrivateRegistry, release: str) -> tuple[Reference, ...]:
    """The names that `deps-push` writes; the tag of a built service already contains its release."""
    if listed.service:
        return (registry.place(listed.image),)
    return copy_plan.places(listed.image, registry, release)


def _none_is_left(name: str) -> Pushed:
    raise BuildError(f"{name} has no copy")
