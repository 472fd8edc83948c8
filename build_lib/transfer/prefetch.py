"""Dependency images into the engine, each from the first source that has it, and the record of that."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from build_lib import state
from build_lib.engine import Engine
from build_lib.errors import Refusal, RegistryError, Unavailable
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import PrivateRegistry, Reference, local_names
from build_lib.registry import Pushed, Registries, source_chain
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.transfer import bootstrap, deps_push
from build_lib.transfer.fetch import Listener, fetch
from build_lib.transfer.image_pull import BOOTSTRAP, HERE, IN_REGISTRY, Fetched
from build_lib.transfer.source_search import source_name
from build_lib.units import is_time

_RECORD = "prefetch.json"
_REFUSAL = {"source": str, "reason": str}
_NEED = {"path": str, "line": int, "needed_by": str, "kind": str}
_IMAGE = {
    "image": str,
    "source": (str, None),
    "seconds": (float, int, None),
    "bytes": (int, None),
    "tries": (int, None),
    "refusals": [_REFUSAL],
    "needed_by": [_NEED],
}
_SHAPE = {"process": int, "began": is_time, "seconds": (float, int), "images": [_IMAGE]}


def prefetch(
    wanted: Sequence[Dependency],
    engine: Engine,
    settings: Settings,
    listener: Listener,
    *,
    fail_fast: bool = False,
) -> list[Outcome[Fetched]]:
    """Pull the images that the engine lacks, under their own names; the outcomes in the order of `wanted`.

    An image pinned by its digest gets the name that `reference.pinned` gives, unless the engine itself pulled it from
    its own registry. A locked one gets its tag, too, whatever that stood for. Failures are recorded for `reasons`: a
    later build can say why it lacks an image.
    """
    began = datetime.now(UTC)
    present = engine.images.by_name()
    outcomes = {str(item.image): _there(item) for item in wanted if _is_there(item, present, engine)}
    absent = [item for item in wanted if str(item.image) not in outcomes]
    if absent:
        fetched = fetch(absent, engine, settings, listener, fail_fast=fail_fast)
        outcomes |= {outcome.name: outcome for outcome in fetched}
    ordered = [outcomes[str(item.image)] for item in wanted]
    _name_locked([item for item, outcome in zip(wanted, ordered, strict=True) if outcome.done], engine)
    remember(ordered, wanted, began, settings)
    return ordered


def into_registry(
    wanted: Sequence[Dependency],
    registry: PrivateRegistry,
    settings: Settings,
    connect: deps_push.Connect,
    listener: Listener,
    *,
    dry: bool = False,
) -> list[Outcome[Fetched]]:
    """Copy the images that a registry lacks there, so that builders find them; recorded as `prefetch` does.

    `connect` gives the engine, which is asked only for what no registry has.

    Raises:
        RegistryError: the registry cannot be written to.
    """
    began = datetime.now(UTC)
    pushed = deps_push.push(wanted, settings, connect, _Pushing(listener), registry=registry, dry=dry)
    outcomes = [_as_fetched(outcome) for outcome in pushed]
    if not dry:
        remember(outcomes, wanted, began, settings)
    return outcomes


class _Pushing:
    """Tells a listener of fetches about a push (deps_push.Listener)."""

    def __init__(self, listener: Listener) -> None:
        self.on_start = listener.on_start
        self._listener = listener

    def on_pushed(self, outcome: Outcome[Pushed]) -> None:
        """An image is there, or could not be copied."""
        fetched = _as_fetched(outcome)
        if fetched.value is None or not fetched.value.was_here:
            self._listener.on_fetched(fetched)


def _as_fetched(outcome: Outcome[Pushed]) -> Outcome[Fetched]:
    pushed = outcome.value
    if pushed is None:
        return Outcome(name=outcome.name, error=outcome.error, skipped=outcome.skipped)
    source = IN_REGISTRY if pushed.result == "there" else pushed.source
    return Outcome(
        name=outcome.name, value=Fetched(image=pushed.image, source=source, seconds=0.0, size=pushed.moved, tries=1)
    )


def refusals(outcome: Outcome[Fetched]) -> tuple[Refusal, ...]:
    """The sources that did not give the image, and why."""
    if outcome.value is not None:
        return outcome.value.refusals
    if isinstance(outcome.error, Unavailable):
        return outcome.error.refusals
    return (Refusal(source="any source", reason=outcome.error.message if outcome.error else "stopped before"),)


def tries(outcome: Outcome[Fetched]) -> int | None:
    """How many tries the image took (see `Fetched`); None where it was stopped before that was known."""
    if outcome.value is not None:
        return outcome.value.tries
    return outcome.error.tries if isinstance(outcome.error, Unavailable) else None


def described(outcome: Outcome[Fetched]) -> dict[str, Any]:
    """An outcome for programs; what is not known is null."""
    fetched = outcome.value
    return {
        "image": outcome.name,
        "source": fetched.source if fetched else None,
        "seconds": round(fetched.seconds, 3) if fetched else None,
        "bytes": fetched.size if fetched else None,
        "tries": tries(outcome),
        "refusals": [{"source": refusal.source, "reason": refusal.reason} for refusal in refusals(outcome)],
    }


def plan(wanted: Sequence[Dependency], engine: Engine, settings: Settings) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each image every source and its answer to a HEAD: "" where it has the image, else why not.

    Nothing is asked about images that the engine has, and nothing is downloaded.
    """
    present = engine.images.by_name()
    with Registries(settings, connections=settings.pulls_at_once) as registries:

        def work(name: str, _cancel: Cancel) -> tuple[tuple[str, str], ...]:
            if _is_there(items[name], present, engine):
                return ((HERE, ""),)
            return tuple(_asked(items[name].image, settings, registries))

        items = {str(item.image): item for item in wanted}
        outcomes = run(dict.fromkeys(items, ()), work, jobs=settings.pulls_at_once)
    return {outcome.name: outcome.value or () for outcome in outcomes}


