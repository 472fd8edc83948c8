"""Daemons that die, hang or are full in the middle of a run: the others build what they would have built."""

import os

import pytest

from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support import images
from tests.support.commands import ended
from tests.support.fleet_sites import NAMES, Gate, Site, commands_with, left_out
from tests.support.fleets import Daemon, StartDaemon


def test_what_a_killed_daemon_built_is_built_by_the_other(gated: Site, pair: tuple[Daemon, Daemon], gate: Gate) -> None:
    dead, alive = pair
    run = gated.start("build-all", STALL_SECONDS="2")
    gate.wait_for_two()
    dead.kill()
    gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said
    assert left_out(said) == {dead.host: "does not answer: Connection refused"}
    assert set(gated.builders().values()) == {alive.host}
    assert gate.came.total() == len(NAMES) + 1
    assert gated.text("on-a", "copy") == "a\n"


def test_what_a_daemon_built_before_it_was_killed_is_not_built_again(
    site: Site, pair: tuple[Daemon, Daemon], gate: Gate
) -> None:
    dead, alive = pair
    for name in ("a", "b"):
        site.service(name, f"RUN echo {name} > /{name}")
        site.service(f"on-{name}", gate.step(name), f"RUN cat /{name} > /copy", on=f"site-{name}:v1")
    run = site.start("build-all", STALL_SECONDS="2")
    gate.wait_for_two()
    dead.kill()
    gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said
    builders = site.builders()
    assert {builders["on-a"], builders["on-b"]} == {alive.host}
    assert {builders["a"], builders["b"]} == {alive.host, dead.host}
    assert [site.text(f"on-{name}", "copy") for name in ("a", "b")] == ["a\n", "b\n"]


def test_what_hangs_on_a_daemon_is_built_by_the_other(gated: Site, pair: tuple[Daemon, Daemon], gate: Gate) -> None:
    hangs, alive = pair
    run = gated.start("build-all", STALL_SECONDS="2")
    gate.wait_for_two()
    hangs.pause()
    gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said
    assert left_out(said) == {hangs.host: "does not answer: timed out"}
    assert set(gated.builders().values()) == {alive.host}
    assert not commands_with(str(gated.project))


def test_a_daemon_that_is_not_there_from_the_beginning_is_left_out(gated: Site, pair: tuple[Daemon, Daemon]) -> None:
    gone, alive = pair
    gone.kill()
    gated.service("alone")
    said = gated.done("build", "-s", "alone")
    assert left_out(said) == {gone.host: "does not answer: Connection refused"}
    assert gated.builders() == {"alone": alive.host}


@pytest.mark.parametrize("paused", [False, True])
def test_without_any_daemon_left_each_service_is_an_error(
    gated: Site, pair: tuple[Daemon, Daemon], gate: Gate, paused: bool
) -> None:
    run = gated.start("build-all", STALL_SECONDS="2")
    gate.wait_for_two()
    for daemon in pair:
        daemon.pause() if paused else daemon.kill()
    said = ended(run)
    assert run.returncode == 1
    assert "Traceback" not in said
    assert left_out(said).keys() == {daemon.host for daemon in pair}
    for name in NAMES:
        assert said.count(f"error: {name} is not built: no builder is left: builder ") == 1, said
        assert f"  on-{name}: not built: depends on {name}\n" in said
    assert "error: 4 services failed: a, b, c, d; 4 services not built: on-a, on-b, on-c, on-d\n" in said
    assert gated.record()["result"] == "failed"
    assert not any(gated.digest(name) for name in NAMES)


FULL = 'RUN dd if=/dev/zero of=/large bs=1M count=100 && echo "$(wc -c < /large)" > /size'


def test_what_a_full_daemon_cannot_build_is_built_by_the_other(site: Site, daemon: StartDaemon, gate: Gate) -> None:
    small, large = daemon("one", disk_megabytes=64), daemon("two")
    site.use(small, large)
    for name in ("a", "b"):
        site.service(name, gate.step(name), FULL)
    run = site.start("build-all")
    gate.wait_for_two()
    gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said + site.logs()
    assert left_out(said) == {small.host: "its disk is full"}
    assert set(site.builders().values()) == {large.host}
    assert site.text("a", "size") == f"{100 << 20}\n"


def test_a_base_image_that_does_not_fit_is_fetched_by_the_other(
    site: Site, daemon: StartDaemon, machine: Settings, busybox: bytes
) -> None:
    small, large = daemon("one", disk_megabytes=64), daemon("two")
    site.use(small, large)
    with Registries(machine) as registries:
        made = images.make([busybox, images.layer(large=os.urandom(80 << 20))])
        images.write(registries, f"{site.registry}/large:1", made)
    for name in ("a", "b"):
        site.service(name, "RUN wc -c < /large > /size", on="large:1")
    said = site.done("build-all")
    assert left_out(said) == {small.host: "its disk is full"}
    assert set(site.builders().values()) == {large.host}


def test_what_fills_every_disk_is_an_error(site: Site, daemon: StartDaemon) -> None:
    site.use(*(daemon(name, disk_megabytes=64) for name in ("one", "two")))
    site.service("a", FULL)
    done = site.inv("build-all")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(left_out(done.stdout + done.stderr)) == 1
    assert "error: a cannot be built: src/a/Dockerfile:2: RUN dd" in done.stderr
    assert "No space left on device" in done.stderr


def test_a_daemon_that_is_there_again_goes_on(gated: Site, pair: tuple[Daemon, Daemon], gate: Gate) -> None:
    run = gated.start("build-all")
    gate.wait_for_two()
    pair[0].kill()
    pair[0].start()
    gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said
    assert not left_out(said)
    assert f"another try on {pair[0].host}, because that may pass" in gated.logs()
    assert set(gated.builders().values()) == {daemon.host for daemon in pair}


def test_a_short_pause_is_no_loss(gated: Site, pair: tuple[Daemon, Daemon], gate: Gate) -> None:
    run = gated.start("build-all")
    gate.wait_for_two()
    pair[0].pause()
    gate.open.set()
    gate.wait_for_all()
    pair[0].resume()
    said = ended(run)
    assert run.returncode == 0, said
    assert not left_out(said)


def test_each_daemon_builds_as_many_at_once_as_it_may(gated: Site, pair: tuple[Daemon, Daemon], gate: Gate) -> None:
    run = gated.start("build-all", BUILDER_JOBS="2")
    gate.wait_for_all()
    gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said
    built = [gated.builders()[name] for name in NAMES]
    assert sorted(built) == sorted([daemon.host for daemon in pair] * 2)
