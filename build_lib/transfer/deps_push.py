"""Dependency images into the private registry: unchanged, and only what is not there yet.

From registry to registry, never by way of the engine or the disk. Every name is looked up first (registry/copy_plan),
then what is missing is copied (registry/upload).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from build_lib.engine import Engine, push_by_engine, pushed_before
from build_lib.errors import BuildError, EngineError, Refusal, Unavailable
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import (
    AtSource,
    Copy,
    Pushed,
    Registries,
    Uploads,
    copy_plan,
    harbor,
    source_chain,
    write_names,
)
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.units import some

Connect = Callable[[], AbstractContextManager[Engine]]


class Listener(Protocol):
    """Receives the course of a push; called in the thread that called push."""

    def on_start(self, name: str) -> None:
        """The look-up of an image's names begins."""

    def on_pushed(self, outcome: Outcome[Pushed]) -> None:
        """An image is in the registry, or could not be copied or pushed."""


def push(
    wanted: Sequence[Dependency],
    settings: Settings,
    connect: Connect,
    listener: Listener,
    *,
    platforms: Sequence[str] = (),
    registry: PrivateRegistry | None = None,
    create_project: bool = False,
    dry: bool = False,
) -> list[Outcome[Pushed]]:
    """Copy all images into the private registry; the outcomes in the order of `wanted`.

    They are copied into another `registry`, if it is given, and only if that does not have them, from the whole source
    chain.

    `platforms` limits an index to some, such as `linux/amd64`: of one, its manifest alone is copied. `connect` gives
    the engine, which is asked only for what no registry has. With `dry`, nothing is written.

    Raises:
        SettingsError: no private registry is set, or the release makes a tag too long.
        RegistryError: the registry is a Harbor without that project.
    """
    cancel = Cancel()
    with Registries(settings, cancel, connections=settings.pushes_at_once * 2) as registries:
        work = _Push(wanted, settings, registries, connect, cancel, registry)
        work.check_access(create=create_project and not dry)
        found = work.find(listener.on_start, platforms)
        if any(outcome.value is None or outcome.value.lacking for outcome in found):
            harbor.check_project(registries.session, work.registry, create=create_project and not dry)
        return work.carry_out(found, listener.on_pushed, dry=dry)


class _Push:
    def __init__(
        self,
        wanted: Sequence[Dependency],
        settings: Settings,
        registries: Registries,
        connect: Connect,
        cancel: Cancel,
        registry: PrivateRegistry | None,
    ) -> None:
        self.settings = settings
        self.registry = registry or settings.registry_to_push_to
        self.only_missing = registry is not None
        self.images = {str(item.image): item.image for item in wanted}
        self.places = {
            name: copy_plan.places(image, self.registry, settings.image_tag) for name, image in self.images.items()
        }
        self.jobs = settings.pushes_at_once
        self.registries = registries
        self.connect = connect
        self.cancel = cancel

    def check_access(self, *, create: bool) -> None:
        """See harbor.check_access; asked for the first image's place, so not at all without an image."""
        for targets in list(self.places.values())[:1]:
            harbor.check_access(self.registries, targets[0], self.registry, create=create)

    def find(self, on_start: Callable[[str], None], platforms: Sequence[str]) -> list[Outcome[Copy]]:
        """Look every name up."""

        def work(name: str, _cancel: Cancel) -> Copy:
            image = self.images[name]
            sources = self._sources(image)
            return copy_plan.find(image, sources, self.places[name], self.registries, platforms=platforms)

        return run(
            dict.fromkeys(self.images, ()),
            work,
            jobs=self.jobs,
            on_start=on_start,
            cancel=self.cancel,
            doing=lambda names: f"looking up {some(names)}",
        )

    def _sources(self, image: Reference) -> Iterator[Reference]:
        if self.only_missing:
            yield from source_chain.private(image, self.registry, self.settings.image_tag)
            yield from source_chain.places(image, self.settings)
        else:
            yield from source_chain.upstream(image, self.settings)

    def carry_out(
        self, found: Sequence[Outcome[Copy]], on_end: Callable[[Outcome[Pushed]], None], *, dry: bool
    ) -> list[Outcome[Pushed]]:
        """Copy what a registry has; the engine pushes the rest."""
        to_copy = {outcome.name: outcome.value for outcome in found if outcome.value is not None}
        errors = {outcome.name: outcome.error for outcome in found if outcome.error is not None}
        content = AtSource(self.registries)
        copying = Uploads(self.registries, content, jobs=self.jobs, cancel=self.cancel, dry=dry)

        def otherwise(name: str) -> Pushed:
            return self._without_registry(self.images[name], self.places[name], errors[name], dry=dry)

        return copying.carry_out(tuple(self.images), to_copy, otherwise, on_end)

    def _without_registry(
        self, image: Reference, targets: tuple[Reference, ...], error: BuildError, *, dry: bool
    ) -> Pushed:
        """Have the engine push an image that no registry has.

        Raises:
            BuildError: why the image could not be looked up; Unavailable if the engine does not have it either.
        """
        if not isinstance(error, Unavailable):
            raise error
        try:
            with self.connect() as engine:
                held = engine.images.by_name().get(image.identity)
                if held is None:
                    raise EngineError("it has no such image")
                if image.digest:
                    raise EngineError("it has the image, but its push would give it another digest")
                digest = pushed_before(targets, held.id, self.registries)
                if digest:
                    return Pushed(image=image, places=targets, source="engine", digest=digest, result="there")
                digest = "" if dry else self._push_by_engine(image, targets, engine)
        except EngineError as refused:
            refusals = [*error.refusals, Refusal(source="engine", reason=refused.message)]
            raise Unavailable(str(image), refusals) from None
        return Pushed(image=image, places=targets, source="engine", digest=digest, result="pushed")

    def _push_by_engine(self, image: Reference, targets: Sequence[Reference], engine: Engine) -> str:
        """Push the image under one name, and write its other names at the registry; its digest there."""
        manifest = push_by_engine(image, targets[-1], engine, self.registries)
        write_names(self.registries, targets[:-1], manifest)
        return manifest.digest
