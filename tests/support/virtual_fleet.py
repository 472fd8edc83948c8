"""Runs over builders on a virtual clock, with the program's own schedule, and the graphs that they build."""

import heapq
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import count

from build_lib.fleet import Capacity, Schedule, Task

SERVICES = 1_000
PLACES = 4  # of each builder
_MEDIAN = 30.0  # seconds of a build
_SPREAD = 1.0  # of the logarithm: one build in a hundred takes ten times the median
_WRONG = (0.7, 1.4)  # what is expected, over what it takes
_NEW = 0.1  # so many of the services were never built before

Needs = dict[str, tuple[str, ...]]
Offer = Callable[[Sequence[str]], Collection[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """A build that ended, in virtual seconds since the run began; not `done` if its builder was lost."""

    name: str
    builder: str
    began: float
    ended: float
    done: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """Services with what they depend on, and how long each build takes, in seconds."""

    needs: Needs
    seconds: dict[str, float]

    def bound(self, places: int) -> float:
        """The seconds that no order can beat: the longest chain, or all work over all places."""
        return max(self.longest_chain(), sum(self.seconds.values()) / places)

    def longest_chain(self) -> float:
        """The seconds of the services that take longest one after the other."""
        ends: dict[str, float] = {}
        for name in TopologicalSorter(self.needs).static_order():
            ends[name] = self.seconds[name] + max((ends[need] for need in self.needs[name]), default=0.0)
        return max(ends.values(), default=0.0)

    def tasks(self, seed: int) -> list[Task]:
        """The services as a schedule sees them: what it expects is wrong, or not known."""
        dice = random.Random(seed)
        found = []
        for name, needs in self.needs.items():
            expected = self.seconds[name] * dice.uniform(*_WRONG)
            found.append(Task(name=name, needs=needs, seconds=None if dice.random() < _NEW else expected))
        return found


def fleet(builders: int) -> list[Capacity]:
    """So many equal builders."""
    return [Capacity(name=f"builder-{number}", jobs=PLACES) for number in range(builders)]


def everything(ready: Sequence[str]) -> Sequence[str]:
    """Offer all that is ready to the schedule, which is how the program does it."""
    return ready


def first_come(ready: Sequence[str]) -> Sequence[str]:
    """Offer only what has been ready for longest."""
    return ready[:1]


def by_chance(seed: int) -> Offer:
    """Offer any one that is ready."""
    dice = random.Random(seed)
    return lambda ready: [dice.choice(ready)] if ready else []


def play(
    schedule: Schedule,
    needs: Mapping[str, Collection[str]],
    seconds: Mapping[str, float],
    *,
    offer: Offer = everything,
    losses: Mapping[str, float] | None = None,
) -> list[Build]:
    """Build everything on a virtual clock, in the order in which the builds end. `losses` says when builders are lost.

    What a lost builder was building fails at that moment, and is ready again.
    """
    clock = _Clock(schedule, needs, seconds, offer)
    for builder, moment in (losses or {}).items():
        clock.lose(builder, moment)
    return clock.run()


class _Clock:
    def __init__(
        self, schedule: Schedule, needs: Mapping[str, Collection[str]], seconds: Mapping[str, float], offer: Offer
    ) -> None:
        self.schedule = schedule
        self.seconds = seconds
        self.offer = offer
        self.sorter = TopologicalSorter(needs)
        self.sorter.prepare()
        self.ready: list[str] = []
        self.running: dict[int, tuple[str, str, float]] = {}
        self.numbers = count()
        self.events: list[tuple[float, int, str]] = []  # ends of builds, and losses, which name a builder
        self.builds: list[Build] = []

    def lose(self, builder: str, moment: float) -> None:
        heapq.heappush(self.events, (moment, next(self.numbers), builder))

    def run(self) -> list[Build]:
        self._begin(0.0)
        while self.events and self.sorter.is_active():
            now, number, builder = heapq.heappop(self.events)
            if builder:
                self._lost(builder, now)
            elif number in self.running:
                self._end(number, now, done=True)
            self._begin(now)
        return self.builds

    def _begin(self, now: float) -> None:
        self.ready += self.sorter.get_ready()
        while chosen := self.schedule.next(self.offer(self.ready)):
            name, builder = chosen
            self.ready.remove(name)
            number = next(self.numbers)
            self.running[number] = (name, builder, now)
            heapq.heappush(self.events, (now + self.seconds[name], number, ""))

    def _end(self, number: int, now: float, *, done: bool) -> None:
        name, builder, began = self.running.pop(number)
        self.schedule.ended(name, done=done)
        self.builds.append(Build(name=name, builder=builder, began=began, ended=now, done=done))
        if done:
            self.sorter.done(name)
        else:
            self.ready.append(name)

    def _lost(self, builder: str, now: float) -> None:
        self.schedule.lost(builder)
        for number in [number for number, (_, where, _) in self.running.items() if where == builder]:
            self._end(number, now, done=False)


def _name(number: int) -> str:
    return f"service-{number}"


def _layered(dice: random.Random) -> list[list[int]]:
    """Ten layers, in which each service depends on one to three of the layer below."""
    layer = SERVICES // 10
    return [
        dice.sample(range(number // layer * layer - layer, number // layer * layer), dice.randint(1, 3))
        if number >= layer
        else []
        for number in range(SERVICES)
    ]


def _wide(dice: random.Random) -> list[list[int]]:
    """A base for everything, ten more on it, and all others on one of these."""
    bases = 10
    return [[], *([0] for _ in range(bases)), *([dice.randint(1, bases)] for _ in range(SERVICES - bases - 1))]


def _chains(dice: random.Random) -> list[list[int]]:
    """Chains of 10 to 60 services."""
    found: list[list[int]] = []
    while len(found) < SERVICES:
        length = min(dice.randint(10, 60), SERVICES - len(found))
        found += [[len(found) + place - 1] if place else [] for place in range(length)]
    return found


def _diamonds(dice: random.Random) -> list[list[int]]:
    """Forty rows of diamonds: one service, two to five that depend on it, one that depends on these, and so on."""
    found: list[list[int]] = [[] for _ in range(40)]
    tips = list(range(40))
    row = 0
    while len(found) < SERVICES:
        sides = [len(found) + side for side in range(dice.randint(2, 5))]
        found += [*([tips[row]] for _ in sides), sides]
        tips[row] = len(found) - 1
        row = (row + 1) % len(tips)
    return found[:SERVICES]


def _random(dice: random.Random) -> list[list[int]]:
    """Each service depends on up to three of the hundred before it."""
    return [
        dice.sample(range(max(0, number - 100), number), min(number, dice.randint(0, 3))) for number in range(SERVICES)
    ]


_SHAPES = {"layered": _layered, "wide": _wide, "chains": _chains, "diamonds": _diamonds, "random": _random}
SHAPES = tuple(_SHAPES)


def graph(shape: str, seed: int) -> Graph:
    """A graph of this shape with 1,000 services, the same one for the same seed."""
    dice = random.Random(f"{shape} {seed}")
    needs = {_name(number): tuple(map(_name, wanted)) for number, wanted in enumerate(_SHAPES[shape](dice))}
    return Graph(needs=needs, seconds={name: dice.lognormvariate(0, _SPREAD) * _MEDIAN for name in needs})
