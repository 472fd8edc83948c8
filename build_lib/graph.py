"""Runs work in dependency order, in parallel, with support for cancellation."""

import threading
import time
from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from build_lib.errors import BuildError, EngineLost

R = TypeVar("R")
_UNWIND_SECONDS = 15  # how long cancelled work may take to clean up
_POLL_SECONDS = 0.05
_TICK_SECONDS = 0.2


def note(error: BaseException, doing: str) -> None:
    """Add to an exception that ends the program, such as ^C, what it interrupts, in words."""
    if doing and not isinstance(error, Exception):
        error.add_note(doing)


@contextmanager
def interruptible(doing: str) -> Iterator[None]:
    """Within, an exception that ends the program gets this note."""
    try:
        yield
    except BaseException as error:
        note(error, doing)
        raise


def that_need(keys: Collection[str], needs: Mapping[str, Collection[str]], names: Iterable[str]) -> list[str]:
    """Those of the names that are among the keys, or need one of them."""
    return [name for name in names if name in keys or not set(needs[name]).isdisjoint(keys)]


class Cancel:
    """A request to running work to end early. Work checks `requested`, waits with `sleep`, or registers a callback."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._leaving: Counter[threading.Thread] = Counter()

    def requested(self) -> bool:
        """Whether the work should end."""
        return self._event.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait for this time, but not past a request to end.

        Raises:
            BuildError: the end was requested.
        """
        if self._event.wait(seconds):
            raise BuildError("cancelled")

    def sleep_quietly(self, seconds: float) -> None:
        """Wait for this time, or until the end is requested."""
        self._event.wait(seconds)

    def request(self) -> None:
        """Ask all work to end."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @contextmanager
    def abandoned(self) -> Iterator[None]:
        """Within, this thread has nothing to clean up, and a cancelled run does not wait for it."""
        thread = threading.current_thread()
        self._leaving[thread] += 1
        try:
            yield
        finally:
            self._leaving[thread] -= 1

    def join(self, threads: Sequence[threading.Thread]) -> None:
        """Wait for the threads to clean up, for a limited time."""
        deadline = time.monotonic() + _UNWIND_SECONDS
        for thread in threads:
            while thread.is_alive() and not self._leaving[thread] and time.monotonic() < deadline:
                thread.join(_POLL_SECONDS)

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within, a request calls `callback` in the requesting thread. An earlier request calls it at once."""
        with self._lock:
            late = self._event.is_set()
            if not late:
                self._callbacks.append(callback)
        if late:
            callback()
        try:
            yield
        finally:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)


