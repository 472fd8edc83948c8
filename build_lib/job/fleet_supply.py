"""Step 0 of a fleet: the images that builds need from outside, to where its builders get them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from build_lib.engine import Engine
from build_lib.fleet import LAYOUT, fill, here
from build_lib.graph import Cancel, Outcome, run
from build_lib.job.fleet_backend import in_registry, layout, uses_layout
from build_lib.registry import Registries
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.transfer import IN_REGISTRY, Fetched, Listener, prefetch
from build_lib.units import some


def supply(
    wanted: Sequence[Dependency], settings: Settings, listener: Listener, *, dry: bool
) -> list[Outcome[Fetched]]:
    """Copy what the build registry lacks of these images there; with `dry`, only find out from where.

    Without a registry, they are copied into the layout of a single builder, and nothing is done with `dry`.

    Raises:
        BuildError: there is no such registry, or it cannot be written to.
    """
    if not uses_layout(settings):
        registry = in_registry(settings)
        return prefetch.into_registry(wanted, registry, settings, lambda: Engine.connect(settings), listener, dry=dry)
    return [] if dry else _into_layout(wanted, settings, listener)


def _into_layout(wanted: Sequence[Dependency], settings: Settings, listener: Listener) -> list[Outcome[Fetched]]:
    began = datetime.now(UTC)
    images = {str(item.image): item.image for item in wanted}
    platforms = settings.platforms or (here(),)
    own, cancel = layout(settings), Cancel()

    def work(name: str, _cancel: Cancel) -> Fetched:
        source, size = fill(images[name], platforms, LAYOUT, own, registries, settings)
        return Fetched(image=images[name], source=source or IN_REGISTRY, seconds=0.0, size=size)

    def ended(outcome: Outcome[Fetched]) -> None:
        if outcome.value is None or not outcome.value.was_here:
            listener.on_fetched(outcome)

    with Registries(settings, cancel, connections=settings.pulls_at_once) as registries:
        outcomes = run(
            dict.fromkeys(images, ()),
            work,
            jobs=settings.pulls_at_once,
            on_start=listener.on_start,
            on_end=ended,
            cancel=cancel,
            doing=lambda names: f"pulling {some(names)}",
        )
    prefetch.remember(outcomes, wanted, began, settings)
    return outcomes
