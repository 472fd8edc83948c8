"""Docker Engines as builders, beside a BuildKit daemon and alone: newer ones with either store, and one too old."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.reference import Reference
from build_lib.registry import Registries
from tests.support.commands import ended
from tests.support.engines import OwnEngine
from tests.support.fleet_hubs import SERVED, write_hub, write_packages
from tests.support.fleet_sites import Gate, Site, left_out
from tests.support.fleets import Daemon, StartDaemon
from tests.support.registries import Registry

one_store = pytest.mark.parametrize("newer_engine", [True], indirect=True, ids=["containerd store"])


@pytest.fixture
def one(daemon: StartDaemon) -> Daemon:
    return daemon("one")


@pytest.fixture
def chain(site: Site) -> Site:
    """`web` on `base`."""
    site.service("base", "RUN echo base > /base")
    site.service("web", "RUN cat /base > /web", on="site-base:v1")
    return site


@pytest.fixture
def near_gate(newer_engine: OwnEngine) -> Iterator[Gate]:
    """A gate to which steps come on the engine's own network as well."""
    made = Gate(newer_engine.gateway)
    yield made
    made.close()


def name_of(engine: OwnEngine) -> str:
    return engine.address.removeprefix("unix://")


def building(site: Site, name: str) -> str | None:
    """What the tag stands for under which an engine pushes."""
    with Registries(site.machine) as registries:
        found = registries.resolve(Reference.parse(f"{site.registry}/site-{name}:building"))
    return found.digest if found else None


def test_an_engine_and_a_daemon_build_on_what_the_other_has_built(
    chain: Site, one: Daemon, newer_engine: OwnEngine
) -> None:
    orders: list[tuple[Daemon | OwnEngine, Daemon | OwnEngine]] = [(newer_engine, one), (one, newer_engine)]
    for number, (first, second) in enumerate(orders):
        chain.service("base", f"RUN echo {number} > /base")
        chain.use(first)
        chain.done("build", "-s", "base")
        chain.use(second)
        chain.done("build-all")
        assert chain.states() == {"base": "up to date", "web": "built"}
        assert chain.text("web", "web") == f"{number}\n"
    assert chain.builders()["web"] == name_of(newer_engine)


def test_a_graph_is_built_by_both_and_a_second_run_needs_neither(
    chain: Site, one: Daemon, newer_engine: OwnEngine
) -> None:
    chain.service("other", "RUN echo other > /other")
    chain.service("top", "COPY --from=site-other:v1 /other /", on="site-web:v1")
    chain.use(newer_engine, one)
    chain.done("build-all")
    assert set(chain.builders().values()) == {name_of(newer_engine), one.host}
    assert (chain.text("top", "other"), chain.text("top", "web")) == ("other\n", "base\n")
    one.kill()
    newer_engine.kill()
    assert "nothing to build" in chain.done("build-all")


def test_the_digest_is_the_registrys_and_what_an_engine_pushed_is_called_building(
    chain: Site, newer_engine: OwnEngine
) -> None:
    chain.use(newer_engine)
    chain.done("build-all")
    for name in ("base", "web"):
        assert chain.digest(name) == building(chain, name), name
    assert chain.config("web")["architecture"] == "amd64"
    assert f"site-base@{chain.digest('base')}" in chain.log("web")


def test_no_release_stands_for_half_a_run(chain: Site, newer_engine: OwnEngine) -> None:
    chain.use(newer_engine)
    chain.service("bad", "RUN false")
    done = chain.inv("build-all")
    assert done.returncode == 1
    assert "error: 1 service failed: bad\n" in done.stderr
    for name in ("base", "web"):
        assert building(chain, name), name
        assert chain.digest(name) is None
    chain.service("bad", "RUN true")
    chain.done("build-all")
    assert chain.states() == {"base": "up to date", "web": "up to date", "bad": "built"}


