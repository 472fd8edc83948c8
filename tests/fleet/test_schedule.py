"""Decisions one by one, then whole runs on a virtual clock."""

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.fleet import Capacity, Schedule, Task
from tests.support import virtual_fleet
from tests.support.virtual_fleet import Build

ONE = (Capacity(name="one", jobs=1),)
TWO = (Capacity(name="one", jobs=2), Capacity(name="two", jobs=2))


def task(name: str, *needs: str, seconds: float | None = 10.0, builder: str = "", platform: str = "") -> Task:
    return Task(name=name, needs=needs, seconds=seconds, builder=builder, platform=platform)


def order(tasks: Sequence[Task]) -> list[str]:
    """The services in the order in which one builder with one place builds them."""
    needs = {one.name: [need for need in one.needs if need in {other.name for other in tasks}] for one in tasks}
    builds = virtual_fleet.play(Schedule(tasks, ONE), needs, dict.fromkeys(needs, 1.0))
    return [build.name for build in builds]


def build_on(schedule: Schedule, name: str, builder: str) -> None:
    assert schedule.next([name]) == (name, builder)
    schedule.ended(name, done=True)


def test_the_longest_chain_left_goes_first() -> None:
    tasks = [task("short", seconds=5), task("long", seconds=25), task("base"), task("web", "base", seconds=20)]
    assert order(tasks) == ["base", "long", "web", "short"]


def test_a_chain_is_as_long_as_its_longest_dependent_not_all_of_them() -> None:
    tasks = [task("base"), task("a", "base"), task("b", "base"), task("c", "base"), task("long", seconds=25)]
    assert order(tasks) == ["long", "base", "a", "b", "c"]


def test_what_is_not_in_the_run_is_waited_for_by_nobody() -> None:
    tasks = [task("web", "up-to-date", seconds=20), task("api", "up-to-date", "base"), task("base", seconds=11)]
    assert order(tasks) == ["base", "web", "api"]


def test_a_new_service_is_expected_to_take_long() -> None:
    tasks = [task("short", seconds=1), task("middle", seconds=50), task("new", seconds=None), task("long", seconds=90)]
    assert order(tasks) == ["new", "long", "middle", "short"]


def test_a_single_slow_service_in_a_hundred_is_not_what_is_expected_of_a_new_one() -> None:
    slow, usual = task("slow", seconds=9_000), [task(f"usual-{number}", seconds=50) for number in range(99)]
    assert order([task("new", seconds=None), task("base"), task("after", "base", seconds=45), slow, *usual])[:3] == [
        "slow",
        "base",
        "new",
    ]


def test_without_any_known_time_the_chain_with_most_services_goes_first() -> None:
    tasks = [task("alone", seconds=None), task("base", seconds=None), task("web", "base", seconds=None)]
    assert order(tasks) == ["base", "alone", "web"]


def test_equal_services_go_in_their_order_whatever_the_order_of_ready() -> None:
    schedule = Schedule([task("b"), task("a"), task("c")], ONE)
    assert schedule.next(["c", "a", "b"]) == ("b", "one")


def test_builders_share_the_work() -> None:
    schedule = Schedule([task(name) for name in "abcde"], TWO)
    assert [schedule.next(["abcde"[number]]) for number in range(4)] == [
        ("a", "one"),
        ("b", "two"),
        ("c", "one"),
        ("d", "two"),
    ]
    assert schedule.next(["e"]) is None
    schedule.ended("d", done=False)
    assert schedule.next(["e"]) == ("e", "two")


def test_the_largest_share_of_free_places_counts_not_their_number() -> None:
    big, small = Capacity(name="big", jobs=8), Capacity(name="small", jobs=2)
    schedule = Schedule([task(name) for name in "abc"], [big, small])
    assert [schedule.next([name]) for name in "abc"] == [("a", "big"), ("b", "small"), ("c", "big")]


def test_a_service_goes_where_its_cache_is_if_a_place_is_free_there() -> None:
    schedule = Schedule([task(name, builder="two") for name in "abc"], TWO)
    assert [schedule.next([name]) for name in "abc"] == [("a", "two"), ("b", "two"), ("c", "one")]


def test_a_cache_counts_more_than_parents() -> None:
    schedule = Schedule([task("base"), task("web", "base", builder="two")], TWO)
    build_on(schedule, "base", "one")
    assert schedule.next(["web"]) == ("web", "two")


def test_a_service_goes_where_most_of_its_parents_were_built() -> None:
    tasks = [task("a", builder="one"), task("b", builder="two"), task("c", builder="two"), task("web", "a", "b", "c")]
    schedule = Schedule(tasks, TWO)
    for name, builder in (("a", "one"), ("b", "two"), ("c", "two")):
        build_on(schedule, name, builder)
    assert schedule.next(["web"]) == ("web", "two")


