"""Failed steps and runs that are ended: what is told, what is left, and how the next run goes on."""

import signal

import pytest

from tests.support.commands import ended, until
from tests.support.fleet_sites import NAMES, Gate, Site, commands_with
from tests.support.fleets import Daemon


def test_a_failed_step_is_not_tried_elsewhere_and_no_name_is_written(
    site: Site, pair: tuple[Daemon, Daemon], gate: Gate
) -> None:
    gate.open.set()
    for name in ("good", "bad"):
        site.service(name, gate.step(name), "RUN true" if name == "good" else "RUN echo why >&2; exit 3")
    site.service("above", on="site-bad:v1")
    done = site.inv("build-all")
    assert done.returncode == 1
    assert gate.came == {"good": 1, "bad": 1}
    assert "error: bad cannot be built: src/bad/Dockerfile:3: RUN echo why >&2; exit 3: exit code 3\n" in done.stderr
    assert "  | why\n" in done.stderr
    assert "error: 1 service failed: bad; 1 service not built: above\n" in done.stderr
    assert f"  no names are written to {site.registry}, because not all services were built\n" in done.stdout
    assert [site.digest(name) for name in ("good", "bad", "above")] == [None] * 3
    site.service("bad", "RUN true")
    assert f"  3 names written to {site.registry}\n" in site.done("build-all")
    assert site.states() == {"above": "built", "bad": "built", "good": "up to date"}
    assert gate.came["good"] == 1
    assert all(site.digest(name) for name in ("good", "bad", "above"))


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_run_that_is_ended_leaves_nothing_running_and_the_next_goes_on(
    gated: Site, gate: Gate, number: signal.Signals, code: int, word: str
) -> None:
    gated.service("quick")
    gated.done("build", "-s", "quick")
    run = gated.start("build-all")
    gate.wait_for_two()
    assert len(commands_with(str(gated.project))) >= 2
    run.send_signal(number)
    said = ended(run)
    assert run.returncode == code, said
    assert f"error: {word} while building " in said
    assert "Traceback" not in said
    assert not commands_with(str(gated.project))
    assert gated.record()["result"] == "interrupted"
    assert not any(gated.digest(name) for name in NAMES)
    gate.open.set()
    gated.done("build-all")
    assert gated.states()["quick"] == "up to date"
    assert all(gated.digest(name) for name in NAMES)


def test_a_run_that_is_killed_leaves_nothing_running_and_the_next_goes_on(gated: Site, gate: Gate) -> None:
    run = gated.start("build-all")
    gate.wait_for_two()
    run.kill()
    ended(run)
    until(lambda: not commands_with(str(gated.project)), "builds go on without their run")
    gate.open.set()
    gated.done("build-all")
    assert all(gated.digest(name) for name in NAMES)


def test_fail_fast_begins_nothing_more(site: Site, pair: tuple[Daemon, Daemon], gate: Gate) -> None:
    site.service("bad", "RUN false")
    for name in NAMES:
        site.service(name, gate.step(name), on="site-bad:v1" if name == "d" else "tiny:1")
    run = site.start("build-all", "--fail-fast")
    gate.open.set()
    said = ended(run)
    assert run.returncode == 1
    assert "Traceback" not in said
    assert site.states()["bad"] == "failed"
    assert gate.came["d"] == 0
    assert not any(site.digest(name) for name in NAMES)
