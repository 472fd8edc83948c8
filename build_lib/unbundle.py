"""Images out of a bundle: into the engine, or into a private registry; after every byte of it was checked.

Into the engine goes a stream made for it, with the manifests for its platform and without the layers that it has. Into
a registry go all manifests and blobs as they are, to the places that `deps-push` gives them (`placement`).
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from build_lib import harbor
from build_lib.archive import Archive, Held
from build_lib.blobs import Progress
from build_lib.copies import Copy, compared, places
from build_lib.engine import Engine
from build_lib.errors import BuildError, InvalidReference, SettingsError
from build_lib.fitting import Fitting, NotLoadable, diff_ids_of
from build_lib.gather import Connect
from build_lib.graph import Cancel, Outcome, run
from build_lib.layout import Loadable, contents, stream
from build_lib.listing import Listed
from build_lib.oci import Descriptor, Manifest
from build_lib.placement import Placement, Pushed, check_access
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import Registries
from build_lib.settings import Settings

_SHOWN = 12  # characters of a digest that tell it from others


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What became of an image of the bundle; of a dry run, what would. Bytes are those that were new."""

    image: Reference
    result: Literal["loaded", "there"]
    digest: str
    size: int
    names: tuple[Reference, ...]  # what it is called where it is now


class Listener(Protocol):
    """Who hears of the course of it; called in the thread that called load."""

    def on_progress(self, progress: Progress) -> None:
        """Some more of the bundle is checked."""

    def on_loaded(self, outcome: Outcome[Loaded]) -> None:
        """An image is there, or could not be brought there."""


def into_engine(
    path: Path, settings: Settings, connect: Connect, listener: Listener, *, dry: bool = False
) -> list[Outcome[Loaded]]:
    """Load a bundle's images into the engine, under their names; the outcomes in the bundle's order.

    Raises:
        BadBundle: it is damaged, or none.
        BuildError: it is a delta, and the engine has not what was left out; with the images that lack something.
    """
    with Archive.open(path) as archive:
        archive.check(jobs=settings.pulls_at_once, on_progress=listener.on_progress)
        with connect() as engine:
            return _IntoEngine(archive, engine).load(settings.pulls_at_once, listener, dry=dry)


def into_registry(
    path: Path, settings: Settings, listener: Listener, *, release: str | None = None, dry: bool = False
) -> list[Outcome[Loaded]]:
    """Write a bundle's images into the private registry, with their digests; the outcomes in the bundle's order.

    Their names there are those that `deps-push` writes, for the release, or for the bundle's own.

    Raises:
        BadBundle: it is damaged, or none.
        BuildError: the registry cannot be written to, or it has not what was left out of a delta.
    """
    registry = settings.private_registry
    if registry is None:
        raise SettingsError("there is no private registry", hint="-r host[:port]/project names one")
    with Archive.open(path) as archive:
        archive.check(jobs=settings.pulls_at_once, on_progress=listener.on_progress)
        cancel = Cancel()
        with Registries(settings, cancel, connections=settings.pushes_at_once * 2) as registries:
            work = _IntoRegistry(archive, registry, registries, release or archive.listing.release)
            return work.load(settings.pushes_at_once, cancel, listener, dry=dry)


