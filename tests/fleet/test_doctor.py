"""What doctor finds of a fleet: with real daemons, registries, and without an engine."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import items_of
from tests.support.fleet_sites import Site
from tests.support.fleets import Daemon
from tests.support.registries import Registry, free_place

pytestmark = pytest.mark.engine


def found(site: Site, *, code: int = 0, **environment: str) -> dict[str, dict[str, str]]:
    """The findings by what they are about."""
    done = site.inv("doctor", "--json", **environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return {item["what"]: item for item in items_of(done)}


def told(item: dict[str, str]) -> tuple[str, str]:
    return item["level"], item["detail"]


def test_a_fleet_on_which_all_is_well_needs_no_engine(
    site: Site, pair: tuple[Daemon, Daemon], private: Registry
) -> None:
    items = found(site, BUILD_REGISTRY=f"{private.host}/build", CACHE_REGISTRY=f"{private.host}/cache")
    assert told(items["engine"]) == ("good", "none answers; BUILDERS need none")
    assert items["builder"]["detail"].startswith("buildx ")
    for daemon in pair:
        level, detail = told(items[f"builder {daemon.host}"])
        assert (level, detail.split()[0]) == ("good", "BuildKit")
        assert " ms, linux/amd64" in detail
    for registry in ("private registry", "build registry", "cache registry"):
        assert items[registry]["level"] == "good"
    assert items["build registry"]["detail"].startswith(f"{private.host} answers in ")


def test_each_part_of_a_fleet_that_fails_is_told(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    one, two = pair
    dead, gone = free_place(), free_place()
    one.kill()
    two.pause()
    items = found(site, code=1, BUILD_REGISTRY=f"{dead}/build", CACHE_REGISTRY=f"{gone}/cache", STALL_SECONDS="2")
    assert told(items[f"builder {one.host}"]) == ("bad", f"builder {one.host} does not answer: Connection refused")
    assert told(items[f"builder {two.host}"]) == ("bad", f"builder {two.host} does not answer: timed out")
    assert told(items["build registry"]) == ("bad", f"{dead}: Connection refused")
    assert told(items["cache registry"]) == ("warning", f"{gone}: Connection refused")
    items = found(site, code=1, PRIVATE_REGISTRY="", STALL_SECONDS="2")
    assert told(items["build registry"]) == ("bad", "BUILDERS needs a registry, by which images go between builders")
    items = found(site, code=1, BUILDERS="http://builder")
    assert items["settings"]["level"] == "bad"
    assert "builder" not in items


def test_images_for_the_engine_need_one(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    items = found(site, code=1, BUILD_OUTPUT="both")
    assert items["engine"]["level"] == "bad"
    assert "./inv engine-up" in items["engine"]["fix"]
    assert {items[f"builder {daemon.host}"]["level"] for daemon in pair} == {"good"}


def test_a_builder_that_does_not_run_is_not_started(site: Site, tmp_path: Path) -> None:
    own = {"BUILDX_CONFIG": str(tmp_path / "of-the-user")}
    site.environment.pop("DOCKER_HOST")
    given = {**os.environ, **site.environment, **own}
    create = ["docker", "buildx", "create", "--name", "sleeping", "--driver", "docker-container"]
    subprocess.run(create, check=True, capture_output=True, env=given)
    items = found(site, code=0, BUILDERS="sleeping", **own)
    assert told(items["builder sleeping"]) == ("warning", "builder sleeping is not running")
    inspect = ["docker", "buildx", "inspect", "sleeping"]
    said = subprocess.run(inspect, check=True, capture_output=True, text=True, env=given).stdout
    assert "running" not in said


def test_a_buildx_that_is_missing_is_told_and_the_rest_is_looked_at(site: Site, tmp_path: Path) -> None:
    items = found(site, code=1, BUILDERS="tcp://127.0.0.1:1", PATH=str(tmp_path))
    assert told(items["builder"]) == ("bad", "BUILDERS needs a docker CLI with buildx, and there is none on the PATH")
    assert "builder 127.0.0.1:1" not in items
    assert items["private registry"]["level"] == "good"