def test_a_failed_parent_lies_nowhere() -> None:
    schedule = Schedule([task("base", builder="two"), task("web", "base")], TWO)
    assert schedule.next(["base"]) == ("base", "two")
    schedule.ended("base", done=False)
    assert schedule.next(["web"]) == ("web", "one")


def test_parents_lie_also_where_another_dependent_was_built() -> None:
    tasks = [task("base"), task("web", "base", builder="two"), task("api", "base"), task("fill", builder="one")]
    schedule = Schedule(tasks, [Capacity(name=name, jobs=1) for name in ("one", "zero", "two")])
    build_on(schedule, "base", "one")
    build_on(schedule, "web", "two")
    assert schedule.next(["fill"]) == ("fill", "one")
    assert schedule.next(["api"]) == ("api", "two")


@pytest.mark.parametrize(("seconds", "chosen"), [(9.0, "here"), (5.0, "there")])
def test_what_is_almost_as_urgent_goes_first_if_its_cache_has_a_free_place(seconds: float, chosen: str) -> None:
    tasks = [task("fill", builder="two"), task("there", builder="two"), task("here", seconds=seconds, builder="one")]
    schedule = Schedule(tasks, [Capacity(name=name, jobs=1) for name in ("one", "two")])
    assert schedule.next(["fill"]) == ("fill", "two")
    assert schedule.next(["there", "here"]) == (chosen, "one")


def test_one_parent_where_a_place_is_free_is_enough_to_go_first() -> None:
    tasks = [task("a", builder="one"), task("b", builder="two"), task("fill", builder="two"), task("web", "a", "b")]
    schedule = Schedule([*tasks, task("api", "a", seconds=9)], [Capacity(name=name, jobs=1) for name in ("one", "two")])
    build_on(schedule, "a", "one")
    build_on(schedule, "b", "two")
    assert schedule.next(["fill"]) == ("fill", "two")
    assert schedule.next(["api", "web"]) == ("web", "one")


def test_parents_on_a_builder_without_the_platform_are_no_reason_to_wait() -> None:
    builders = (Capacity(name="any", jobs=1), Capacity(name="arm", jobs=1, platforms=("linux/arm64",)))
    web = task("web", "base", platform="linux/arm64")
    schedule = Schedule([task("base"), web, task("api", seconds=9, platform="linux/arm64", builder="arm")], builders)
    build_on(schedule, "base", "any")
    assert schedule.next(["api", "web"]) == ("web", "arm")


def test_what_has_nothing_anywhere_waits_for_nothing_that_has() -> None:
    schedule = Schedule([task("new", seconds=10), task("old", seconds=9, builder="one")], TWO)
    assert schedule.next(["old", "new"]) == ("new", "one")


def test_a_platform_goes_to_the_builders_that_have_it() -> None:
    builders = (Capacity(name="any", jobs=4), Capacity(name="arm", jobs=1, platforms=("linux/arm64",)))
    tasks = [task("first", platform="linux/arm64", builder="any"), task("next", platform="linux/arm64"), task("short")]
    schedule = Schedule([*tasks, task("other", seconds=1, platform="linux/s390x")], builders)
    assert schedule.next(["first", "next", "short"]) == ("first", "arm")
    assert schedule.next(["next"]) is None
    assert schedule.next(["next", "short"]) == ("short", "any")
    assert schedule.next(["other"]) == ("other", "any")
    schedule.lost("arm")
    assert schedule.next(["next"]) == ("next", "any")


def test_a_lost_builder_gets_nothing_more() -> None:
    tasks = [task("base", builder="two"), task("web", "base", builder="two"), task("api", "base")]
    schedule = Schedule(tasks, TWO)
    build_on(schedule, "base", "two")
    assert schedule.next(["web"]) == ("web", "two")
    assert schedule.builder_of("web") == "two"
    schedule.lost("two")
    schedule.lost("two")
    assert schedule.left == ("one",)
    assert schedule.places == 2
    schedule.ended("web", done=False)
    assert schedule.builder_of("web") == ""
    assert [schedule.next([name]) for name in ("web", "api")] == [("web", "one"), ("api", "one")]


def test_a_build_that_ends_well_on_a_lost_builder_is_built() -> None:
    schedule = Schedule([task("base", builder="two"), task("long", seconds=11), task("web", "base")], TWO)
    assert schedule.next(["base"]) == ("base", "two")
    schedule.lost("two")
    schedule.ended("base", done=True)
    assert schedule.builder_of("base") == "two"
    assert schedule.next(["web", "long"]) == ("long", "one")


def test_without_builders_nothing_is_chosen() -> None:
    schedule = Schedule([task("a"), task("b", platform="linux/arm64")], [Capacity(name="none", jobs=0), *ONE])
    assert schedule.left == ("one",)
    schedule.lost("one")
    assert not schedule.left
    assert schedule.places == 0
    assert schedule.next(["a", "b"]) is None