class _IntoEngine:
    def __init__(self, archive: Archive, engine: Engine) -> None:
        self.archive = archive
        self.engine = engine
        self.fitting = Fitting(engine, classic=not engine.keeps_content())
        self.images = {item.listed.name: item for item in archive.images}
        self.present = engine.images()

    def load(self, jobs: int, listener: Listener, *, dry: bool) -> list[Outcome[Loaded]]:
        """Everything that is left out has to be there before the first image is touched."""
        found: dict[str, Loadable] = {}
        errors: dict[str, BuildError] = {}
        for name, item in self.images.items():
            try:
                found[name] = self._fitted(item)
            except NotLoadable as error:
                hint = "deps-load -r brings it into a registry, from which other engines pull it"
                errors[name] = BuildError(f"{name}: {error.message}", hint=hint)
            except BuildError as error:
                errors[name] = BuildError(f"{name}: {error.message}", hint=error.hint)
        _refuse(self.archive, "this engine", {name: self._lacking(loadable) for name, loadable in found.items()})

        def work(name: str, cancel: Cancel) -> Outcome[Loaded]:
            try:
                if name in errors:
                    raise errors[name]
                return Outcome(name=name, value=self._load(self.images[name].listed, found[name], cancel, dry=dry))
            except BuildError as error:  # an image waits for another's layers, not for its success
                return Outcome(name=name, error=error)

        outcomes = run(self._order(found), work, jobs=jobs, on_end=lambda outcome: listener.on_loaded(_inner(outcome)))
        return [_inner(outcome) for outcome in outcomes]

    def _order(self, found: Mapping[str, Loadable]) -> dict[str, tuple[str, ...]]:
        """Each image after the first one with the same lowest layer: what they share is sent once."""
        first: dict[tuple[str, ...], str] = {}
        needs: dict[str, tuple[str, ...]] = {}
        for name in self.images:
            lowest = self._diff_ids(found[name].image)[:1] if name in found else ()
            other = first.setdefault(lowest, name) if lowest else name
            needs[name] = (other,) if other != name else ()
        return needs

    def _fitted(self, item: Held) -> Loadable:
        by_digest = {manifest.digest: manifest for manifest in item.manifests}
        return self.fitting.loadable(item.listed.image, item.manifests[0], lambda listed: by_digest[listed.digest])

    def _lacking(self, loadable: Loadable) -> list[str]:
        """The layers that are neither in the bundle nor, at their place, in the engine."""
        if self._is_there(loadable):
            return []
        chain = self._diff_ids(loadable.image)
        return [
            layer.digest
            for depth, layer in enumerate(loadable.image.blobs[1:], 1)
            if not self.archive.has(layer) and not self.fitting.has(chain[:depth])
        ]

    def _is_there(self, loadable: Loadable) -> bool:
        """By its id: that of its config for the classic store, else that of what the name stands for."""
        held = self.present.get(loadable.name.canonical)
        ids = {manifest.digest for manifest in loadable.manifests} | {loadable.image.blobs[0].digest}
        return held is not None and held.id in ids

    def _diff_ids(self, manifest: Manifest) -> tuple[str, ...]:
        return diff_ids_of(self.archive.read(manifest.blobs[0]))

    def _load(self, listed: Listed, loadable: Loadable, cancel: Cancel, *, dry: bool) -> Loaded:
        if self._is_there(loadable):
            return _loaded(listed, "there", 0, (loadable.name,))
        absent = {layer.digest for layer in loadable.image.blobs[1:] if not self.archive.has(layer)}
        leave_out = absent | self.fitting.held(loadable.image, self._diff_ids(loadable.image))
        size = sum(blob.size for blob in contents([loadable], leave_out))
        if not dry:
            with cancel.abandoned():  # the engine gives up by itself
                self.engine.load(stream([loadable], self.archive.chunks, leave_out=leave_out))
        self.fitting.add(self._diff_ids(loadable.image))
        return _loaded(listed, "loaded", size, (loadable.name,))


class _IntoRegistry:
    """Also where copies get their blobs from (placement.Content)."""

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
            check_access(self.registries, self.registry, targets[0], create=False)
        found = run(dict.fromkeys(self.images, ()), lambda name, _cancel: self._copy(name), jobs=jobs, cancel=cancel)
        copies = {outcome.name: outcome.value for outcome in found if outcome.value is not None}
        for outcome in found:
            if outcome.error is not None:
                raise outcome.error
        _refuse(self.archive, str(self.registry), {name: self._lacking(copy) for name, copy in copies.items()})
        if any(copy.lacking for copy in copies.values()):
            harbor.check_project(self.registries.session, self.registry, create=False)
        placement = Placement(self.registries, self, jobs=jobs, cancel=cancel, dry=dry)
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
        return compared(item.listed.image, item.listed.image, top, self.places[name], self.registries, manifests)

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
        result: Literal["loaded", "there"] = "there" if pushed.result == "there" else "loaded"
        return Outcome(name=outcome.name, value=_loaded(item, result, pushed.moved, pushed.places))


def _places(listed: Listed, registry: PrivateRegistry, release: str) -> tuple[Reference, ...]:
    """As deps-push has them; what the repository built has its release in its tag."""
    if listed.service:
        return (registry.place(listed.image),)
    return places(listed.image, registry, release)


def _loaded(listed: Listed, result: Literal["loaded", "there"], size: int, names: tuple[Reference, ...]) -> Loaded:
    return Loaded(image=listed.image, result=result, digest=listed.digest, size=size, names=names)


def _inner(outcome: Outcome[Outcome[Loaded]]) -> Outcome[Loaded]:
    return outcome.value or Outcome(name=outcome.name, error=outcome.error)


def _none_is_left(name: str) -> Pushed:
    raise BuildError(f"{name} has no copy")


def _refuse(archive: Archive, where: str, lacking: Mapping[str, list[str]]) -> None:
    """Nothing is changed where a delta does not fit.

    Raises:
        BuildError: something was left out that is not there.
    """
    named = [
        f"{name} lacks {len(digests)} layer{'s' if len(digests) > 1 else ''} ({', '.join(map(_short, digests))})"
        for name, digests in lacking.items()
        if digests
    ]
    if named:
        raise BuildError(
            f"{archive.path} was made against {archive.listing.since}, and {where} has not all of that: "
            f"{'; '.join(named)}; nothing was changed",
            hint="load the bundle that it was made against first; or ./inv deps-inventory here, and --since that",
        )


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHOWN]
