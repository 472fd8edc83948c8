"""The schedule of a fleet, on a virtual clock: 1,000 services on 1 to 64 builders of 4 places.

Prints, for each shape of graph, the time of a run over a bound that no order can beat: the longest chain, or all work
over all places. It is the worst of five graphs, beside the order in which services become ready, and any order. Then,
as means of all five: how many images are moved to another builder, for what depends on them there; how many services a
second run builds where their cache is; how long a decision takes, and 99 of 100 at most. The times of builds have a
long tail. What the schedule expects is wrong by up to 40 %, and unknown for a tenth of the services.

After it, on real daemons, if there are any (as for the tests): 24 services in four levels, each with a step of 2 s, on
one daemon and on two, each with 2 places.
"""

import os
import random
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import mean, quantiles

import pytest

from build_lib.fleet import Capacity, Schedule, Task
from build_lib.settings import Settings
from build_lib.units import number
from tests.support import fleets, virtual_fleet
from tests.support.engines import newer_buildx
from tests.support.fleet_sites import Site, busybox_layer, four_levels, write_tiny
from tests.support.registries import running_registry
from tests.support.virtual_fleet import Build, Graph, Offer

_BUILDERS = (1, 2, 4, 8, 16, 32, 64)
_SEEDS = range(1, 6)
_OTHER = (0.8, 1.25)  # the times of a second run, over those of the first
_WIDTH = 6  # services in a level
_SLEEP = 2.0  # seconds


class _Timed(Schedule):
    """Notes the seconds of each decision."""

    def __init__(self, tasks: Sequence[Task], builders: Sequence[Capacity]) -> None:
        super().__init__(tasks, builders)
        self.decisions: list[float] = []

    def next(self, ready: Collection[str]) -> tuple[str, str] | None:
        began = time.perf_counter()
        chosen = super().next(ready)
        self.decisions.append(time.perf_counter() - began)
        return chosen


def _ratio(graph: Graph, seed: int, builders: int, offer: Offer) -> float:
    schedule = Schedule(graph.tasks(seed), virtual_fleet.fleet(builders))
    builds = virtual_fleet.play(schedule, graph.needs, graph.seconds, offer=offer)
    return builds[-1].ended / graph.bound(schedule.places)


def _moved(graph: Graph, builds: Sequence[Build]) -> int:
    """How many images are moved to another builder, for what depends on them there."""
    where = {build.name: build.builder for build in builds}
    wanted = {(need, where[name]) for name, needs in graph.needs.items() for need in needs}
    return sum(where[need] != builder for need, builder in wanted)


def _again(graph: Graph, seed: int, builders: int, builds: Sequence[Build]) -> float:
    """The share of services that a second run, with other times, builds on the same builder."""
    where = {build.name: build.builder for build in builds}
    dice = random.Random(seed)
    times = {name: seconds * dice.uniform(*_OTHER) for name, seconds in graph.seconds.items()}
    tasks = [replace(task, builder=where[task.name]) for task in graph.tasks(-seed)]
    second = virtual_fleet.play(Schedule(tasks, virtual_fleet.fleet(builders)), graph.needs, times)
    return mean(where[build.name] == build.builder for build in second)


def _row(graphs: dict[int, Graph], builders: int) -> str:
    ratios, moved, again, decisions = [], [], [], []
    for seed, graph in graphs.items():
        schedule = _Timed(graph.tasks(seed), virtual_fleet.fleet(builders))
        builds = virtual_fleet.play(schedule, graph.needs, graph.seconds)
        ratios.append(builds[-1].ended / graph.bound(schedule.places))
        moved.append(_moved(graph, builds))
        again.append(_again(graph, seed, builders, builds))
        decisions += schedule.decisions
    others = [
        max(_ratio(graph, seed, builders, offer) for seed, graph in graphs.items())
        for offer in (virtual_fleet.first_come, virtual_fleet.by_chance(1))
    ]
    figures = "".join(f"{ratio:13.2f}" for ratio in (max(ratios), *others))
    shares = f"{mean(moved):13.0f}{mean(again):13.0%}"
    slow = quantiles(decisions, n=100)[-1]
    return f"  {builders:8}{figures}{shares}   {mean(decisions) * 1e6:4.0f} µs, {slow * 1e6:4.0f} µs"


def _longest_decision() -> float:
    """The mean seconds of decisions about 1,000 ready services, whose images lie only on builders without a place."""
    builders = virtual_fleet.fleet(_BUILDERS[-1])
    full = builders[: len(builders) // 2]
    bases = tuple(f"base-{number}" for number in range(3))
    images = [Task(name=f"on-{one.name}", needs=bases, seconds=1.0, builder=one.name) for one in full]
    others = [Task(name=f"{n}-{one.name}", needs=(), seconds=1.0, builder=one.name) for one in full for n in range(4)]
    tasks = [Task(name=f"service-{number}", needs=bases, seconds=1.0) for number in range(virtual_fleet.SERVICES)]
    schedule = _Timed([*(Task(name=base, needs=(), seconds=1.0) for base in bases), *images, *others, *tasks], builders)
    for name in (*bases, *(task.name for task in images)):
        schedule.next([name])
        schedule.ended(name, done=True)
    for task in others:
        schedule.next([task.name])
    schedule.decisions.clear()
    ready = [task.name for task in tasks]
    while chosen := schedule.next(ready):
        ready.remove(chosen[0])
    return mean(schedule.decisions)


def _real(root: Path) -> None:
    """Build a graph on one daemon and on two, all of them new."""
    settings = Settings.load(root, environ=dict(os.environ))
    program = fleets.find_buildkitd(root)
    (root / "buildx").mkdir()
    tools = {} if fleets.has_new_buildx({}) else newer_buildx(settings, root, root / "buildx")
    seconds = []
    with ExitStack() as stack:
        registry = stack.enter_context(running_registry(settings, root / "registry"))
        site = Site(root / "project", registry, settings, tools)
        write_tiny(settings, site.registry, busybox_layer(settings))
        names = four_levels(site, _WIDTH, f"sleep {_SLEEP}")
        print(f"{len(names)} services in four levels, each with a step of {_SLEEP:.0f} s, BUILDER_JOBS=2")
        for count in (1, 2):
            daemons = [fleets.Daemon(program, root / f"{count}-{place}") for place in range(count)]
            site.use(*(stack.enter_context(daemon) for daemon in daemons))
            began = time.perf_counter()
            site.done("build-all", "--force", BUILDER_JOBS="2")
            seconds.append(time.perf_counter() - began)
            print(f"  {number(count, 'daemon')}: {seconds[-1]:5.2f} s", flush=True)
    print(f"  two / one: {seconds[1] / seconds[0]:.2f}")


def main() -> None:
    """Measure every shape with every number of builders, then what real daemons take."""
    for shape in virtual_fleet.SHAPES:
        print(f"{shape}: time / bound")
        print("  builders      schedule   first come       random        moved  cache there   a decision")
        graphs = {seed: virtual_fleet.graph(shape, seed) for seed in _SEEDS}
        for builders in _BUILDERS:
            print(_row(graphs, builders), flush=True)
    print(f"1,000 ready, all images where no place is free, 64 builders: {_longest_decision() * 1e6:.0f} µs a decision")
    with tempfile.TemporaryDirectory() as directory:
        try:
            _real(Path(directory))
        except pytest.skip.Exception as why:
            print(f"real daemons are not measured: {why}")


if __name__ == "__main__":
    main()
