"""Images of a bundle into the private registry, with their digests, to the places that `deps-push` gives them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from build_lib.bundle.archive import Archive
from build_lib.bundle.contents import Listed
from build_lib.bundle.load_result import Listener, Loaded, Result, refuse
from build_lib.errors import BuildError, InvalidReference
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import Copy, Descriptor, Pushed, Registries, Uploads, copy_plan, harbor

T = TypeVar("T")


class IntoRegistry:
    """One load of an open bundle, which is checked already; also where copies get their blobs (placement.Content)."""

    def __init__(self, archive: Archive, registry: PrivateRegistry, registries: Registries, release: str) -> None:
        self.archive = archive
        self.registry = registry
        self.registries = registries
        self.images = {item.listed.name: item for item in archive.images}
        self.places = {name: _places(item.listed, registry, release) for name, item in self.images.items()}
        self._held: dict[str, Reference] = {}  # what was left out, by digest, and a repository that has it

    def load(self, jobs: int, cancel: Cancel, listener: Listener, *, dry: bool) -> list[Outcome[Loaded]]:
        """Everything that is left out has to be there before the first blob is sent."""
        for targets in list(self.places.values())[:1]:
            harbor.check_access(self.registries, targets[0], self.registry, create=False)
        found = run(dict.fromkeys(self.images, ()), lambda name, _cancel: self._copy(name), jobs=jobs, cancel=cancel)
        copies = dict(_values(found))
        lacking = run(
            dict.fromkeys(copies, ()), lambda name, _cancel: self._lacking(copies[name]), jobs=jobs, cancel=cancel
        )
        refuse(self.archive, str(self.registry), dict(_values(lacking)))
        if any(copy.lacking for copy in copies.values()):
            harbor.check_project(self.registries.session, self.registry, create=False)
        placement = Uploads(self.registries, self, jobs=jobs, cancel=cancel, dry=dry)
        outcomes = placement.carry_out(
            tuple(copies), copies, _none_is_left, lambda outcome: listener.on_loaded(self._of(outcome))
        )
        return [self._of(outcome) for outcome in outcomes]

    def mount(self, _copy: Copy, blob: Descriptor) -> Reference | None:
        """See placement.Content."""
        return self._held.get(blob.digest)

    def read(self, _copy: Copy, blob: Descriptor) -> Iterable[bytes]:
        """See placement.Content; what was left out comes from where it is in the registry."""
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

    def _lacking(self, copy: Copy) -> list[str]:
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
        """Where the image that is said to have it is in the registry, then the bundle's own places."""
        with suppress(InvalidReference):  # a hint from the bundle
            yield self.registry.place(Reference.parse(self.archive.left_out[digest].held_by))
        yield from (self.places[name][0] for name, item in self.images.items() if digest in item.blobs)

    def _of(self, outcome: Outcome[Pushed]) -> Outcome[Loaded]:
        pushed, item = outcome.value, self.images[outcome.name].listed
        if pushed is None:
            return Outcome(name=outcome.name, error=outcome.error)
        result: Result = "there" if pushed.result == "there" else "loaded"
        return Outcome(name=outcome.name, value=Loaded.of(item, result, pushed.moved, pushed.places))


def _values(outcomes: Iterable[Outcome[T]]) -> Iterator[tuple[str, T]]:
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        if outcome.value is not None:
            yield outcome.name, outcome.value


def _places(listed: Listed, registry: PrivateRegistry, release: str) -> tuple[Reference, ...]:
    """As deps-push has them; what the repository built has its release in its tag."""
    if listed.service:
        return (registry.place(listed.image),)
    return copy_plan.places(listed.image, registry, release)


def _none_is_left(name: str) -> Pushed:
    raise BuildError(f"{name} has no copy")