@one_store
def test_a_docker_context_names_an_engine(
    chain: Site, newer_engine: OwnEngine, fleet_tools: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    if "DOCKER_CONFIG" in fleet_tools:
        (config / "cli-plugins").symlink_to(Path(fleet_tools["DOCKER_CONFIG"]) / "cli-plugins")
    command = ["docker", "--config", str(config), "context", "create", "away", f"--docker=host={newer_engine.address}"]
    subprocess.run(command, check=True, capture_output=True)
    chain.done("build-all", DOCKER_CONFIG=str(config), BUILDERS="away")
    assert set(chain.builders().values()) == {"away"}
    assert chain.text("web", "web") == "base\n"


@one_store
def test_what_a_killed_engine_built_is_built_by_the_daemon(
    site: Site, one: Daemon, newer_engine: OwnEngine, near_gate: Gate
) -> None:
    site.use(newer_engine, one)
    for name in ("a", "b"):
        site.service(name, near_gate.step(name), f"RUN echo {name} > /{name}")
    run = site.start("build-all", STALL_SECONDS="4")
    near_gate.wait_for("a")
    near_gate.wait_for("b")
    newer_engine.kill()
    near_gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said + site.logs()
    [(lost, why)] = left_out(said).items()
    assert (lost, why[:53]) == (name_of(newer_engine), "does not answer: Cannot connect to the Docker daemon ")
    assert set(site.builders().values()) == {one.host}
    assert [site.text(name, name) for name in ("a", "b")] == ["a\n", "b\n"]


@one_store
def test_an_engine_that_is_not_there_is_left_out(chain: Site, one: Daemon, newer_engine: OwnEngine) -> None:
    chain.use(newer_engine, one)
    newer_engine.kill()
    said = chain.done("build-all")
    [(lost, why)] = left_out(said).items()
    assert (lost, why[:53]) == (name_of(newer_engine), "does not answer: Cannot connect to the Docker daemon ")
    assert set(chain.builders().values()) == {one.host}


def test_packages_are_copied_into_a_hub_that_an_engine_built(site: Site, newer_engine: OwnEngine) -> None:
    site.use(newer_engine)
    write_packages(site, ("tool", "1.0"))
    write_hub(site)
    assert "  1 package copied into apphub and read back\n" in site.done("build-all")
    assert f"{SERVED.strip('/')}/tool_1.0_all.deb" in site.files("apphub")
    assert "  nothing to do: 1 package already present in apphub\n" in site.done("build-all")


@one_store
def test_an_engine_takes_steps_from_the_cache_of_a_daemon(
    site: Site, one: Daemon, newer_engine: OwnEngine, near_gate: Gate, registry: Registry
) -> None:
    near_gate.open.set()
    site.environment["CACHE_REGISTRY"] = f"{registry.host}/cache"
    site.service("web", near_gate.step("web"), "RUN cat /proc/sys/kernel/random/uuid > /once")
    site.use(one)
    site.done("build-all")
    before = site.text("web", "once")
    site.use(newer_engine)
    site.done("build-all", "--force")
    assert site.builders() == {"web": name_of(newer_engine)}
    assert (site.text("web", "once"), near_gate.came["web"]) == (before, 1)


@one_store
def test_an_engine_builds_several_services_at_once(site: Site, newer_engine: OwnEngine, near_gate: Gate) -> None:
    site.use(newer_engine)
    names = ("a", "b", "c")
    for name in names:
        site.service(name, near_gate.step(name), f"RUN echo {name} > /{name}")
    run = site.start("build-all", BUILDER_JOBS="3")
    for name in names:
        near_gate.wait_for(name)
    near_gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said + site.logs()
    assert [site.text(name, name) for name in names] == ["a\n", "b\n", "c\n"]


@one_store
def test_an_engine_is_shown_and_its_cache_is_its_own(site: Site, newer_engine: OwnEngine) -> None:
    site.use(newer_engine)
    [found] = json.loads(site.inv("builders", "--json").stdout)
    assert (found["name"], found["driver"], found["problem"]) == (name_of(newer_engine), "docker", "")
    assert "linux/amd64" in found["platforms"]
    assert found["own"]
    site.service("web", "RUN echo web > /web")
    site.done("build-all")
    command = f"docker --host {newer_engine.address} builder prune"
    assert f": left alone: it is your own; {command} empties its cache\n" in site.done("builders", "--prune")
    site.done("build-all", "--force")
    assert "\ncached\n" in site.log("web")


@one_store
def test_an_engine_needs_a_registry(chain: Site, newer_engine: OwnEngine) -> None:
    chain.use(newer_engine)
    given = {"PRIVATE_REGISTRY": "", "BUILD_OUTPUT": "engine", "REGISTRY_MIRRORS": chain.registry}
    chain.service("base", on=f"{chain.registry}/tiny:1")
    done = chain.inv("build", "-s", "base", **given)
    assert done.returncode == 1
    assert "is not built: a Docker Engine as a builder needs a registry\n  next: set BUILD_REGISTRY" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_before_23_is_refused(chain: Site, one: Daemon, mortal_engine: OwnEngine) -> None:
    version = ["docker", "version", "--format", "{{.Server.Version}}"]
    environment = {**os.environ, **mortal_engine.environment}
    found = subprocess.run(version, check=True, capture_output=True, text=True, env=environment).stdout
    if int(found.partition(".")[0]) >= 23:
        pytest.skip(f"this machine's engine is {found.strip()}, which is new enough")
    chain.use(mortal_engine, one)
    said = chain.done("build-all")
    reason = "is a Docker Engine older than 23, which cannot be told where images are"
    assert left_out(said) == {name_of(mortal_engine): reason}
    assert set(chain.builders().values()) == {one.host}
    chain.use(mortal_engine)
    done = chain.inv("build-all", "--force")
    assert done.returncode == 1
    assert f"error: none of BUILDERS can be used: builder {name_of(mortal_engine)} {reason}\n" in done.stderr
    assert "  next: upgrade it; or docker buildx create --name NAME makes a builder of it that can\n" in done.stderr
