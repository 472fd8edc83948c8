"""What `prefetch` prints, which is also step 0 of `build-all`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.console.output import Console
from build_lib.errors import Incomplete, Refusal
from build_lib.transfer import prefetch
from build_lib.units import number, seconds, size

if TYPE_CHECKING:  # as in output
    from collections.abc import Mapping, Sequence

    from build_lib.graph import Outcome
    from build_lib.registry import Progress
    from build_lib.repository import Dependency
    from build_lib.transfer import Fetched


class PrefetchReport:
    """Prints a prefetch: its heading, each image as it comes, and the table of them; or, of a dry run, the sources."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, wanted: Sequence[Dependency], *, caller: str) -> None:
        """Print how many images are wanted; `caller` is the task of which this is a part, or ""."""
        if caller == "build-all":
            self._console.step(0, "prefetch")
        self._console.line(f"  {number(len(wanted), 'dependency image')}")

    def on_start(self, name: str) -> None:
        """Print that an image is looked for."""
        self._console.on_start(name)

    def on_progress(self, progress: Progress) -> None:
        """Draw how far the downloads are."""
        self._console.on_progress(progress)

    def on_fetched(self, outcome: Outcome[Fetched]) -> None:
        """Print where an image came from, and why other sources did not give it."""
        fetched = outcome.value
        if fetched is not None:
            came = f"{self._console.good('from ' + fetched.source)}, {seconds(fetched.seconds)}"
        else:
            came = self._console.bad("not brought in")
        self._console.line(f"  {outcome.name}: {came}")
        self._console.refusals(prefetch.refusals(outcome))

    def end(self, outcomes: Sequence[Outcome[Fetched]]) -> None:
        """Print all images that had to be fetched.

        Raises:
            Incomplete: an image could not be.
        """
        self._console.end_progress()
        here = sum(1 for outcome in outcomes if outcome.value is not None and outcome.value.was_here)
        if here:
            self._console.line(f"  {here} of them in the engine already")
        if self._console.json:
            self._console.document([prefetch.described(outcome) for outcome in outcomes])
        elif here < len(outcomes):
            rows = [_row(item) for item in outcomes if item.value is None or not item.value.was_here]
            self._console.table(("  IMAGE", "FROM", "SIZE", "AFTER", "TRIES"), rows)
        lacking = [outcome.name for outcome in outcomes if not outcome.done]
        if lacking:
            hint = "reachable registries that have them, or PRIVATE_REGISTRY in .env, help"
            raise Incomplete(f"{len(lacking)} of {len(outcomes)} images are missing: {', '.join(lacking)}", hint=hint)

    def end_dry(self, plan: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        """Print from where each image would come, and why other sources would not give it.

        Raises:
            Incomplete: no source has an image.
        """
        if self._console.json:
            self._console.document([_plan_json(name, asked) for name, asked in plan.items()])
        else:
            for name, asked in plan.items():
                self._planned(name, asked)
        lacking = [name for name, asked in plan.items() if all(refusal for _, refusal in asked)]
        if lacking:
            raise Incomplete(f"{len(lacking)} of {len(plan)} images are to be had from no source: {', '.join(lacking)}")

    def _planned(self, name: str, asked: Sequence[tuple[str, str]]) -> None:
        source = _source(asked)
        there = "there" if source == "engine" else f"would come from {source}"
        self._console.line(f"  {name}: {there if source else self._console.bad('nobody has it')}")
        self._console.refusals([Refusal(source=other, reason=reason) for other, reason in asked if reason])


def _row(outcome: Outcome[Fetched]) -> tuple[str, ...]:
    fetched = outcome.value
    if fetched is None:
        return (f"  {outcome.name}", "nowhere", "-", "-", str(prefetch.tries(outcome) or "-"))
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