class Again(Exception):  # no error: nothing is wrong with the work
    """Raised by work that has to be done once more, from the beginning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome(Generic[R]):
    """The result of one piece of work: a value, an error, or the reason why it was not started."""

    name: str
    value: R | None = None
    error: BuildError | None = None
    blocked_by: tuple[str, ...] = ()  # the failed keys that it depends on
    skipped: bool = False  # not started, because another piece failed and `fail_fast` is set

    @property
    def done(self) -> bool:
        """Whether the work succeeded."""
        return self.error is None and not self.blocked_by and not self.skipped


def run(
    needs: Mapping[str, Collection[str]],
    work: Callable[[str, Cancel], R],
    *,
    jobs: int,
    on_start: Callable[[str], None] = lambda _name: None,
    on_end: Callable[[Outcome[R]], None] = lambda _outcome: None,
    on_tick: Callable[[], None] | None = None,
    fail_fast: bool = False,
    cancel: Cancel | None = None,
    doing: Callable[[Sequence[str]], str] = lambda _names: "",
    choose: Callable[[Sequence[str]], str | None] | None = None,
) -> list[Outcome[R]]:
    """Call `work` for each key of `needs`, up to `jobs` at once, each after the keys that it depends on.

    A failure (BuildError) blocks only its dependents; with `fail_fast`, nothing more is started. The callbacks run in
    the calling thread, `on_tick` several times a second while work runs. Outcomes are returned in the order of the
    keys. Any other exception, including ^C, cancels running work, waits for it to clean up, and is raised. `cancel` is
    passed to `work`, by default a new one. `doing` says in words what is done for the given keys, which are running;
    ^C gets it as a note. `choose` says which of the keys that are ready is next, or None if one of the running ones has
    to end before that, whatever `jobs` is. Work that raises `Again` goes back to those that are ready.
    """
    cancel = cancel or Cancel()
    going = _Run(needs, work, jobs=jobs, on_start=on_start, on_end=on_end, fail_fast=fail_fast, cancel=cancel)
    going.on_tick = on_tick
    going.doing = doing
    going.choose = choose or going.first
    return going.all()


class _Run(Generic[R]):
    def __init__(
        self,
        needs: Mapping[str, Collection[str]],
        work: Callable[[str, Cancel], R],
        *,
        jobs: int,
        on_start: Callable[[str], None],
        on_end: Callable[[Outcome[R]], None],
        fail_fast: bool,
        cancel: Cancel,
    ) -> None:
        self.needs = {name: [need for need in wanted if need in needs] for name, wanted in needs.items()}
        self.work = work
        self.jobs = jobs
        self.on_start = on_start
        self.on_end = on_end
        self.fail_fast = fail_fast
        self.sorter = TopologicalSorter(self.needs)
        self.order = {name: place for place, name in enumerate(needs)}
        self.outcomes: dict[str, Outcome[R]] = {}
        self.ended: SimpleQueue[Outcome[R] | BaseException] = SimpleQueue()
        self.ready: list[str] = []
        self.failed = False
        self.threads: list[threading.Thread] = []
        self.running = 0
        self.cancel = cancel
        self.on_tick: Callable[[], None] | None = None
        self.begun: list[str] = []
        self.doing: Callable[[Sequence[str]], str] = lambda _names: ""
        self.choose: Callable[[Sequence[str]], str | None] = self.first

    def first(self, ready: Sequence[str]) -> str | None:
        """The first key, if another one may run."""
        return ready[0] if self.running < self.jobs else None

    def all(self) -> list[Outcome[R]]:
        self.sorter.prepare()
        try:
            while self.sorter.is_active():
                self._get_ready()
                while self.ready and (name := self.ready[0] if self._is_over() else self.choose(self.ready)):
                    self.ready.remove(name)
                    self._begin(name)
                assert self.running or not self.ready, "nothing runs that could end, and nothing was chosen"
                if self.running:
                    self._finish(self._next_end())
        except BaseException as error:
            self._note(error)
            self.cancel.request()
            self.cancel.join(self.threads)
            raise
        return [self.outcomes[name] for name in self.needs]

    def _get_ready(self) -> None:
        """Take the keys whose needs have ended. Those that a failure blocks end with that."""
        while new := self.sorter.get_ready():
            for name in new:
                blockers = tuple(need for need in self.needs[name] if not self.outcomes[need].done)
                if blockers:
                    self._end(Outcome(name=name, blocked_by=blockers))
                else:
                    self._add(name)

    def _add(self, name: str) -> None:
        """Add a key to those that are ready, in the order of all."""
        insort(self.ready, name, key=self.order.__getitem__)

    def _is_over(self) -> bool:
        """Whether nothing more is to be started."""
        return self.failed and self.fail_fast

    def _note(self, error: BaseException) -> None:
        running = [name for name in self.begun if name not in self.outcomes]
        note(error, self.doing(running) if running else "")

    def _next_end(self) -> "Outcome[R] | BaseException":
        while self.on_tick is not None and self.ended.empty():
            self.on_tick()
            with suppress(Empty):
                return self.ended.get(timeout=_TICK_SECONDS)
        return self.ended.get()

    def _begin(self, name: str) -> None:
        if self._is_over():
            self._end(Outcome(name=name, skipped=True))
            return
        self.on_start(name)
        self.begun.append(name)
        self.running += 1
        if self.jobs == 1 and self.on_tick is None:
            self._do(name)
            return
        thread = threading.Thread(target=self._do, args=(name,), name=name, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _do(self, name: str) -> None:
        try:
            self.ended.put(Outcome(name=name, value=self.work(name, self.cancel)))
        except Again:
            self.ended.put(Again(name))
        except EngineLost as error:
            self.ended.put(error)
        except BuildError as error:
            self.ended.put(Outcome(name=name, error=error))
        except BaseException as error:  # noqa: BLE001  # carried to the calling thread, which raises it
            self.ended.put(error)

    def _finish(self, ended: Outcome[R] | BaseException) -> None:
        self.running -= 1
        if isinstance(ended, Again):
            self._add(str(ended))
            return
        if isinstance(ended, BaseException):
            raise ended
        self._end(ended)

    def _end(self, ended: Outcome[R]) -> None:
        self.failed = self.failed or bool(ended.error)
        self.outcomes[ended.name] = ended
        self.on_end(ended)
        self.sorter.done(ended.name)
