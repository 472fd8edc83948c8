"""Output of `prefetch`, which is also step 0 of `build-all`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.console.output import Console
from build_lib.console.problems import problems, wrong_tags
from build_lib.errors import WHERE_FROM, Incomplete, Refusal
from build_lib.transfer import prefetch
from build_lib.units import number, seconds, size

if TYPE_CHECKING:  # as in output
    from collections.abc import Mapping, Sequence

    from build_lib.graph import Outcome
    from build_lib.registry import Progress
    from build_lib.repository import Dependency, Repository
    from build_lib.transfer import Fetched


class PrefetchReport:
    """Prints a prefetch: a heading, each image when it is pulled, and a table of them; in a dry run, the sources."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._caller = ""

    def begin(self, wanted: Sequence[Dependency], repository: Repository, *, caller: str) -> None:
        """Print how many images are needed. `caller` is the task that this prefetch is a step of, or ""."""
        self._caller = caller
        if caller:
            wrong_tags(self._console, repository)
        if caller == "build-all":
            self._console.step(0, "prefetch")
        self._console.line(f"  {number(len(wanted), 'dependency image')}")

    def on_start(self, name: str) -> None:
        """Print that an image is looked up."""
        self._console.on_start(name)

    def on_progress(self, progress: Progress) -> None:
        """Draw the progress of the downloads."""
        self._console.on_progress(progress)

    def on_fetched(self, outcome: Outcome[Fetched]) -> None:
        """Print the source of an image, and why other sources did not provide it."""
        fetched = outcome.value
        if fetched is not None:
            verb = "would come from" if self._console.dry else "from"
            came = (self._console.good(f"{verb} {fetched.source}"), f", {seconds(fetched.seconds)}")
        else:
            came = (self._console.bad("could not be pulled"), "")
        self._console.line(f"  {outcome.name}: ", *came)
        self._console.refusals(prefetch.refusals(outcome))

    def end(self, outcomes: Sequence[Outcome[Fetched]], repository: Repository, names: Sequence[str] = ()) -> None:
        """Print a table of the images that were not already present. `names` are the services asked for.

        Raises:
            Incomplete: an image could not be pulled, or the repository's files have errors.
        """
        self._console.end_progress()
        here = sum(1 for outcome in outcomes if outcome.value is not None and outcome.value.was_here)
        if here:
            self._console.line(f"  {here} already present")
        if self._console.json and not self._caller:  # else the caller's document has them
            self._console.document([prefetch.described(outcome) for outcome in outcomes])
        elif here < len(outcomes):
            rows = [_row(item) for item in outcomes if item.value is None or not item.value.was_here]
            self._console.table(("  IMAGE", "FROM", "SIZE", "TIME", "TRIES"), rows)
        missing = [outcome.name for outcome in outcomes if not outcome.done]
        of = number(len(outcomes), "image")
        text = f"{len(missing)} of {of} could not be pulled: {', '.join(missing)}" if missing else ""
        self._end(text, repository, names)

    def end_dry(
        self, plan: Mapping[str, Sequence[tuple[str, str]]], repository: Repository, names: Sequence[str] = ()
    ) -> None:
        """Print the source that each image would come from, and why other sources would not provide it.

        Raises:
            Incomplete: no source has an image, or the repository's files have errors.
        """
        if self._console.json and not self._caller:
            self._console.document([_plan_json(name, asked) for name, asked in plan.items()])
        else:
            for name, asked in plan.items():
                self._planned(name, asked)
        missing = [name for name, asked in plan.items() if all(refusal for _, refusal in asked)]
        of = number(len(plan), "image")
        text = f"{len(missing)} of {of} not available from any source: {', '.join(missing)}" if missing else ""
        self._end(text, repository, names)

    def _end(self, failed: str, repository: Repository, names: Sequence[str]) -> None:
        """Raise what failed. The errors in the repository's files are the caller's to report, if there is one."""
        if not self._caller:
            problems(self._console, repository, names, failed=(failed,), hint=WHERE_FROM)
        elif failed:
            raise Incomplete(failed, hint=WHERE_FROM)

    def _planned(self, name: str, asked: Sequence[tuple[str, str]]) -> None:
        source = _source(asked)
        found = "already present" if source == "engine" else f"would come from {source}"
        self._console.line(f"  {name}: ", found if source else self._console.bad("not available from any source"))
        self._console.refusals([Refusal(source=other, reason=reason) for other, reason in asked if reason])


def _row(outcome: Outcome[Fetched]) -> tuple[str, ...]:
    fetched = outcome.value
    if fetched is None:
        return (f"  {outcome.name}", "not available", "-", "-", str(prefetch.tries(outcome) or "-"))
    return (f"  {outcome.name}", fetched.source, size(fetched.size), seconds(fetched.seconds), str(fetched.tries))


def _plan_json(name: str, asked: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "image": name,
        "source": _source(asked),
        "refusals": [{"source": source, "reason": refusal} for source, refusal in asked if refusal],
    }


def _source(asked: Sequence[tuple[str, str]]) -> str | None:
    """Return the first source that has the image."""
    return next((source for source, refusal in asked if not refusal), None)
