"""Which service is built next, and on which builder.

Decisions alone, without threads, clocks or input: the program and a simulation make the same ones. A decision depends
on nothing but the calls before it.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

_NEW_SECONDS = 60.0  # expected of a new service, if none of the run was built before
_NEW_AS_LONG_AS = 0.98  # else it is expected to take as long as this share of the others at most


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """A builder as the schedule sees it.

    `jobs` is how many services it builds at once. `platforms` are those that it builds natively, () if that is not
    known.
    """

    name: str
    jobs: int
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A service as the schedule sees it.

    `needs` are the services that it depends on; those that are not in the run are ignored. `seconds` is how long its
    last build took, None for a new one. `builder` built it last and has its cache, "" if that is not known. `platform`
    is the one that it is for, "" for any.
    """

    name: str
    needs: tuple[str, ...]
    seconds: float | None
    builder: str = ""
    platform: str = ""


class Schedule:
    """Chooses the next service and its builder, again and again.

    The service with the longest chain left goes first: its own expected seconds, and those of the dependents that keep
    the run busy longest after it. A service that has a platform goes to a builder that builds it natively, if any is
    left, else to any. Of these, it goes to the one that built it last, else to the one that built most of the services
    it depends on in this run, else to the one with the largest share of free places. Ties go by the order of `tasks`
    and `builders`.
    """

    def __init__(self, tasks: Sequence[Task], builders: Sequence[Capacity]) -> None:
        self._tasks = {task.name: task for task in tasks}
        self._turns = _turns(self._tasks)
        self._left = {builder.name: builder for builder in builders if builder.jobs > 0}
        self._free = {name: builder.jobs for name, builder in self._left.items()}
        self._building: dict[str, str] = {}  # services and their builders
        self._built: dict[str, str] = {}
        self._suitable = self._by_platform()

    @property
    def left(self) -> tuple[str, ...]:
        """The builders that are not lost. Without any, nothing more is chosen."""
        return tuple(self._left)

    @property
    def places(self) -> int:
        """How many services the builders left build at once."""
        return sum(builder.jobs for builder in self._left.values())

    def builder_of(self, name: str) -> str:
        """The builder that builds the service now, or has built it in this run; "" if there is none."""
        return self._building.get(name) or self._built.get(name, "")

    def next(self, ready: Collection[str]) -> tuple[str, str] | None:
        """Choose a service and its builder, and occupy a place there; None if nothing can be built now.

        `ready` are the services that wait for nothing but a place, in any order.
        """
        free = {platform: self._with_a_place(platform) for platform in self._suitable}
        able = [name for name in ready if free[self._tasks[name].platform]]
        if not able:
            return None
        name = min(able, key=self._turns.__getitem__)
        builder = self._best(self._tasks[name], free[self._tasks[name].platform])
        self._free[builder] -= 1
        self._building[name] = builder
        return name, builder

    def ended(self, name: str, *, done: bool) -> None:
        """The build has ended, and its place is free again. If it is `done`, the image lies on that builder."""
        builder = self._building.pop(name)
        self._free[builder] += 1
        if done:
            self._built[name] = builder

    def lost(self, builder: str) -> None:
        """Leave the builder out from now on. What it was building still has to end."""
        self._left.pop(builder, None)
        self._suitable = self._by_platform()

    def _by_platform(self) -> dict[str, tuple[Capacity, ...]]:
        """The builders that may build for each platform."""
        everyone = tuple(self._left.values())
        platforms = {task.platform for task in self._tasks.values()}
        return {name: tuple(one for one in everyone if name in one.platforms) or everyone for name in platforms}

    def _with_a_place(self, platform: str) -> list[Capacity]:
        return [builder for builder in self._suitable[platform] if self._free[builder.name]]

    def _best(self, task: Task, free: Sequence[Capacity]) -> str:
        parents = Counter(self._built[need] for need in task.needs if need in self._built)

        def fit(builder: Capacity) -> tuple[bool, int, float]:
            name = builder.name
            return name == task.builder, parents[name], self._free[name] / builder.jobs

        return max(free, key=fit).name


def _turns(tasks: Mapping[str, Task]) -> dict[str, int]:
    """The place of each service in the order in which services are chosen."""
    chains = _chains_left(tasks)
    return {name: turn for turn, name in enumerate(sorted(tasks, key=lambda name: -chains[name]))}


def _chains_left(tasks: Mapping[str, Task]) -> dict[str, float]:
    """The expected seconds from the beginning of each service to the end of its last dependent, if nothing waits."""
    needs = {name: [need for need in task.needs if need in tasks] for name, task in tasks.items()}
    new = _expected_of_new([task.seconds for task in tasks.values() if task.seconds is not None])
    after = dict.fromkeys(tasks, 0.0)
    chains: dict[str, float] = {}
    for name in reversed([*TopologicalSorter(needs).static_order()]):
        seconds = tasks[name].seconds
        chains[name] = after[name] + (new if seconds is None else seconds)
        for need in needs[name]:
            after[need] = max(after[need], chains[name])
    return chains


def _expected_of_new(known: Sequence[float]) -> float:
    """The seconds expected of a new service: those of a long one.

    A long build that begins late is what a run waits for in the end; a short one that begins early costs nothing.
    """
    return sorted(known)[int(_NEW_AS_LONG_AS * len(known))] if known else _NEW_SECONDS
