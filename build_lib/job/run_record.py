"""The record of a build, to be read afterwards: `.build/last-run.json` (docs/last-run.md)."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import getpid
from pathlib import Path
from typing import Any, Literal, Protocol

from build_lib import git, process, state
from build_lib.build import Built, Check, Running
from build_lib.errors import BuildError, EngineError, RegistryError
from build_lib.graph import Outcome
from build_lib.invocation import as_typed
from build_lib.job.backend import Backend
from build_lib.job.outside_summary import Summary
from build_lib.page import run_page
from build_lib.settings import Settings
from build_lib.transfer import prefetch

FORMAT = 1
Ending = Literal["done", "failed", "interrupted", "planned"]


class Listener(Protocol):
    """Receives the events of a build as they happen."""

    def step(self, number: int, title: str) -> None:
        """A step begins."""

    def checked(self, checks: Mapping[str, Check]) -> None:
        """All services have been checked."""

    def building(self, builder: str, jobs: int) -> None:
        """Building begins, with this builder and so many services at once."""

    def line(self, text: str) -> None:
        """Anything else that is worth a line."""

    def on_start(self, name: str) -> None:
        """A service's build begins."""

    def on_tick(self, running: Mapping[str, Running]) -> None:
        """Several times a second: the builds that are going on."""

    def on_built(self, outcome: Outcome[Built]) -> None:
        """A service's build ended."""


class RecordListener(Listener, Protocol):
    """Receives the record of the run, too."""

    def recorded(self, record: Mapping[str, Any]) -> None:
        """The run ended; its record, as docs/last-run.md has it."""


