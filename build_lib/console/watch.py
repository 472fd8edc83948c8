"""Output of `watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from build_lib.console.build import BuildReport
from build_lib.console.output import Console, failure
from build_lib.console.problems import problems
from build_lib.errors import BuildError, Incomplete
from build_lib.units import number, some

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence
    from pathlib import Path

    from build_lib.graph import Outcome
    from build_lib.job import Result
    from build_lib.registry import Progress
    from build_lib.repository import Repository
    from build_lib.transfer import Fetched


class WatchReport(BuildReport):
    """Prints what changed, each service that was built because of it, and when it waits."""

    def __init__(self, console: Console, names: Sequence[str] = ()) -> None:
        super().__init__(console)
        self._names = names
        self._problems: object = None  # those of the repository that were printed last

    def on_progress(self, progress: Progress) -> None:
        """Draw the progress of downloads."""
        self._console.on_progress(progress)

    def on_fetched(self, outcome: Outcome[Fetched]) -> None:
        """Print an image that was pulled; the builds tell those that could not be."""
        self._console.end_progress()
        if outcome.value is not None:
            self._console.line(f"  {outcome.name}: from {outcome.value.source}")

    def on_changed(self, paths: Sequence[Path]) -> None:
        """Print the files that changed."""
        self._console.line(f"changed: {some([self._console.below(path) for path in paths])}")

    def on_repository(self, repository: Repository) -> None:
        """Print the problems of the repository's files, if they are not the same as before."""
        if repository.problems != self._problems:
            self._problems = repository.problems
            try:
                problems(self._console, repository, self._names)
            except Incomplete as error:
                failure(error)

    def on_result(self, result: Result) -> None:
        """Print the failures that were not printed during the build."""
        self.failures(result)

    def on_error(self, error: BuildError) -> None:
        """Print why nothing can be built."""
        failure(error)

    def on_waiting(self) -> None:
        """Print that it waits."""
        watched = number(len(self._names), "service") if self._names else "all services"
        self._console.line(f"waiting for changes of {watched}; ^C ends it")
