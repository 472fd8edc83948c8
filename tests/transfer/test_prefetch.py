"""The source chain, with a real engine and a real registry."""

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.commands import Inv, inv_command, items_of
from tests.support.engines import content
from tests.support.projects import needs
from tests.support.registries import Registry, push


@pytest.fixture
def name(engine: Engine) -> Iterator[str]:
    """The name of an image of Docker Hub that is not in the engine, and is removed afterwards."""
    made = f"blt-{secrets.token_hex(4)}/needed:1"
    yield made
    engine.images.remove(Reference.parse(made))


def test_the_private_registry_gives_an_image_its_own_name(
    engine: Engine, machine: Settings, registry: Registry, project: Path, inv: Inv, name: str
) -> None:
    place = f"{registry.host}/team/{name}"
    push(engine, machine, place)
    needs(project, "one", name)
    done = inv("prefetch", "-r", f"{registry.host}/team/")
    assert done.returncode == 0, done.stderr
    assert f"{name}: from {place}" in done.stdout
    names = {str(Reference.parse(image)) for image in engine.images.by_name()}
    assert name in names
    assert place not in names


def test_the_release_s_own_image_comes_first(
    engine: Engine, machine: Settings, registry: Registry, project: Path, inv: Inv, name: str
) -> None:
    push(engine, machine, f"{registry.host}/team/{name}", which="newer")
    push(engine, machine, f"{registry.host}/team/{name}-v1", which="of the release")
    needs(project, "one", name)
    assert inv("prefetch", "-r", f"{registry.host}/team", "-t", "v1").returncode == 0
    assert content(engine, name, "/which") == "of the release"


def test_an_image_comes_from_the_registry_that_it_names(
    engine: Engine, machine: Settings, registry: Registry, project: Path, inv: Inv
) -> None:
    image = f"{registry.host}/own:1"
    push(engine, machine, image)
    needs(project, "one", image)
    done = inv("prefetch", "--json")
    try:
        assert done.returncode == 0, done.stderr
        [found] = items_of(done)
        assert (found["image"], found["source"], found["refusals"]) == (image, registry.host, [])
    finally:
        engine.images.remove(Reference.parse(image))


def test_what_is_there_is_not_asked_for(engine: Engine, tiny: str, project: Path, inv: Inv) -> None:
    needs(project, "one", tiny)
    done = inv("prefetch")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 already present" in done.stdout


def test_a_missing_image_blocks_the_services_that_need_it_and_no_others(
    registry: Registry, engine: Engine, tiny: str, prefix: str, project: Path, inv: Inv
) -> None:
    gone = f"{registry.host}/gone:1"
    needs(project, "lacking", gone)
    needs(project, "above", f"{prefix}lacking:v1")
    needs(project, "fine", tiny)
    done = inv("build-all", "-t", "v1", "-r", f"{registry.host}/team", IMAGE_PREFIX=prefix)
    assert done.returncode == 1
    built = {str(Reference.parse(image)) for image in engine.images.by_name() if prefix in image}
    if engine.keeps_content():  # it knows the digest of what was built
        built = {image for image in built if not image.startswith(f"{prefix}fine@sha256:")}
    assert built == {f"{prefix}fine:v1"}
    assert "above: not built: depends on lacking" in done.stdout
    assert f"error: lacking is not built: it needs {gone} (" in done.stderr
    place = f"{registry.host}/team/{registry.host.replace(':', '_')}/gone:1"
    for source in (f"{place}-v1", place, registry.host):
        assert f"{source}: there is no such image" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_out_of_reach_is_not_asked_again(project: Path, engine: Engine, inv: Inv) -> None:
    with contextlib.closing(socket.socket()) as closed:  # bound, not listening: refuses
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
        for name in "abcdefghi":
            needs(project, name, f"{host}/{name}:1")
        done = inv("prefetch", "-j", "1")
    assert done.returncode == 1
    assert done.stdout.count("Connection refused") == 9
    assert done.stdout.count("(not asked again)") >= 5  # four are looked up at once


def test_dry_asks_every_source_and_brings_nothing(
    engine: Engine, machine: Settings, registry: Registry, tiny: str, project: Path, inv: Inv, name: str
) -> None:
    place = f"{registry.host}/team/{name}"
    push(engine, machine, place)
    gone = f"{registry.host}/gone:1"
    for number, image in enumerate((name, tiny, gone)):
        needs(project, f"s{number}", image)
    before = len(registry.log.read_text())
    done = inv("--dry", "prefetch", "-r", f"{registry.host}/team", "-t", "v1")
    assert done.returncode == 1
    assert f"{name}: would come from {place}\n    not from {place}-v1: there is no such image\n" in done.stdout
    assert f"{tiny}: already present\n" in done.stdout
    assert f"{gone}: not available from any source\n" in done.stdout
    assert set(re.findall(r'"([A-Z]+) /v2/', registry.log.read_text()[before:])) == {"HEAD"}
    assert Reference.parse(name).canonical not in engine.images.by_name()


def test_an_unknown_service_is_refused_with_the_nearest_before_anything_starts(project: Path, inv: Inv) -> None:
    needs(project, "backend", "scratch")
    done = inv("build", "-s", "bakend")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there is no service 'bakend'\n  next: did you mean backend?\n"


def test_interrupting_a_pull_ends_with_130(project: Path, engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        needs(project, "one", f"127.0.0.1:{silent.getsockname()[1]}/never:1")
        environment = {**os.environ, "PROJECT_ROOT": str(project)}
        with subprocess.Popen(
            inv_command("prefetch"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            silent.settimeout(60)
            connection, _ = silent.accept()  # the engine asks: the pull is under way
            with connection:
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    doing = r"error: interrupted while (looking up|pulling) \S+/never:1\n  next: ./inv prefetch does the rest\n"
    assert re.fullmatch(doing, said)
