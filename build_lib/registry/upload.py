"""Images into the private registry, wherever their content comes from: blobs, then manifests, then names.

Each blob travels once, whichever images share it; the others have it mounted. Manifests follow their blobs, and names
follow their manifests: whatever breaks off leaves nothing half there.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from build_lib.errors import BuildError, RegistryError
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.registry.client import Registries
from build_lib.registry.copy_plan import Copy, manifest_tree
from build_lib.registry.manifests import Descriptor, Manifest

_SENT_UNASKED = 8 << 20  # bytes; what is smaller may be sent in vain to a registry that cannot mount

Result = Literal["copied", "there", "pushed"]  # "pushed": by the engine, which alone had it, under a digest of its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """Where an image is now, and what that took; of a dry run, where it would be, and what it would take.

    Bytes are those of its blobs and manifests: `saved` ones were there, or were moved for another image. What the
    engine pushes is not counted, and its digest is not known before.
    """

    image: Reference
    places: tuple[Reference, ...]
    source: str
    digest: str
    result: Result
    moved: int = 0
    saved: int = 0


class Content(Protocol):
    """Where the blobs of copies come from; asked by several threads."""

    def mount(self, copy: Copy, blob: Descriptor) -> Reference | None:
        """A repository of the private registry that has the blob; None if none is known."""

    def read(self, copy: Copy, blob: Descriptor) -> Iterable[bytes]:
        """Its bytes, checked."""


def write_names(
    registries: Registries, names: Sequence[Reference], manifest: Manifest, *, occupied: Sequence[Reference] = ()
) -> None:
    """Write names for a manifest whose content is there, and see that they stand for its digest now.

    Raises:
        RegistryError: one was refused, or is something else afterwards; `occupied` ones are another image before.
    """
    for place in names:
        if place.tag:
            _tag(registries, place, manifest, occupied=place in occupied)
    for place in names:
        there = registries.resolve(place)
        if there is None or there.digest != manifest.digest:
            found = there.digest if there else "nothing"
            raise RegistryError(f"{place} is {found} after the push, and not {manifest.digest}")


def _tag(registries: Registries, place: Reference, manifest: Manifest, *, occupied: bool) -> None:
    try:
        registries.put_manifest(place, place.tag or "", manifest)
    except RegistryError as error:
        if not occupied or not error.status:
            raise
        reason = f"{place} is another image there, and may not be overwritten: {error.message}"
        raise RegistryError(
            reason, hint="another release (-t) has names of its own; or allow overwriting there"
        ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """How a blob came into a repository."""

    moved: int = 0
    error: BuildError | None = None


class Uploads:
    """One run's copies into the private registry; with `dry`, only what they would take."""

    def __init__(self, registries: Registries, content: Content, *, jobs: int, cancel: Cancel, dry: bool) -> None:
        self._registries = registries
        self._content = content
        self._jobs = jobs
        self._cancel = cancel
        self._dry = dry
        self._held: dict[str, Reference] = {}  # blobs that the registry has, and a repository to mount each from
        self._sent: dict[tuple[str, str], _Sent] = {}
        self._lock = threading.Lock()

    def carry_out(
        self,
        names: Sequence[str],
        copies: Mapping[str, Copy],
        otherwise: Callable[[str], Pushed],
        on_end: Callable[[Outcome[Pushed]], None],
    ) -> list[Outcome[Pushed]]:
        """Blobs, then the images that are made of them; one limit for both. Outcomes are in the order of `names`.

        What is not among `copies` is for `otherwise` to bring there.
        """
        self._learn_siblings(copies)
        users: dict[str, list[Copy]] = {}
        for copy in copies.values():
            for digest in copy.blobs:
                users.setdefault(digest, []).append(copy)
        needs: dict[str, Sequence[str]] = {name: tuple(copy.blobs) for name, copy in copies.items()}
        needs = dict.fromkeys(users, ()) | {name: needs.get(name, ()) for name in names}
        images = frozenset(names)

        def work(key: str, _cancel: Cancel) -> Pushed | None:
            if key in users:
                self._place_blob(key, users[key])
                return None
            return self._place_image(copies[key]) if key in copies else otherwise(key)

        def ended(outcome: Outcome[Pushed | None]) -> None:
            if outcome.name in images:
                on_end(_of_image(outcome))

        outcomes = run(needs, work, jobs=self._jobs, on_end=ended, cancel=self._cancel)
        return [_of_image(outcome) for outcome in outcomes if outcome.name in images]

    def _learn_siblings(self, found: Mapping[str, Copy]) -> None:
        """If anything is to be copied, see which blobs the images have that are there: they are mounted from them."""
        siblings = {name: copy for name, copy in found.items() if not copy.blobs}
        if len(siblings) == len(found):
            return

        def work(name: str, _cancel: Cancel) -> list[Manifest]:
            return list(manifest_tree(siblings[name].places[0], siblings[name].top.digest, self._registries))

        for outcome in run(dict.fromkeys(siblings, ()), work, jobs=self._jobs, cancel=self._cancel):
            for manifest in outcome.value or ():  # one that cannot be read only saves nothing
                self._held |= {blob.digest: siblings[outcome.name].places[0] for blob in manifest.blobs}

    def _place_blob(self, digest: str, users: Sequence[Copy]) -> None:
        """Bring a blob into the repository of each image that has it: once over the wire, then by mounting.

        What fails for one image is kept for that one: another may have it from another source.
        """
        done = self._held.get(digest)
        for copy in users:
            target = copy.places[0]
            if (digest, target.path) in self._sent:
                continue
            try:
                sent = _Sent(moved=self._copy_blob(copy, digest, done))
                done = target
            except BuildError as error:
                if self._cancel.requested():
                    raise
                sent = _Sent(error=error)
            with self._lock:
                self._sent[digest, target.path] = sent

    def _copy_blob(self, copy: Copy, digest: str, mount: Reference | None) -> int:
        """How many bytes were moved for it, or would be."""
        blob, target = copy.blobs[digest], copy.places[0]
        mount = mount or self._content.mount(copy, blob)
        if mount is not None and mount.path == target.path:
            return 0
        unasked = blob.size <= _SENT_UNASKED and not self._dry
        if mount is None and not unasked and self._registries.has_blob(target, digest):
            return 0
        if self._dry:
            return 0 if mount else blob.size
        mounted = self._registries.put_blob(target, blob, lambda: self._content.read(copy, blob), mount=mount)
        return 0 if mounted else blob.size

    def _place_image(self, copy: Copy) -> Pushed:
        target = copy.places[0]
        sent = [self._sent[digest, target.path] for digest in copy.blobs]
        for blob in sent:
            if blob.error is not None:
                raise blob.error
        if copy.lacking and not self._dry:
            for manifest in () if copy.content_is_there else copy.manifests_below_names:
                self._registries.put_manifest(target, manifest.digest, manifest)
            write_names(self._registries, copy.lacking, copy.manifests[-1], occupied=copy.occupied)
        bodies = sum(len(manifest.body) for manifest in copy.manifests)
        moved = bodies + sum(blob.moved for blob in sent)
        return Pushed(
            image=copy.image,
            places=copy.places,
            source=copy.source.host,
            digest=copy.top.digest,
            result="copied" if copy.lacking else "there",
            moved=moved,
            saved=bodies + sum(blob.size for blob in copy.blobs.values()) - moved,
        )


def _of_image(outcome: "Outcome[Pushed | None]") -> Outcome[Pushed]:
    return Outcome(name=outcome.name, value=outcome.value, error=outcome.error)
