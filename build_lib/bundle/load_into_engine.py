"""Loads the images of a bundle into an engine: for its platform, and without the layers that it has."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from build_lib.bundle.archive import Archive
from build_lib.bundle.contents import Listed
from build_lib.bundle.documents import Held
from build_lib.bundle.load_result import Listener, Loaded, refuse, refuse_to_replace
from build_lib.engine import Engine, LoadPlan, NotLoadable, load_plan
from build_lib.errors import BuildError
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.registry import Loadable, image_layout
from build_lib.units import some


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fitted:
    """An image for this engine's platform, and the digests of its uncompressed layers."""

    listed: Listed
    loadable: Loadable
    diff_ids: tuple[str, ...]

    @property
    def names(self) -> tuple[Reference, ...]:
        """The name that it is loaded under, and the tag of a locked image."""
        image = self.listed.image
        tagged = (image.with_tag(image.tag),) if self.listed.locked and image.tag else ()
        return (self.loadable.name, *tagged)


class IntoEngine:
    """A load of an open bundle that has been checked."""

    def __init__(self, archive: Archive, engine: Engine) -> None:
        self.archive = archive
        self.engine = engine
        self.fitting = LoadPlan(engine, classic=not engine.keeps_content())
        self.images = {item.listed.name: item for item in archive.images}
        self.present = engine.images.by_name()

    def load(self, jobs: int, listener: Listener, *, kept: Collection[Reference], dry: bool) -> list[Outcome[Loaded]]:
        """Load all images, after checking that the engine has all layers that were left out.

        Names in the repositories of `kept` are not replaced.
        """
        found: dict[str, _Fitted] = {}
        errors: dict[str, BuildError] = {}
        for name, item in self.images.items():
            try:
                found[name] = self._fitted(item)
            except NotLoadable as error:
                hint = "deps-load -r uploads it to a registry, from which other engines can pull it"
                errors[name] = BuildError(f"{name}: {error.message}", hint=hint)
            except BuildError as error:
                errors[name] = BuildError(f"{name}: {error.message}", hint=error.hint)
        refuse(self.archive, "this engine", {name: self._missing(image) for name, image in found.items()})
        replaced = [name for image in found.values() for name in self._replaced(image)]
        refuse_to_replace(self.archive, "this engine", replaced, kept)

        def work(name: str, cancel: Cancel) -> Outcome[Loaded]:
            try:
                if name in errors:
                    raise errors[name]
                return Outcome(name=name, value=self._load(found[name], cancel, dry=dry))
            except BuildError as error:  # other images waited for its layers, not for its success
                if name not in errors and not cancel.requested():
                    self.engine.check()
                return Outcome(name=name, error=error)

        outcomes = run(
            self._order(found),
            work,
            jobs=jobs,
            on_end=lambda outcome: listener.on_loaded(_inner(outcome)),
            doing=lambda names: f"loading {some(names)}",
        )
        return [_inner(outcome) for outcome in outcomes]

    def _order(self, found: Mapping[str, _Fitted]) -> dict[str, tuple[str, ...]]:
        """Each image depends on the first one with the same lowest layer, so that shared layers are sent once."""
        first: dict[tuple[str, ...], str] = {}
        needs: dict[str, tuple[str, ...]] = {}
        for name in self.images:
            lowest = found[name].diff_ids[:1] if name in found else ()
            other = first.setdefault(lowest, name) if lowest else name
            needs[name] = (other,) if other != name else ()
        return needs

    def _fitted(self, item: Held) -> _Fitted:
        by_digest = {manifest.digest: manifest for manifest in item.manifests}
        top = item.manifests[0]
        loadable = self.fitting.loadable(item.listed.image, top, lambda listed: by_digest[listed.digest])
        config = self.archive.read(loadable.image.blobs[0])
        return _Fitted(listed=item.listed, loadable=loadable, diff_ids=load_plan.diff_ids_of(config))

    def _missing(self, image: _Fitted) -> list[str]:
        """The layers that are neither in the bundle nor, on the same lower layers, in the engine."""
        if self._is_there(image.loadable):
            return []
        return [
            layer.digest
            for depth, layer in enumerate(image.loadable.image.blobs[1:], 1)
            if not self.archive.has(layer) and not self.fitting.has(image.diff_ids[:depth])
        ]

    def _is_there(self, loadable: Loadable) -> bool:
        """Whether the engine has the image, by its id: the config's digest in the classic store, else a manifest's."""
        held = self.present.get(loadable.name.canonical)
        ids = {manifest.digest for manifest in loadable.manifests} | {loadable.image.blobs[0].digest}
        return held is not None and held.id in ids

    def _replaced(self, image: _Fitted) -> tuple[Reference, ...]:
        """The image's names that the engine has for something else."""
        if self._is_there(image.loadable):
            return tuple(name for name in image.names[1:] if self._is_another(name, image.loadable))
        return tuple(name for name in image.names if name.canonical in self.present)

    def _is_another(self, name: Reference, loadable: Loadable) -> bool:
        held, own = self.present.get(name.canonical), self.present.get(loadable.name.canonical)
        return held is not None and (own is None or held.id != own.id)

    def _load(self, image: _Fitted, cancel: Cancel, *, dry: bool) -> Loaded:
        loadable = image.loadable
        replaced = self._replaced(image)
        if self._is_there(loadable):
            self._tag(image, dry=dry)
            return Loaded.of(image.listed, "there", 0, image.names, replaced)
        absent = {layer.digest for layer in loadable.image.blobs[1:] if not self.archive.has(layer)}
        leave_out = absent | self.fitting.held(loadable.image, image.diff_ids)
        size = sum(blob.size for blob in image_layout.contents([loadable], leave_out))
        if not dry:
            with cancel.abandoned():  # the engine ends the load by itself
                self.engine.streams.load(image_layout.stream([loadable], self.archive.chunks, leave_out=leave_out))
        self._tag(image, dry=dry)
        self.fitting.add(image.diff_ids)
        return Loaded.of(image.listed, "loaded", size, image.names, replaced)

    def _tag(self, image: _Fitted, *, dry: bool) -> None:
        """Give the image its names besides the one that it is loaded under."""
        for name in () if dry else image.names[1:]:
            self.engine.images.tag(str(image.loadable.name), name)


def _inner(outcome: Outcome[Outcome[Loaded]]) -> Outcome[Loaded]:
    return outcome.value or Outcome(name=outcome.name, error=outcome.error)
