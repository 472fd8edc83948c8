"""Images that daemons have built, in the engine, and in both."""

import subprocess

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from tests.support.fleet_sites import Site, with_engine
from tests.support.fleets import Daemon
from tests.support.projects import write


@pytest.fixture
def loaded(site: Site, prefix: str) -> Site:
    """A site that has the machine's engine too, and two services, of which one has a name of its own in compose."""
    with_engine(site, prefix)
    site.service("base", "RUN echo base > /base")
    site.service("web", "RUN echo web > /web", 'CMD ["cat", "/base", "/web"]', on=f"{prefix}base:v1")
    named = f"    image: {prefix}web:in-compose\n"
    write(site.project, {"compose.yaml": f"services:\n  web:\n    build: src/web\n{named}"})
    return site


def runs(image: str) -> str:
    command = ["docker", "run", "--rm", "--network=none", image]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("output", ["engine", "both"])
def test_images_are_in_the_engine_under_all_their_names(
    loaded: Site, pair: tuple[Daemon, Daemon], engine: Engine, prefix: str, output: str
) -> None:
    site = loaded
    said = site.done("build-all", BUILD_OUTPUT=output)
    assert "  2 images loaded into the engine\n" in said
    assert runs(f"{prefix}web:v1") == runs(f"{prefix}web:in-compose") == "base\nweb\n"
    assert Reference.parse(f"{prefix}base:v1").canonical in engine.images.by_name()
    assert bool(site.digest("web")) == (output == "both")
    said = site.done("build-all", BUILD_OUTPUT=output)
    assert "nothing to build" in said
    assert "  no images loaded into the engine\n" in said


def test_only_what_was_built_is_loaded_again(loaded: Site, pair: tuple[Daemon, Daemon], prefix: str) -> None:
    site = loaded
    site.done("build-all", BUILD_OUTPUT="both")
    site.service("web", "RUN echo newer > /web", 'CMD ["cat", "/base", "/web"]', on=f"{prefix}base:v1")
    assert "  1 image loaded into the engine\n" in site.done("build-all", BUILD_OUTPUT="both")
    assert runs(f"{prefix}web:in-compose") == "base\nnewer\n"


def test_a_failed_run_gives_the_engine_nothing(
    loaded: Site, pair: tuple[Daemon, Daemon], engine: Engine, prefix: str
) -> None:
    loaded.service("bad", "RUN false")
    assert loaded.inv("build-all", BUILD_OUTPUT="both").returncode == 1
    assert not [name for name in engine.images.by_name() if prefix in name]


def test_an_engine_that_does_not_answer_is_told_and_the_registry_has_the_names(
    loaded: Site, pair: tuple[Daemon, Daemon]
) -> None:
    done = loaded.inv("build-all", BUILD_OUTPUT="both", DOCKER_HOST="unix:///nowhere")
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert "/nowhere" in done.stderr
    assert loaded.digest("web"), done.stdout + done.stderr


def test_the_engine_builds_nothing_of_it(
    loaded: Site, pair: tuple[Daemon, Daemon], engine: Engine, prefix: str
) -> None:
    loaded.done("build-all")
    assert set(loaded.builders().values()) <= {daemon.host for daemon in pair}
    assert not [name for name in engine.images.by_name() if prefix in name]


def test_what_is_only_in_the_registry_is_loaded_without_a_daemon(
    loaded: Site, pair: tuple[Daemon, Daemon], prefix: str
) -> None:
    loaded.done("build-all")
    for daemon in pair:
        daemon.kill()
    said = loaded.done("build-all", BUILD_OUTPUT="both")
    assert "nothing to build" in said
    assert "  2 images loaded into the engine\n" in said
    assert runs(f"{prefix}web:in-compose") == "base\nweb\n"
