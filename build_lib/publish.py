"""Dependency images into the private registry: unchanged, and only what is not there yet.

From registry to registry, never by way of the engine or the disk. Every name is looked up first (`copies`). Then each
blob travels once, whichever images share it; the others have it mounted. Manifests follow their blobs, and names follow
their manifests: whatever breaks off leaves nothing half there.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from build_lib import copies, harbor, outgoing
from build_lib.copies import Copy
from build_lib.dependencies import Dependency
from build_lib.engine import Engine
from build_lib.errors import BuildError, EngineError, Refusal, RegistryError, Unavailable
from build_lib.graph import Cancel, Outcome, run
from build_lib.oci import Manifest
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from build_lib.sources import upstream

_SENT_UNASKED = 8 << 20  # bytes; what is smaller may be sent in vain to a registry that cannot mount

Connect = Callable[[], AbstractContextManager[Engine]]
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


class Listener(Protocol):
    """Who hears of each image; called in the thread that called push."""

    def on_start(self, name: str) -> None:
        """Its names are looked up."""

    def on_pushed(self, outcome: Outcome[Pushed]) -> None:
        """It is in the registry, or could not be brought there."""


def push(
    wanted: Sequence[Dependency],
    settings: Settings,
    connect: Connect,
    listener: Listener,
    *,
    platforms: Sequence[str] = (),
    create_project: bool = False,
    dry: bool = False,
) -> list[Outcome[Pushed]]:
    """Bring all images into the private registry; the outcomes in the order of `wanted`.

    `platforms` limits an index to some, such as `linux/amd64`: of one, its manifest alone is copied. `connect` gives
    the engine, which is asked only for what no registry has. With `dry`, nothing is written.

    Raises:
        SettingsError: no private registry is set, or the release makes a tag too long.
        RegistryError: the registry is a Harbor without that project.
    """
    cancel = Cancel()
    with Registries(settings, cancel, connections=settings.pushes_at_once * 2) as registries:
        work = _Push(wanted, settings, registries, connect, cancel)
        work.check_access(create=create_project and not dry)
        found = work.find(listener.on_start, platforms)
        if any(outcome.value is None or outcome.value.lacking for outcome in found):
            harbor.check_project(registries.session, work.registry, create=create_project and not dry)
        return work.carry_out(found, listener.on_pushed, dry=dry)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """How a blob came into a repository."""

    moved: int = 0
    error: BuildError | None = None


class _Push:
    def __init__(
        self, wanted: Sequence[Dependency], settings: Settings, registries: Registries, connect: Connect, cancel: Cancel
    ) -> None:
        self.settings = settings
        self.registry = settings.registry_to_push_to
        self.images = {str(item.image): item.image for item in wanted}
        self.places = {
            name: copies.places(image, self.registry, settings.image_tag) for name, image in self.images.items()
        }
        self.jobs = settings.pushes_at_once
        self.registries = registries
        self.connect = connect
        self.cancel = cancel
        self._held: dict[str, Reference] = {}  # blobs that the registry has, and a repository to mount each from
        self._sent: dict[tuple[str, str], _Sent] = {}
        self._lock = threading.Lock()

    def check_access(self, *, create: bool) -> None:
        """See harbor.check_access; without an image, there is nothing to ask for."""
        for targets in list(self.places.values())[:1]:
            harbor.check_access(self.registries, targets[0], self.registry, create=create)

    def find(self, on_start: Callable[[str], None], platforms: Sequence[str]) -> list[Outcome[Copy]]:
        """Look every name up."""

        def work(name: str, _cancel: Cancel) -> Copy:
            image = self.images[name]
            sources = upstream(image, self.settings)
            return copies.find(image, sources, self.places[name], self.registries, platforms=platforms)

        return run(dict.fromkeys(self.images, ()), work, jobs=self.jobs, on_start=on_start, cancel=self.cancel)

    def carry_out(
        self, found: Sequence[Outcome[Copy]], on_end: Callable[[Outcome[Pushed]], None], *, dry: bool
    ) -> list[Outcome[Pushed]]:
        """Blobs, then the images that are made of them; one limit for both."""
        to_copy = {outcome.name: outcome.value for outcome in found if outcome.value is not None}
        errors = {outcome.name: outcome.error for outcome in found if outcome.error is not None}
        self._learn_siblings(to_copy)
        users: dict[str, list[Copy]] = {}
        for copy in to_copy.values():
            for digest in copy.blobs:
                users.setdefault(digest, []).append(copy)
        needs: dict[str, Sequence[str]] = {name: tuple(copy.blobs) for name, copy in to_copy.items()}
        needs = dict.fromkeys(users, ()) | {name: needs.get(name, ()) for name in self.images}

        def work(key: str, _cancel: Cancel) -> Pushed | None:
            if key in users:
                self._place_blob(key, users[key], dry=dry)
                return None
            if key in to_copy:
                return self._place_image(to_copy[key], dry=dry)
            return self._without_registry(self.images[key], self.places[key], errors[key], dry=dry)

        def ended(outcome: Outcome[Pushed | None]) -> None:
            if outcome.name in self.images:
                on_end(_of_image(outcome))

        outcomes = run(needs, work, jobs=self.jobs, on_end=ended, cancel=self.cancel)
        return [_of_image(outcome) for outcome in outcomes if outcome.name in self.images]

    def _learn_siblings(self, found: Mapping[str, Copy]) -> None:
        """If anything is to be copied, see which blobs the images have that are there: they are mounted from them."""
        siblings = {name: copy for name, copy in found.items() if not copy.blobs}
        if len(siblings) == len(found):
            return

        def work(name: str, _cancel: Cancel) -> list[Manifest]:
            return list(copies.tree(siblings[name].places[0], siblings[name].top.digest, self.registries))

        for outcome in run(dict.fromkeys(siblings, ()), work, jobs=self.jobs, cancel=self.cancel):
            for manifest in outcome.value or ():  # one that cannot be read only saves nothing
                self._held |= {blob.digest: siblings[outcome.name].places[0] for blob in manifest.blobs}

    def _place_blob(self, digest: str, users: Sequence[Copy], *, dry: bool) -> None:
        """Bring a blob into the repository of each image that has it: once over the wire, then by mounting.

        What fails for one image is kept for that one: another may have it from another source.
        """
        done = self._held.get(digest)
        for copy in users:
            target = copy.places[0]
            if (digest, target.path) in self._sent:
                continue
            try:
                sent = _Sent(moved=self._copy_blob(copy, digest, done, dry=dry))
                done = target
            except BuildError as error:
                if self.cancel.requested():
                    raise
                sent = _Sent(error=error)
            with self._lock:
                self._sent[digest, target.path] = sent

    def _copy_blob(self, copy: Copy, digest: str, mount: Reference | None, *, dry: bool) -> int:
        """How many bytes were moved for it, or would be."""
        blob, target, source = copy.blobs[digest], copy.places[0], copy.source
        if mount is None and source.host == target.host:
            mount = source  # the private registry has it elsewhere
        if mount is None and (dry or blob.size > _SENT_UNASKED) and self.registries.has_blob(target, digest):
            return 0
        if dry:
            return 0 if mount else blob.size
        mounted = self.registries.put_blob(target, blob, lambda: self.registries.blob(source, blob), mount=mount)
        return 0 if mounted else blob.size

    def _place_image(self, copy: Copy, *, dry: bool) -> Pushed:
        target = copy.places[0]
        sent = [self._sent[digest, target.path] for digest in copy.blobs]
        for blob in sent:
            if blob.error is not None:
                raise blob.error
        if copy.lacking and not dry:
            for manifest in () if copy.content_is_there else copy.manifests_below_names:
                self.registries.put_manifest(target, manifest.digest, manifest)
            self._name(copy.lacking, copy.manifests[-1], occupied=copy.occupied)
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

    def _name(self, names: Sequence[Reference], manifest: Manifest, *, occupied: Sequence[Reference] = ()) -> None:
        """Write the names, and see that they stand for this digest now."""
        for place in names:
            if place.tag:
                self._tag(place, manifest, occupied=place in occupied)
        for place in names:
            there = self.registries.resolve(place)
            if there is None or there.digest != manifest.digest:
                found = there.digest if there else "nothing"
                raise RegistryError(f"{place} is {found} after the push, and not {manifest.digest}")

    def _tag(self, place: Reference, manifest: Manifest, *, occupied: bool) -> None:
        try:
            self.registries.put_manifest(place, place.tag or "", manifest)
        except RegistryError as error:
            if not occupied or not error.status:
                raise
            reason = f"{place} is another image there, and may not be overwritten: {error.message}"
            raise RegistryError(
                reason, hint="another release (-t) has names of its own; or allow overwriting there"
            ) from None

    def _without_registry(
        self, image: Reference, targets: tuple[Reference, ...], error: BuildError, *, dry: bool
    ) -> Pushed:
        """The engine's own push, of what no registry has.

        Raises:
            BuildError: why the image could not be looked up; Unavailable if the engine has it neither.
        """
        if not isinstance(error, Unavailable):
            raise error
        try:
            with self.connect() as engine:
                held = engine.images().get(image.identity)
                if held is None:
                    raise EngineError("it has no such image")
                if image.digest:
                    raise EngineError("it has the image, but its push would give it another digest")
                digest = outgoing.pushed_before(targets, held.id, self.registries)
                if digest:
                    return Pushed(image=image, places=targets, source="engine", digest=digest, result="there")
                digest = "" if dry else self._push_by_engine(image, targets, engine)
        except EngineError as refused:
            refusals = [*error.refusals, Refusal(source="engine", reason=refused.message)]
            raise Unavailable(str(image), refusals) from None
        return Pushed(image=image, places=targets, source="engine", digest=digest, result="pushed")

    def _push_by_engine(self, image: Reference, targets: Sequence[Reference], engine: Engine) -> str:
        """Pushed under one name; the others are written from what the registry then has."""
        manifest = outgoing.push(image, targets[-1], engine, self.registries)
        self._name(targets[:-1], manifest)
        return manifest.digest


def _of_image(outcome: "Outcome[Pushed | None]") -> Outcome[Pushed]:
    return Outcome(name=outcome.name, value=outcome.value, error=outcome.error)
