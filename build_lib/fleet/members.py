"""The builders of a fleet in one run: those that answer, and those that were left out, each with the reason."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from build_lib.errors import BuildError
from build_lib.fleet.member import Member, Seen
from build_lib.fleet.schedule import Capacity
from build_lib.graph import Cancel, run
from build_lib.settings import Settings
from build_lib.units import number, some

_PULSE_SECONDS = 5  # between two looks at a builder
_AGAIN_SECONDS = 0.5  # between two looks at one whose connection broke


class Members:
    """The builders. Within the `with` block, each is looked at again and again; one that does not answer is lost."""

    def __init__(self, members: Sequence[Member], settings: Settings) -> None:
        self.by_name = {member.name: member for member in members}
        self.seen: dict[str, Seen] = {}
        self.lost: dict[str, str] = {}  # reasons, by name
        self._settings = settings
        self._running: dict[str, list[Cancel]] = defaultdict(list)
        self._changing = threading.Lock()
        self._remarks: list[str] = []
        self.why_stopped = ""  # why all builds were stopped last (`stop_builds`)
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        """Ask each builder what it is.

        Raises:
            BuildError: none answers.
        """
        outcomes = run(
            dict.fromkeys(self.by_name, ()),
            lambda name, _cancel: self.by_name[name].prepare(),
            jobs=len(self.by_name),
            doing=lambda names: f"asking builder {some(names)}",
        )
        for outcome in outcomes:
            if outcome.value is not None:
                self.seen[outcome.name] = outcome.value
            elif outcome.error is not None:
                self.lose(self.by_name[outcome.name], outcome.error.message)
        if not self.seen:
            hints = [outcome.error.hint for outcome in outcomes if outcome.error and outcome.error.hint]
            hint = hints[0] if hints else "start one, or correct BUILDERS; ./inv builders shows what each says"
            raise BuildError(f"none of BUILDERS can be used: {self.why_lost}", hint=hint)
        for name in self.seen:
            threading.Thread(target=self._watch, args=(self.by_name[name],), name=f"pulse-{name}", daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._ended.set()

    @property
    def words(self) -> str:
        """How many there are and which, for people."""
        versions = sorted({seen.version for seen in self.seen.values()})
        return f"BuildKit {', '.join(versions)} on {number(len(self.seen), 'builder')}: {', '.join(self.seen)}"

    @property
    def capacities(self) -> tuple[Capacity, ...]:
        """What each builds at once, and for which platforms."""
        jobs = self._settings.builder_jobs
        return tuple(
            Capacity(name=name, jobs=jobs, platforms=seen.native, emulated=seen.platforms)
            for name, seen in self.seen.items()
            if name not in self.lost
        )

    @property
    def places(self) -> int:
        """How many services they build at once."""
        return sum(builder.jobs for builder in self.capacities)

    @property
    def why_lost(self) -> str:
        """The reasons why builders were left out, in words."""
        return "; ".join(self.lost.values())

    def able(self, platform: str) -> bool:
        """Whether a builder that is not lost builds for this platform."""
        return any(platform in seen.platforms for name, seen in self.seen.items() if name not in self.lost)

    def others(self, member: Member) -> tuple[str, ...]:
        """The other builders that are not lost."""
        return tuple(name for name in self.seen if name not in self.lost and name != member.name)

    def remarks(self) -> list[str]:
        """What happened to builders since the last call, in words."""
        with self._changing:
            told, self._remarks = self._remarks, []
        return told

    def lose(self, member: Member, why: str) -> None:
        """Leave the builder out for the rest of the run, and end its builds."""
        with self._changing:
            if member.name in self.lost:
                return
            reason = why if member.name in why else f"builder {member.name}: {why}"
            self.lost[member.name] = reason
            self._remarks.append(f"{reason}: it is left out from now on")
            running = self._running.pop(member.name, [])
        for each in running:
            each.request()

    def stop_builds(self, why: str) -> None:
        """End all builds that are going on; their builders stay."""
        with self._changing:
            self.why_stopped = why
            self._remarks += [f"{why}: builds are stopped and tried again"] if any(self._running.values()) else []
            running = [each for several in self._running.values() for each in several]
        for each in running:
            each.request()

    def check(self, member: Member, seconds: float) -> None:
        """Leave the builder out, if it does not answer within this time. One that is started again refuses at first."""
        began = time.monotonic()
        while True:
            try:
                member.check(seconds)
            except BuildError as error:
                if time.monotonic() - began < seconds and not self._ended.wait(_AGAIN_SECONDS):
                    continue
                self.lose(member, error.message)
            return

    @contextmanager
    def ending(self, member: Member, cancel: Cancel) -> Iterator[Cancel]:
        """Within, what ends a build on the builder: it is requested if the run is cancelled or the builder is lost."""
        ending = Cancel()
        with self._changing:
            late = member.name in self.lost
            self._running[member.name].append(ending)
        if late:
            ending.request()
        try:
            with cancel.calling(ending.request):
                yield ending
        finally:
            with self._changing:
                if ending in self._running[member.name]:
                    self._running[member.name].remove(ending)

    def _watch(self, member: Member) -> None:
        limit = self._settings.stall_seconds
        answered = time.monotonic()
        while not self._ended.wait(min(_PULSE_SECONDS, limit / 2)) and member.name not in self.lost:
            try:
                member.check(limit)
                answered = time.monotonic()
            except BuildError as error:
                if time.monotonic() - answered >= limit:
                    self.lose(member, error.message)