def _is_there(item: Dependency, present: Mapping[str, object], engine: Engine) -> bool:
    """Whether the engine has it under a name by which a build finds it, for the platform if one is asked for."""
    name = next((name for name in local_names(item.image) if name.identity in present), None)
    return name is not None and (item.platform is None or engine.images.is_for(name, item.platform))


def last(settings: Settings) -> Mapping[str, Any]:
    """The record of the last prefetch, or nothing: `process`, `began`, `seconds`, and `images` as `described`.

    Each image has `needed_by` too, the places that need it.
    """
    return state.read(settings.state_dir / _RECORD, _SHAPE) or {}


def reasons(image: Reference, settings: Settings) -> str:
    """Why the last prefetch could not pull the image, in words; "" if it did not fail."""
    for item in last(settings).get("images", []):
        if item["image"] == str(image) and item["source"] is None:
            return "; ".join(f"{refusal['source']}: {refusal['reason']}" for refusal in item["refusals"])
    return ""


def _name_locked(pulled: Sequence[Dependency], engine: Engine) -> None:
    """Let the tags of locked images stand for these in the engine: compose and front ends look for them there."""
    present = engine.images.by_name()
    for item in pulled:
        name = next((name for name in local_names(item.image) if name.identity in present), None)
        if item.locked and name is not None:
            tagged = present.get(item.named.identity)
            if tagged is None or tagged.id != present[name.identity].id:
                engine.images.tag(str(name), item.named)


def _there(item: Dependency) -> Outcome[Fetched]:
    return Outcome(name=str(item.image), value=Fetched(image=item.image, source=HERE, seconds=0.0))


def _asked(image: Reference, settings: Settings, registries: Registries) -> Iterator[tuple[str, str]]:
    for place in source_chain.places(image, settings):
        name = source_name(place, image)
        try:
            yield name, "" if registries.resolve(place) else "there is no such image"
        except RegistryError as error:
            yield name, error.message
    if bootstrap.suite(image):
        yield BOOTSTRAP, ""


def remember(
    outcomes: Sequence[Outcome[Fetched]], wanted: Sequence[Dependency], began: datetime, settings: Settings
) -> None:
    """Record how the pulls ended, which began at this time, for `reasons` and for the record of the run."""
    images = [
        {**described(outcome), "needed_by": [asdict(need) for need in item.needs]}
        for outcome, item in zip(outcomes, wanted, strict=True)
    ]
    seconds = (datetime.now(UTC) - began).total_seconds()
    record = {"process": os.getpid(), "began": began.isoformat(), "seconds": seconds, "images": images}
    state.write(settings.state_dir / _RECORD, record)
