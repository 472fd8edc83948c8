"""A build registry that goes away, or whose disk is full; and images of other registries, which builders never ask."""

import os
import secrets
import signal
from contextlib import ExitStack
from pathlib import Path

from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support.commands import ended, small_disk, until
from tests.support.fleet_sites import NAMES, Gate, Site, left_out, write_tiny
from tests.support.fleets import Daemon
from tests.support.registries import Registry, running_registry


def test_a_registry_that_comes_back_is_waited_for(
    site: Site, pair: tuple[Daemon, Daemon], gate: Gate, machine: Settings, busybox: bytes, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        mortal = stack.enter_context(running_registry(machine, tmp_path / "mortal"))
        site.registry = site.environment["PRIVATE_REGISTRY"] = f"{mortal.host}/site"
        write_tiny(machine, site.registry, busybox)
        for name in NAMES:
            site.service(name, gate.step(name), f"RUN echo {name} > /{name}")
        run = site.start("build-all")
        gate.wait_for_two()
        stack.close()
        gate.open.set()
        until(lambda: "another try on" in site.log("a") + site.log("b"), "nothing was tried again")
        stack.enter_context(running_registry(machine, tmp_path / "mortal", host=mortal.host))
        said = ended(run)
        assert run.returncode == 0, said + site.logs()
        assert not left_out(said)
        assert gate.came.total() == len(NAMES), "a step was done twice"
        assert [site.text(name, name) for name in NAMES] == [f"{name}\n" for name in NAMES]


def test_a_registry_that_stays_away_is_told_once_for_each_service(
    site: Site, pair: tuple[Daemon, Daemon], gate: Gate, machine: Settings, busybox: bytes, tmp_path: Path
) -> None:
    with running_registry(machine, tmp_path / "mortal") as mortal:
        site.registry = site.environment["PRIVATE_REGISTRY"] = f"{mortal.host}/site"
        write_tiny(machine, site.registry, busybox)
        for name in ("a", "b"):
            site.service(name, gate.step(name))
        run = site.start("build-all", TRIES="2")
        gate.wait_for_two()
    gate.open.set()
    said = ended(run)
    assert run.returncode == 1
    assert "Traceback" not in said
    for name in ("a", "b"):
        assert said.count(f"error: {name} cannot be built: ") == 1, said
    assert f"failed to push {mortal.host}" in said
    assert not left_out(said)


def test_a_registry_that_does_not_answer_is_waited_for(
    site: Site, pair: tuple[Daemon, Daemon], gate: Gate, machine: Settings, busybox: bytes, tmp_path: Path
) -> None:
    with running_registry(machine, tmp_path / "frozen") as frozen:
        site.registry = site.environment["PRIVATE_REGISTRY"] = f"{frozen.host}/site"
        write_tiny(machine, site.registry, busybox)
        for name in ("a", "b"):
            site.service(name, gate.step(name))
        run = site.start("build-all", STALL_SECONDS="2")
        gate.wait_for_two()
        os.kill(frozen.pid, signal.SIGSTOP)
        try:
            gate.open.set()
            until(lambda: "another try on" in site.log("a") + site.log("b"), "nothing was tried again")
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
        said = ended(run)
        assert run.returncode == 0, said + site.logs()
        assert f"{frozen.host} did not answer for 2 s: builds are stopped and tried again" in said
        assert not left_out(said)


def test_a_registry_whose_disk_is_full_is_no_fault_of_the_builders(
    site: Site, pair: tuple[Daemon, Daemon], machine: Settings, busybox: bytes, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", "size=8m"), running_registry(machine, tmp_path / "small/registry") as small:
        site.registry = site.environment["PRIVATE_REGISTRY"] = f"{small.host}/site"
        write_tiny(machine, site.registry, busybox)
        (site.service("web", "COPY large /") / "large").write_bytes(secrets.token_bytes(16 << 20))
        done = site.inv("build-all", TRIES="2")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: web cannot be built: ") == 1
    assert small.host in done.stderr
    assert not left_out(done.stdout + done.stderr)


def test_an_image_of_another_registry_is_copied_and_built_on_by_digest(
    site: Site, pair: tuple[Daemon, Daemon], machine: Settings, busybox: bytes, tmp_path: Path
) -> None:
    with running_registry(machine, tmp_path / "other") as other:
        digest = write_tiny(machine, f"{other.host}/their", busybox, mark="theirs\n")
        site.service("web", "RUN cat /mark > /copy", on=f"{other.host}/their/tiny:1")
        site.done("prefetch")
    site.done("build-all")
    assert site.text("web", "copy") == "theirs\n"
    assert f"{site.registry}/{other.host.replace(':', '_')}/their/tiny@{digest}" in site.log("web")


def test_images_are_built_in_one_registry_and_pushed_to_another(
    site: Site, pair: tuple[Daemon, Daemon], machine: Settings, private: Registry
) -> None:
    build_registry = f"{private.host}/between"
    site.environment["BUILD_REGISTRY"] = build_registry
    site.service("web", "RUN echo web > /web")
    assert f"  1 name written to {build_registry}\n" in site.done("build-all")
    assert site.digest("web") is None
    with Registries(machine) as registries:
        built = registries.resolve(Reference.parse(f"{build_registry}/site-web:v1"))
    assert built is not None
    site.done("push")
    assert site.digest("web") == built.digest
    assert site.text("web", "web") == "web\n"