class Recorder:
    """A listener that passes events on to another, and records the run. Times are in seconds since the run began."""

    def __init__(self, listener: RecordListener, command: str, backend: Backend, settings: Settings) -> None:
        self.report = settings.state_dir / "report.html"
        self._backend = backend
        self._version = backend.engine.version() if backend.engine else None
        self._listener = listener
        self._command = command
        self._settings = settings
        self._commit = git.commit(settings.project_root, settings.environment, except_for=settings.state_dir)
        last = prefetch.last(settings)
        self._prefetch = last if last.get("process") == getpid() else {}  # this command's own pre-task
        self._now = datetime.now(UTC)
        self._began = datetime.fromisoformat(self._prefetch["began"]) if self._prefetch else self._now
        self._clock = time.monotonic() - (self._now - self._began).total_seconds()
        self._steps: list[dict[str, Any]] = []
        self._times: dict[str, list[float]] = {}
        self._places: dict[str, str] = {}  # where services are built
        self._outcomes: dict[str, Outcome[Built]] = {}
        self._checks: Mapping[str, Check] = {}
        self._builder: str | None = None
        if self._prefetch:
            self._steps.append({"number": 0, "title": "prefetch", "began": 0.0, "seconds": self._prefetch["seconds"]})

    def step(self, number: int, title: str) -> None:
        """A step begins, and the one before ends."""
        self._end_step()
        self._steps.append({"number": number, "title": title, "began": self._elapsed()})
        self._listener.step(number, title)

    def checked(self, checks: Mapping[str, Check]) -> None:
        """See Listener."""
        self._checks = checks
        self._listener.checked(checks)

    def building(self, builder: str, jobs: int) -> None:
        """See Listener."""
        self._builder = builder
        self._listener.building(builder, jobs)

    def line(self, text: str) -> None:
        """See Listener."""
        self._listener.line(text)

    def on_start(self, name: str) -> None:
        """See Listener. A build that begins again, elsewhere or for another platform, began before."""
        if name not in self._times:
            self._times[name] = [self._elapsed()]
            self._listener.on_start(name)

    def on_tick(self, running: Mapping[str, Running]) -> None:
        """See Listener."""
        self._places |= {name: build.place for name, build in running.items()}
        self._listener.on_tick(running)

    def on_built(self, outcome: Outcome[Built]) -> None:
        """See Listener."""
        self._outcomes[outcome.name] = outcome
        self._times.get(outcome.name, []).append(self._elapsed())
        if outcome.value is not None and not outcome.value.reason:
            self._times.pop(outcome.name, None)  # it only had to be checked again
        self._listener.on_built(outcome)

    def write(
        self,
        ending: Ending,
        *,
        packages: str = "",
        downloads: Summary | None = None,
        failures: Sequence[BuildError] = (),
    ) -> None:
        """Pass the record of the run, which has ended, to the listener. Write it, and the page made from it.

        What a dry run has planned is not written.

        Raises:
            BuildError: they cannot be written.
        """
        self._end_step()
        document = self._document(ending, packages, failures)
        document["downloads"] = downloads.described() if downloads else None
        self._listener.recorded(document)
        if ending != "planned":
            state.write(self._settings.state_dir / "last-run.json", document)
            state.write_text(self.report, run_page(document))

    def _document(self, ending: Ending, packages: str, failures: Sequence[BuildError]) -> dict[str, Any]:
        sizes = self._sizes()
        return {
            "format": FORMAT,
            "command": self._command,
            "began": self._began.isoformat(timespec="seconds"),
            "seconds": self._elapsed(),
            "tag": self._settings.image_tag,
            "commit": self._commit.hash if self._commit else None,
            "uncommitted": self._commit.changed if self._commit else None,
            "engine": self._version,
            "platform": self._backend.platform,
            "builder": self._builder,
            "jobs": self._backend.jobs,
            "result": ending,
            "steps": self._steps,
            "services": [self._service(check, sizes) for check in self._checks.values()],
            "dependencies": self._prefetch.get("images", []),
            "packages": packages or None,
            "failures": [self._failure(error) for error in failures],
        }

    def _sizes(self) -> dict[str, int]:
        """The sizes of the images; empty if the engine has ended, because such a run has a record too."""
        try:
            return self._backend.sizes(self._checks)
        except (EngineError, RegistryError):
            return {}

    def _service(self, check: Check, sizes: Mapping[str, int]) -> dict[str, Any]:
        service, outcome = check.service, self._outcomes.get(check.service.name)
        times = self._times.get(service.name, [])
        error = outcome.error if outcome else None
        log = self._settings.state_dir / "logs" / f"{service.name}.log"
        return {
            "name": service.name,
            "image": str(service.image),
            "size": sizes.get(service.name),
            "state": _state(check, outcome, begun=bool(times)),
            "reason": outcome.value.reason if outcome and outcome.value else check.reason,
            "began": times[0] if times else None,
            "seconds": round(times[1] - times[0], 3) if len(times) > 1 else None,
            "builder": (outcome.value.place if outcome and outcome.value else self._places.get(service.name)) or None,
            "needs": list(service.needs),
            "build_with": list(service.build_with),
            "base_images": [str(image) for image in service.base_images],
            "blocked_by": list(outcome.blocked_by) if outcome else [],
            "log": str(log.relative_to(self._settings.state_dir)) if times and log.exists() else None,
            "error": error.message.partition("\n")[0] if error else None,
            "hint": as_typed(error.hint) if error else None,
            "tail": _tail(error, log) if error and times and log.exists() else [],
        }

    def _failure(self, error: BuildError) -> dict[str, Any]:
        return error.described(self._settings.project_root) | {"message": error.message.partition("\n")[0]}

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._clock, 3)

    def _end_step(self) -> None:
        if self._steps:
            self._steps[-1].setdefault("seconds", round(self._elapsed() - self._steps[-1]["began"], 3))


def _tail(error: BuildError, log: Path) -> list[str]:
    """What the failed instruction printed last, or else the end of the log."""
    return error.message.splitlines()[1:] or process.tail(log).splitlines()


def _state(check: Check, outcome: Outcome[Built] | None, *, begun: bool) -> str:
    if outcome is None or outcome.skipped:
        return "interrupted" if begun else "not begun" if check.reason else "up to date"
    if outcome.blocked_by:
        return "blocked"
    if outcome.value is None:
        return "failed"
    return "built" if outcome.value.reason else "up to date"
