"""What each of BUILDERS says of itself now, how fast it answers and how much its cache holds; emptying that."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from build_lib.fleet.member import Cache, Member, Seen, buildx
from build_lib.graph import Cancel, Outcome, run
from build_lib.settings import Settings
from build_lib.units import some

R = TypeVar("R")
_PRUNE_SECONDS = 600  # a large cache takes a while


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """A builder that answers: what it says of itself, its cache, and in how many seconds it answers."""

    seen: Seen
    cache: Cache
    seconds: float


def inspect(settings: Settings, *, start: bool = True) -> list[Outcome[Inspected]]:
    """Ask all builders at once, and return what came of it, by their names.

    None holds the others: each has `STALL_SECONDS` for each answer. Those that do not run are started, as a build does,
    unless `start` is False.

    Raises:
        BuildError: there is no buildx that reaches builders.
    """
    return _each(_members(settings), lambda member: _inspect(member, settings.stall_seconds, start=start), "asking")


def prune(answering: Sequence[Outcome[Inspected]], settings: Settings, *, dry: bool = False) -> list[Outcome[int]]:
    """Empty the caches of those that answer, and return how many bytes were removed; with `dry`, how many would be.

    Builders that `BUILDERS` does not name by their addresses are the user's own: they are left out.
    """
    caches = {outcome.name: outcome.value.cache for outcome in answering if outcome.value}
    members = [member for member in _members(settings) if member.ours and member.name in caches]
    if dry:
        return [Outcome(name=member.name, value=caches[member.name].unused) for member in members]
    return _each(members, lambda member: member.prune(_PRUNE_SECONDS), "emptying the cache of")


def _members(settings: Settings) -> list[Member]:
    if not settings.builders:
        return []
    program = buildx(settings).program
    return [Member(address, program, settings.environment, settings) for address in settings.builders]


def _each(members: Sequence[Member], work: Callable[[Member], R], doing: str) -> list[Outcome[R]]:
    by_name = {member.name: member for member in members}

    def one(name: str, cancel: Cancel) -> R:
        with cancel.abandoned():  # buildx has nothing to clean up
            return work(by_name[name])

    return run(
        dict.fromkeys(by_name, ()),
        one,
        jobs=len(by_name),
        doing=lambda names: f"{doing} builder {some(names)}",
    )


def _inspect(member: Member, limit: float, *, start: bool) -> Inspected:
    seen = member.prepare(limit, start=start)
    cache = member.cache(limit)
    began = time.monotonic()
    member.check(limit)
    return Inspected(seen=seen, cache=cache, seconds=time.monotonic() - began)