@pytest.mark.parametrize("shape", virtual_fleet.SHAPES)
def test_a_run_takes_little_longer_than_it_must(shape: str) -> None:
    """The longest chain, and all work over all places, are what no order can beat."""
    for seed in (1, 2):
        graph = virtual_fleet.graph(shape, seed)
        for builders in (1, 2, 4, 8, 16):
            schedule = Schedule(graph.tasks(seed), virtual_fleet.fleet(builders))
            builds = virtual_fleet.play(schedule, graph.needs, graph.seconds)
            assert len(builds) == virtual_fleet.SERVICES
            assert 1 <= builds[-1].ended / graph.bound(schedule.places) + 1e-9 <= 1.15, (seed, builders)


@pytest.mark.parametrize("shape", virtual_fleet.SHAPES)
def test_the_same_run_decides_the_same(shape: str) -> None:
    graph = virtual_fleet.graph(shape, 1)
    losses = {"builder-1": 100.5, "builder-6": 333.5}

    def builds(seed: int) -> list[Build]:
        dice = random.Random(seed)
        schedule = Schedule(graph.tasks(1), virtual_fleet.fleet(8))
        return virtual_fleet.play(
            schedule,
            graph.needs,
            graph.seconds,
            offer=lambda ready: dice.sample(ready, len(ready)),
            losses=losses,
        )

    assert builds(1) == builds(2)


PLATFORMS = ("", "linux/amd64", "linux/arm64")
BUILDERS = ("one", "two", "three", "four")


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Task], list[Capacity], dict[str, float], dict[str, float]]:
    """Services, builders, the seconds that builds take, and when builders are lost: never as anything else happens."""
    tasks = [
        Task(
            name=str(number),
            needs=tuple(str(need) for need in range(number) if draw(st.booleans())),
            seconds=draw(st.none() | st.floats(0, 1_000)),
            builder=draw(st.sampled_from(("", *BUILDERS))),
            platform=draw(st.sampled_from(PLATFORMS)),
        )
        for number in range(draw(st.integers(1, 12)))
    ]
    native = st.lists(st.sampled_from(PLATFORMS[1:]), unique=True).map(tuple)
    names = BUILDERS[: draw(st.integers(1, len(BUILDERS)))]
    builders = [Capacity(name=name, jobs=draw(st.integers(1, 3)), platforms=draw(native)) for name in names]
    seconds = {one.name: float(draw(st.integers(1, 9))) for one in tasks}
    lost = draw(st.lists(st.sampled_from(names), unique=True))
    return tasks, builders, seconds, {name: draw(st.integers(0, 40)) + place / 8 for place, name in enumerate(lost, 1)}


@given(runs())
def test_every_service_is_built_once_in_order_while_a_builder_is_left(
    run: tuple[list[Task], list[Capacity], dict[str, float], dict[str, float]],
) -> None:
    tasks, builders, seconds, losses = run
    schedule = Schedule(tasks, builders)
    builds = virtual_fleet.play(schedule, {one.name: one.needs for one in tasks}, seconds, losses=losses)
    ends = {build.name: build.ended for build in builds if build.done}
    assert len(ends) == sum(build.done for build in builds)
    if len(losses) < len(builders):
        assert set(ends) == {one.name for one in tasks}
    for build in builds:
        one = next(one for one in tasks if one.name == build.name)
        assert all(ends[need] <= build.began for need in one.needs)
        assert build.builder in suitable(one.platform, builders, losses, build.began)
        assert build.done or build.ended == losses[build.builder]
    for builder in builders:
        assert most_at_once([build for build in builds if build.builder == builder.name]) <= builder.jobs


def suitable(platform: str, builders: Sequence[Capacity], losses: Mapping[str, float], now: float) -> set[str]:
    left = [builder for builder in builders if losses.get(builder.name, inf) > now]
    return {one.name for one in left if platform in one.platforms} or {one.name for one in left}


def most_at_once(builds: Sequence[Build]) -> int:
    return max((sum(one.began <= build.began < one.ended for one in builds) for build in builds), default=0)


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_no_place_is_free_while_anything_waits_for_one(seed: int, builders: int) -> None:
    dice = random.Random(seed)
    tasks = [task(str(n), *{str(dice.randrange(n)) for _ in range(dice.randint(0, 2)) if n}) for n in range(40)]
    schedule = Schedule(tasks, [Capacity(name=str(number), jobs=2) for number in range(builders)])
    needs = {one.name: one.needs for one in tasks}
    builds = virtual_fleet.play(schedule, needs, {one.name: dice.uniform(1, 9) for one in tasks})
    moments = sorted({moment for build in builds for moment in (build.began, build.ended)})
    ends = {build.name: build.ended for build in builds}
    for now, _ in pairwise(moments):
        running = sum(build.began <= now < build.ended for build in builds)
        waiting = [one for one in builds if one.began > now and all(ends[need] <= now for need in needs[one.name])]
        assert running == schedule.places or not waiting
