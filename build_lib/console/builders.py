"""Output of `builders`: what each builder is, and what was removed from its cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.errors import Incomplete
from build_lib.units import number, size

if TYPE_CHECKING:  # as in output
    from collections.abc import Mapping, Sequence

    from build_lib.console.output import Console
    from build_lib.fleet import Inspected
    from build_lib.graph import Outcome
    from build_lib.settings import BuilderAddress, Settings

_HEAD = ("NAME", "STATE", "VERSION", "PLATFORMS", "PLACES", "CACHE", "LATENCY")
_PLATFORMS = 3  # in the table


def inspected(
    console: Console, outcomes: Sequence[Outcome[Inspected]], pruned: Sequence[Outcome[int]] | None, settings: Settings
) -> None:
    """Print a table of the builders, and how much was removed from each cache, unless `pruned` is None.

    Raises:
        Incomplete: a builder cannot be used, or its cache could not be emptied.
    """
    places = settings.builder_jobs
    removed = {outcome.name: outcome for outcome in pruned or ()}
    addresses = {address.name: address for address in settings.builders}
    if console.json:
        console.document([_json(item, addresses[item.name], places, removed.get(item.name)) for item in outcomes])
    elif not outcomes:
        console.line("BUILDERS is not set: the engine builds")
        console.line("  for a fleet, list builders in .env, such as BUILDERS=tcp://host:1234")
    else:
        console.table(_HEAD, [_row(item, places) for item in outcomes])
    if pruned is not None:
        for item in outcomes:
            console.line(f"  {item.name}: {_removed(item, addresses[item.name], removed, dry=console.dry)}")
    _end(console, outcomes, removed, places)


def _end(
    console: Console, outcomes: Sequence[Outcome[Inspected]], removed: Mapping[str, Outcome[int]], places: int
) -> None:
    wrong = [item.name for item in outcomes if item.error]
    full = [item.name for item in removed.values() if item.error]
    if wrong:
        console.hints(outcomes)
        raise Incomplete(
            f"{len(wrong)} of {number(len(outcomes), 'builder')} cannot be used: {', '.join(wrong)}",
            hint="correct BUILDERS, or start them",
        )
    if full:
        raise Incomplete(
            f"{number(len(full), 'cache')} could not be emptied: {', '.join(full)}",
            hint="./inv builders shows which answer; one whose disk is full to the last byte cannot remove anything",
        )
    if outcomes:
        count = number(len(outcomes), "builder")
        console.line(f"{count} with {number(places * len(outcomes), 'place')}")


def _row(item: Outcome[Inspected], places: int) -> tuple[str, ...]:
    found = item.value
    if found is None:
        return (item.name, _problem(item), "-", "-", "-", "-", "-")
    latency = f"{found.seconds * 1000:.1f} ms"
    platforms = _shortened(found.seen.native)
    return (item.name, "answers", found.seen.version, platforms, str(places), size(found.cache.total), latency)


def _problem(item: Outcome[Any]) -> str:
    """Why it failed, without its name."""
    message = item.error.message if item.error else ""
    return message.removeprefix(f"builder {item.name}").removeprefix(":").strip()


def _shortened(platforms: Sequence[str]) -> str:
    """The first ones, without variants such as linux/amd64/v3 of one that is named too."""
    named = [text for text in platforms if text.rpartition("/")[0] not in platforms]
    more = len(named) - _PLATFORMS
    return ", ".join(named[:_PLATFORMS]) + (f" and {more} more" if more > 0 else "")


def _removed(
    item: Outcome[Inspected], address: BuilderAddress, removed: Mapping[str, Outcome[int]], *, dry: bool
) -> str:
    """What became of its cache, in words."""
    if address.own:
        engine = f"docker --host {address.text} builder prune"
        command = engine if address.kind == "engine" else f"docker buildx prune --builder {item.name}"
        return f"left alone: it is your own; {command} empties its cache"
    done = removed.get(item.name)
    if done is None or done.error:
        return f"nothing removed: {_problem(done or item)}"
    return f"up to {size(done.value)} would be removed" if dry else f"{size(done.value)} removed"


def _json(
    item: Outcome[Inspected], address: BuilderAddress, places: int, removed: Outcome[int] | None
) -> dict[str, Any]:
    found = item.value
    return {
        "name": item.name,
        "address": address.text,
        "own": address.own,
        "problem": item.error.message if item.error else "",
        "version": found.seen.version if found else "",
        "driver": found.seen.driver if found else "",
        "platforms": list(found.seen.platforms) if found else [],
        "places": places,
        "cache": found.cache.total if found else None,
        "seconds": round(found.seconds, 4) if found else None,
        "removed": removed.value if removed else None,
        "prune_problem": removed.error.message if removed and removed.error else "",
    }
