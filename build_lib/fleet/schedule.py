"""Which service is built next, and on which builder.

Decisions alone, without threads, clocks or input: the program and a simulation make the same ones. A decision depends
on nothing but the calls before it.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import islice, takewhile

_ALMOST = 0.8  # of the longest chain left: these may go before it, if a place is free where their images lie
_AS_FREE = 0.8  # of the freest builder's share of free places: a parent's image is fetched in seconds
_LOOKED_AT = 200  # of these, so that a decision stays short
_NEW_SECONDS = 60.0  # expected of a new service, if none of the run was built before
_NEW_AS_LONG_AS = 0.98  # else it is expected to take longer than this share of the others


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """A builder as the schedule sees it.

    `jobs` is how many services it builds at once. `platforms` are those that it builds natively, () if that is not
    known; `emulated` are those that it builds more slowly.
    """

    name: str
    jobs: int
    platforms: tuple[str, ...] = ()
    emulated: tuple[str, ...] = ()


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
    the run busy longest after it. One whose chain is almost as long goes before it if its cache or its parents lie on
    a builder with a free place, and those of the first do not: when all places are taken, they become free one at a
    time, and the first service would go wherever that is.

    A service that has a platform goes to a builder that builds it natively, else to one that emulates it, else to any.
    Of these, it goes to the one that built it last, else, of those that are about as free as the freest, to the one
    that has most of its parents, the services that it depends on, from this run, else to the one with the largest share
    of free places. Ties go by the order of `tasks` and `builders`.
    """

    def __init__(self, tasks: Sequence[Task], builders: Sequence[Capacity]) -> None:
        self._tasks = {task.name: task for task in tasks}
        self._chains = _chains_left(self._tasks)
        by_chain = sorted(self._tasks, key=lambda name: -self._chains[name])
        self._turns = {name: turn for turn, name in enumerate(by_chain)}
        self._left = {builder.name: builder for builder in builders if builder.jobs > 0}
        self._free = {name: builder.jobs for name, builder in self._left.items()}
        self._building: dict[str, str] = {}  # services and their builders
        self._built: dict[str, str] = {}
        self._where: dict[str, set[str]] = {name: set() for name in self._tasks}  # the builders that have its image
        self._platforms = {task.platform for task in tasks}
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
        able = [self._tasks[name] for name in ready if free[self._tasks[name].platform]]
        if not able:
            return None
        task = self._first(able, {platform: {builder.name for builder in some} for platform, some in free.items()})
        builder = self._best(task, free[task.platform])
        self._free[builder] -= 1
        self._building[task.name] = builder
        return task.name, builder

    def ended(self, name: str, *, done: bool) -> None:
        """The build has ended, and its place is free again.

        If it is `done`, the image lies on that builder, and so do those of the services that it depends on.
        """
        builder = self._building.pop(name)
        self._free[builder] += 1
        if done:
            self._built[name] = builder
            for image in {name, *self._tasks[name].needs} & self._where.keys():
                self._where[image].add(builder)

    def lost(self, builder: str) -> None:
        """Leave the builder out from now on. What it was building still has to end."""
        self._left.pop(builder, None)
        self._suitable = self._by_platform()

    def _by_platform(self) -> dict[str, dict[str, Capacity]]:
        """The builders that may build for each platform, by name."""
        return {platform: self._able(platform) for platform in self._platforms}

    def _able(self, platform: str) -> dict[str, Capacity]:
        native = {name: builder for name, builder in self._left.items() if platform in builder.platforms}
        emulated = {name: builder for name, builder in self._left.items() if platform in builder.emulated}
        return native or emulated or dict(self._left)

    def _with_a_place(self, platform: str) -> list[Capacity]:
        return [builder for name, builder in self._suitable[platform].items() if self._free[name]]

    def _first(self, able: list[Task], free: Mapping[str, set[str]]) -> Task:
        """The service whose turn it is."""
        able.sort(key=lambda task: self._turns[task.name])
        shortest = self._chains[able[0].name] * _ALMOST
        urgent = takewhile(lambda task: self._chains[task.name] >= shortest, able)
        return next((task for task in islice(urgent, _LOOKED_AT) if self._at_home(task, free[task.platform])), able[0])

    def _at_home(self, task: Task, free: set[str]) -> bool:
        """Whether a builder with a free place has the service's cache, else a parent; also if no builder has any."""
        suitable = self._suitable[task.platform]
        if task.builder in suitable:
            return task.builder in free
        homes = [self._where[need] for need in task.needs if need in self._where]
        homes = [home for home in homes if not suitable.keys().isdisjoint(home)]
        return not homes or not all(home.isdisjoint(free) for home in homes)

    def _best(self, task: Task, free: Sequence[Capacity]) -> str:
        """The builder that suits the service best."""
        parents = Counter(builder for need in task.needs for builder in self._where.get(need, ()))

        most = max(self._free[builder.name] / builder.jobs for builder in free)

        def fit(builder: Capacity) -> tuple[bool, int, float]:
            name, share = builder.name, self._free[builder.name] / builder.jobs
            return name == task.builder, parents[name] if share >= _AS_FREE * most else 0, share

        return max(free, key=fit).name


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

    A long build that begins late is what a run waits for in the end; a short one that begins early costs little.
    """
    return sorted(known)[int(_NEW_AS_LONG_AS * len(known))] if known else _NEW_SECONDS
