"""Doing a build under its lock and recording it, however it ends; and how it ended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from build_lib import state
from build_lib.build import Built
from build_lib.errors import BuildError
from build_lib.graph import Outcome
from build_lib.job.backend import Backend
from build_lib.job.outside_summary import Summary
from build_lib.job.run_record import Ending, Recorder, RecordListener
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How a run ended: the outcome for each service, and everything that failed."""

    outcomes: tuple[Outcome[Built], ...]
    failures: tuple[BuildError, ...]
    packages: str = ""  # what was done about the Slurm packages, in words
    downloads: Summary | None = None  # what builds downloaded, if that was recorded or replayed
    report: Path | None = None  # the page about the run


def planned(
    check: Callable[[Recorder], object], command: str, backend: Backend, settings: Settings, listener: RecordListener
) -> Result:
    """Only check what would be built, and pass on the record of that."""
    recorder = Recorder(listener, command, backend, settings)
    check(recorder)
    recorder.write("planned")
    return Result(outcomes=(), failures=())


def recorded(
    work: Callable[[Recorder], Result], command: str, backend: Backend, settings: Settings, listener: RecordListener
) -> Result:
    """Do the work under the repository's lock, and record the run, however it ends.

    Raises:
        BuildError: another build is running in this repository; or the work could not be continued.
    """
    with state.lock(settings.build_lock, command):
        recorder = Recorder(listener, command, backend, settings)
        try:
            result = work(recorder)
        except (KeyboardInterrupt, SystemExit, BrokenPipeError):
            recorder.write("interrupted")
            raise
        except BuildError as error:
            recorder.write("failed", failures=[error])
            raise
        ending: Ending = "failed" if result.failures else "done"
        try:
            recorder.write(ending, packages=result.packages, downloads=result.downloads, failures=result.failures)
        except BuildError as error:  # such as a full disk: earlier failures must still be reported
            return replace(result, failures=(*result.failures, error))
    return replace(result, report=recorder.report)
