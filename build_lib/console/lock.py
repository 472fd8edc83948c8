"""Output of `deps-lock`, and the remarks of other commands on what is not locked and on tags that have moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.console.output import told
from build_lib.console.problems import problems
from build_lib.errors import Unavailable
from build_lib.foreign import on_one_line
from build_lib.repository import LOCK_NAME
from build_lib.units import number

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.console.output import Console
    from build_lib.graph import Outcome
    from build_lib.repository import NotLocked, Repository
    from build_lib.transfer import Change, Moved

_ONLY_REGISTRIES = "only an image that a registry has can be locked, not one that an engine or an apt archive gives"


def remarks(not_locked: Sequence[NotLocked], moved: Sequence[Moved]) -> None:
    """Print on stderr, one line for each image, what is not locked, and which tags stand for another image now."""
    for image in not_locked:
        told(on_one_line(f"remark: {image.where}: {image.image} is not in {LOCK_NAME}"), "")
    for each in moved:
        where = f"{LOCK_NAME}:{each.locked.line}"
        text = f"{each.locked.image} is locked as {each.locked.digest}, but {each.source} is {each.digest} now"
        told(on_one_line(f"remark: {where}: {text}"), "")


def updated(console: Console, outcomes: Sequence[Outcome[Change]], repository: Repository, *, check: bool) -> None:
    """Print what changed in the lock, or would change.

    Raises:
        Incomplete: an image could not be locked, with `check` the lock would change, or there are errors in files.
    """
    changes = [outcome.value for outcome in outcomes if outcome.value is not None]
    changed = [change for change in changes if change.result != "unchanged"]
    if console.json:
        console.document([_json(outcome) for outcome in outcomes])
    else:
        for change in changed:
            console.line(f"{change.image}: {_words(change)}")
        for outcome in outcomes:
            if outcome.value is None:
                console.line(f"{outcome.name}: ", console.bad("cannot be locked"), f": {_ONLY_REGISTRIES}")
                console.reason(outcome.error)
        console.line(_sum(console, changes, changed, check=check))
    failed = [outcome.name for outcome in outcomes if outcome.value is None]
    texts = (
        f"{LOCK_NAME} would change" if check and changed else "",
        f"{len(failed)} of {number(len(outcomes), 'image')} cannot be locked: {', '.join(failed)}" if failed else "",
    )
    problems(console, _but_the_lock(repository), failed=texts, hint="./inv deps-lock writes it" if texts[0] else "")


def _but_the_lock(repository: Repository) -> Repository:
    """The repository without the problems that the command has solved: what does not fit is no longer in the lock."""
    from dataclasses import replace  # noqa: PLC0415  # only this command needs it

    left = tuple(problem for problem in repository.problems if problem not in repository.not_fitting)
    return replace(repository, problems=left)


def _sum(console: Console, changes: Sequence[Change], changed: Sequence[Change], *, check: bool) -> str:
    count = number(sum(1 for change in changes if change.result != "removed"), "image")
    if not changed:
        return f"{LOCK_NAME} is up to date: {count}"
    return f"{LOCK_NAME} would be written: {count}" if check or console.dry else f"{LOCK_NAME} written: {count}"


def _words(change: Change) -> str:
    if change.result == "removed":
        return f"removed, was {change.before}"
    if change.result == "moved":
        return f"moved from {change.before} to {change.after}, from {change.source}"
    return f"locked as {change.after}, from {change.source}"


def _json(outcome: Outcome[Change]) -> dict[str, Any]:
    change, error = outcome.value, outcome.error
    refusals = error.refusals if isinstance(error, Unavailable) else ()
    return {
        "image": outcome.name,
        "result": change.result if change else "failed",
        "before": (change.before or None) if change else None,
        "after": (change.after or None) if change else None,
        "source": (change.source or None) if change else None,
        "refusals": [{"source": refusal.source, "reason": refusal.reason} for refusal in refusals],
    }
