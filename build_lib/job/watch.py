"""Builds again what saved files touch, whenever files of the repository change."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Protocol

from build_lib import build as building
from build_lib import git
from build_lib.build import Check
from build_lib.engine import Engine
from build_lib.errors import BuildError, EngineLost
from build_lib.graph import Outcome
from build_lib.job import steps
from build_lib.job.backend import Backend, EngineBackend, connect
from build_lib.job.fleet_supply import supply
from build_lib.job.recorded import Result
from build_lib.job.run_record import RecordListener
from build_lib.registry import Progress
from build_lib.repository import Repository, dependencies, discover, fingerprint
from build_lib.settings import Settings
from build_lib.transfer import Fetched, prefetch

_QUIET_MILLISECONDS = 200  # without a change, before changes count: a checkout makes many
_LONGEST_MILLISECONDS = 5000
_POLL_MILLISECONDS = 300
_LONGEST_CHECKOUT_SECONDS = 30
_IGNORED = frozenset([".git", ".hg", ".svn"])


class WatchListener(RecordListener, Protocol):
    """Receives what happens while files are watched."""

    def on_progress(self, progress: Progress) -> None:
        """Images are being pulled."""

    def on_fetched(self, outcome: Outcome[Fetched]) -> None:
        """An image was pulled, or could not be."""

    def on_changed(self, paths: Sequence[Path]) -> None:
        """These files changed, and something is built because of it."""

    def on_repository(self, repository: Repository) -> None:
        """The repository was read."""

    def on_result(self, result: Result) -> None:
        """A build ended."""

    def on_error(self, error: BuildError) -> None:
        """Nothing can be built as the repository is now."""

    def on_waiting(self) -> None:
        """The next change is waited for."""


def watch(names: Sequence[str], settings: Settings, listener: WatchListener) -> None:
    """Build the named services, by default all, and then again what changes touch, with its dependents, until ^C.

    A service is touched if its fingerprint is another one than at its last build, also one that failed. The settings
    are not read again.

    Raises:
        BuildError: there is no such service; files cannot be watched; there is no engine, or it has ended.
    """
    with ExitStack() as stack:
        backend = _backends(settings, stack)
        discover(settings, expected="services").require(names)
        rounds, watched = _rounds(settings), _Watch(names, backend, settings, listener)
        while True:
            try:
                changed = next(rounds)
            except KeyboardInterrupt:
                return
            watched.build(changed)


def _backends(settings: Settings, stack: ExitStack) -> Callable[[], AbstractContextManager[Backend]]:
    """What gives the backend for a build: always the same engine, or a fleet, asked anew what it and its registry have.

    Raises:
        BuildError: there is no engine, or no registry for a fleet.
    """
    if settings.builders:
        with connect(settings):  # which fails if it has no registry
            return lambda: connect(settings)
    engine = EngineBackend(stack.enter_context(Engine.connect(settings)), settings)
    return lambda: nullcontext(engine)


class _Watch:
    def __init__(
        self,
        names: Sequence[str],
        backend: Callable[[], AbstractContextManager[Backend]],
        settings: Settings,
        listener: WatchListener,
    ) -> None:
        self._names = names
        self._backend = backend
        self._settings = settings
        self._listener = listener
        self._tried: dict[str, fingerprint.Parts] = {}  # the services that were built, and what from

    def build(self, changed: Sequence[Path]) -> None:
        """Build what the changes touch."""
        try:
            done = self._build(changed)
        except EngineLost:
            raise
        except BuildError as error:
            self._listener.on_error(error)
            done = True
        if done or not changed:
            self._listener.on_waiting()

    def _build(self, changed: Sequence[Path]) -> bool:
        repository = discover(self._settings, expected="services")
        self._listener.on_repository(repository)
        with self._backend() as backend:
            checks = building.check(repository.chosen(self._names), backend.store, self._settings)
        touched = self._touched(checks)
        if not touched:
            return False
        if changed:
            self._listener.on_changed(changed)
        self._tried |= {name: checks[name].parts for name in touched}
        self._pull([checks[name] for name in touched], repository)
        with self._backend() as backend:
            result = steps.build(repository, touched, backend, self._settings, self._listener)
        self._listener.on_result(result)
        return True

    def _touched(self, checks: Mapping[str, Check]) -> list[str]:
        """The services that are out of date, without those whose last try was made from the same."""
        touched: set[str] = set()
        for name in building.in_order({name: check.service for name, check in checks.items()}):
            check = checks[name]
            again = self._tried.get(name) != check.parts or touched.intersection(check.service.needs)
            if check.reason and again:
                touched.add(name)
        return [name for name in checks if name in touched]

    def _pull(self, checks: Sequence[Check], repository: Repository) -> None:
        """Pull the images that the builds need and do not find. A failure is reported by the builds that need them."""
        names = [check.service.name for check in checks]
        needed = dependencies.find(repository, self._settings, names, kind="build")
        missing = {image for check in checks for image in check.missing}
        with self._backend() as backend:
            if backend.engine is not None:
                wanted = [item for item in needed if item.image in missing]
                if wanted:
                    prefetch.prefetch(wanted, backend.engine, self._settings, self._listener)
                return
            wanted = [item for item in needed if backend.store.look().name_of(item.image) is None]
        if wanted:
            supply(wanted, self._settings, self._listener, dry=False)


def _rounds(settings: Settings) -> Iterator[Sequence[Path]]:
    """Nothing at once, and then, whenever files changed, which ones. What changes in between is not lost.

    Raises:
        BuildError: files cannot be watched.
    """
    from watchfiles import watch as changes  # noqa: PLC0415  # its import takes as long as a short task

    own = settings.state_dir.resolve()
    lock = git.index_lock(settings.project_root, settings.environment)

    def wanted(_change: object, path: str) -> bool:
        place = Path(path)
        return not (place.is_relative_to(own) or _IGNORED.intersection(place.parts))

    first, pending = True, set[Path]()
    try:
        for found in changes(
            *_places(settings),
            watch_filter=wanted,
            step=_QUIET_MILLISECONDS,
            debounce=_LONGEST_MILLISECONDS,
            rust_timeout=_POLL_MILLISECONDS,
            yield_on_timeout=True,
        ):
            pending |= {Path(path) for _, path in found}
            if first or (pending and not _is_new(lock)):
                yield sorted(pending)
                first, pending = False, set()
    except OSError as error:
        hint = "sysctl fs.inotify.max_user_watches=524288 allows more watched directories"
        raise BuildError(f"{settings.project_root} cannot be watched: {error}", hint=hint) from None


def _is_new(lock: Path | None) -> bool:
    """Whether there is such a lock, and it was not left behind by a command that was killed."""
    try:
        return lock is not None and time.time() - lock.lstat().st_mtime < _LONGEST_CHECKOUT_SECONDS
    except FileNotFoundError:
        return False


def _places(settings: Settings) -> list[Path]:
    """The repository, and the build contexts outside of it."""
    root = settings.project_root.resolve()
    contexts = {service.context.resolve() for service in discover(settings).services.values()}
    return [root, *sorted(context for context in contexts if not context.is_relative_to(root) and context.is_dir())]
