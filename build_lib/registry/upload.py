"""Uploads images to the private registry, whatever the source of their content: blobs, then manifests, then names.

A blob that several images share is uploaded once, and mounted for the others. Manifests are written after their blobs,
and names after their manifests, so that an interrupted upload leaves no incomplete image.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from build_lib.errors import BuildError, RegistryError
from build_lib.graph import Cancel, Outcome, run, that_need
from build_lib.reference import Reference
from build_lib.registry.client import Registries
from build_lib.registry.copy_plan import Copy, manifest_tree
from build_lib.registry.manifests import Descriptor, Manifest
from build_lib.units import some

_SENT_UNASKED = 8 << 20  # bytes; up to this size, the mount request is the only check whether a blob is present

Result = Literal["copied", "there", "pushed"]  # "pushed": by the engine, the only source, under a new digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """An image in the private registry, and the bytes transferred for it; in a dry run, what the upload would do.

    Bytes are those of its blobs and manifests: `moved` ones were transferred, `saved` ones were present or transferred
    for another image. A push by the engine is not counted, and its digest is not known in advance.
    """

    image: Reference
    places: tuple[Reference, ...]
    source: str
    digest: str
    result: Result
    moved: int = 0
    saved: int = 0


class Content(Protocol):
    """The source of the blobs of copies. Called from several threads."""

    def mount(self, copy: Copy, blob: Descriptor) -> Reference | None:
        """A repository of the private registry that has the blob, or None if none is known."""

    def read(self, copy: Copy, blob: Descriptor) -> Iterable[bytes]:
        """The blob's bytes, checked by its digest."""


class AtSource:
    """The blobs of copies, at the registries where the images were found (Content)."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    def mount(self, copy: Copy, _blob: Descriptor) -> Reference | None:
        """The source's repository, if the private registry itself has it elsewhere."""
        return copy.source if copy.source.host == copy.places[0].host else None

    def read(self, copy: Copy, blob: Descriptor) -> Iterable[bytes]:
        """Its bytes, checked."""
        return self._registries.blob(copy.source, blob)


class Names(Protocol):
    """Where names stand for manifests, such as `Registries`."""

    def resolve(self, image: Reference) -> Descriptor | None:
        """What a name stands for."""

    def put_manifest(self, place: Reference, name: str, manifest: Manifest) -> None:
        """Let a name stand for a manifest."""


def write_names(
    registries: Names, names: Sequence[Reference], manifest: Manifest, *, occupied: Sequence[Reference] = ()
) -> None:
    """Write names for a manifest whose content is present, and check that they resolve to its digest afterwards.

    `occupied` names resolve to another image before.

    Raises:
        RegistryError: a name was refused, or resolves to something else afterwards.
    """
    for place in names:
        if place.tag:
            _tag(registries, place, manifest, occupied=place in occupied)
    for place in names:
        there = registries.resolve(place)
        if there is None or there.digest != manifest.digest:
            found = there.digest if there else "missing"
            raise RegistryError(f"{place} is {found} after the push, expected {manifest.digest}")


def _tag(registries: Names, place: Reference, manifest: Manifest, *, occupied: bool) -> None:
    try:
        registries.put_manifest(place, place.tag or "", manifest)
    except RegistryError as error:
        if not occupied or not error.status:
            raise
        reason = f"{place} already names a different image and may not be overwritten: {error.message}"
        hint = "choose another release with -t, or allow overwriting in the registry"
        raise RegistryError(reason, hint=hint) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """How a blob got into a repository: the bytes transferred, or the error."""

    moved: int = 0
    error: BuildError | None = None


class Uploads:
    """The copies of one run into the private registry. With `dry`, only what they would transfer is computed."""

    def __init__(self, registries: Registries, content: Content, *, jobs: int, cancel: Cancel, dry: bool) -> None:
        self._registries = registries
        self._content = content
        self._jobs = jobs
        self._cancel = cancel
        self._dry = dry
        self._held: dict[str, Reference] = {}  # blobs in the registry, and a repository to mount each from
        self._sent: dict[tuple[str, str], _Sent] = {}
        self._lock = threading.Lock()

    def carry_out(
        self,
        names: Sequence[str],
        copies: Mapping[str, Copy],
        otherwise: Callable[[str], Pushed],
        on_end: Callable[[Outcome[Pushed]], None],
    ) -> list[Outcome[Pushed]]:
        """Upload the blobs, then the manifests and names of the images. Outcomes are in the order of `names`.

        At most `jobs` blobs and images are worked on at once. Images that are not in `copies` are left to `otherwise`.
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

        outcomes = run(
            needs,
            work,
            jobs=self._jobs,
            on_end=ended,
            cancel=self._cancel,
            doing=lambda keys: f"uploading {some(that_need(keys, needs, names))}",
        )
        return [_of_image(outcome) for outcome in outcomes if outcome.name in images]

    def _learn_siblings(self, found: Mapping[str, Copy]) -> None:
        """If anything has to be copied, find the blobs of the images that are present, to mount them from there."""
        siblings = {name: copy for name, copy in found.items() if not copy.blobs}
        if len(siblings) == len(found):
            return

        def work(name: str, _cancel: Cancel) -> tuple[Manifest, ...]:
            return manifest_tree(siblings[name].places[0], siblings[name].top.digest, self._registries)

        for outcome in run(dict.fromkeys(siblings, ()), work, jobs=self._jobs, cancel=self._cancel):
            for manifest in outcome.value or ():  # an image that cannot be read only saves nothing
                self._held |= {blob.digest: siblings[outcome.name].places[0] for blob in manifest.blobs}

    def _place_blob(self, digest: str, users: Sequence[Copy]) -> None:
        """Put a blob into the repository of each image that uses it: transfer it once, then mount it.

        A failure is recorded for its image only: another image may get the blob from another source.
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
        """Copy a blob. Return the bytes transferred, or that would be."""
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
