"""Output of `build`, `build-all` and `copy-slurm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.build import to_run
from build_lib.console import this_run
from build_lib.console.output import Console, failure
from build_lib.console.problems import problems
from build_lib.repository import fingerprint
from build_lib.units import number, seconds, some

if TYPE_CHECKING:  # as in output
    from collections.abc import Iterable, Mapping, Sequence

    from build_lib.build import Built, Check, Running
    from build_lib.console.this_run import Record
    from build_lib.errors import BuildError
    from build_lib.graph import Outcome
    from build_lib.hub import Copied
    from build_lib.job import Result
    from build_lib.repository import Repository


class BuildReport:
    """Prints a build: what is out of date, each service when its build ends, and a summary."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: list[BuildError] = []

    def step(self, number: int, title: str) -> None:
        """Print the heading of a step of build-all."""
        self._console.step(number, title)

    def line(self, text: str) -> None:
        """Print a line within a step."""
        self._console.line(text)

    def checked(self, checks: Mapping[str, Check]) -> None:
        """Print which services are out of date, and why, and which run while others are built."""
        for name, check in checks.items():
            state = f"out of date: {check.reason}" if check.reason else self._console.good("up to date")
            self._console.line(f"  {name}: ", state)
        for name, others in to_run(checks).items():
            verb = "is" if len(others) == 1 else "are"
            self._console.line(f"  {name} runs while {', '.join(others)} {verb} built")

    def building(self, builder: str, jobs: int) -> None:
        """Print the builder, and how many services it builds at once."""
        self._console.line(f"  with {builder}, {jobs} at once")

    def on_start(self, name: str) -> None:
        """Print that the build of a service begins, where no line for it is drawn."""
        if not self._console.draws:
            self._console.on_start(name)

    def on_tick(self, running: Mapping[str, Running]) -> None:
        """Show what is being built, and how far it is."""
        self._console.on_tick(running)

    def on_built(self, outcome: Outcome[Built]) -> None:
        """Print how the build of a service ended; print nothing if it was up to date from the beginning."""
        built = outcome.value
        if built is None:
            self._console.line(f"  {outcome.name}: ", self._console.bad(_why_not(outcome)))
            if outcome.error:
                self._told.append(outcome.error)
                failure(outcome.error)
        elif built.reason:
            where = f" on {built.place}" if built.place else ""
            self._console.line(f"  {outcome.name}: ", self._console.good("built"), f"{where}, {seconds(built.seconds)}")
            if built.changed:
                self._console.line(f"    {fingerprint.unsure(built.changed)}: the next run builds it again")
        elif built.unchanged:
            self._console.line(f"  {outcome.name}: up to date, because {', '.join(built.unchanged)} came out the same")

    def recorded(self, record: Record) -> None:
        """Keep the record for `--json` and `--junit`."""
        this_run.keep_record(record)
        if self._console.json:
            self._console.document(record)

    def end(self, result: Result, repository: Repository, names: Sequence[str] = ()) -> None:
        """Print the result for each service, then each failure, and the path of the report.

        `names` are the services that were asked for, by default all.

        Raises:
            Incomplete: something failed, or the repository's files have errors; with everything that failed.
        """
        for outcome in result.outcomes:
            self._console.line(f"  {outcome.name}: ", self._ended(outcome))
        self.failures(result)
        if result.report:
            self._console.line(f"report: {self._console.below(result.report)}")
        failed = [outcome.name for outcome in result.outcomes if outcome.error]
        not_built = [outcome.name for outcome in result.outcomes if not outcome.done and not outcome.error]
        others = len(result.failures) - len(failed)
        problems(
            self._console,
            repository,
            names,
            failed=(
                f"{number(len(failed), 'service')} failed: {some(failed)}" if failed else "",
                f"{number(len(not_built), 'service')} not built: {some(not_built)}" if not_built else "",
                f"{number(others, 'failure')} after the builds, see above" if others else "",
            ),
        )

    def failures(self, result: Result) -> None:
        """Print the failures that were not printed during the build."""
        for error in result.failures:
            if error not in self._told:
                failure(error)

    def _ended(self, outcome: Outcome[Built]) -> str:
        if outcome.value is None:
            return self._console.bad(_why_not(outcome))
        if not outcome.value.reason:
            return "up to date"
        return self._console.good(f"built, {seconds(outcome.value.seconds)}")


def copied(console: Console, hubs: Iterable[Copied], why_none: str) -> None:
    """Print for each hub, as soon as it is known, how many packages were copied, or that nothing had to be done."""
    documents: list[dict[str, Any]] = []
    if console.json:
        console.document(documents)  # which also has those that were done before a failure
    for hub in hubs:
        console.line(f"{hub.count} would be {hub.done}" if console.dry and hub.changed else hub.summary)
        documents.append(_copied_json(hub))
    if not documents:
        console.line(f"nothing to do: {why_none}")


def _copied_json(hub: Copied) -> dict[str, Any]:
    return {
        "hub": hub.hub,
        "changed": hub.changed,
        "copied": hub.copied,
        "packages": list(hub.packages),
        "not_newer": list(hub.not_newer),
        "damaged": list(hub.damaged),
    }


def _why_not(outcome: Outcome[Built]) -> str:
    if outcome.blocked_by:
        return f"not built: depends on {', '.join(outcome.blocked_by)}"
    return "failed" if outcome.error else "not started"
