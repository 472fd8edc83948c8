"""A tag moves at a registry: with `images.lock`, the locked image is used, from wherever it is."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.repository import lock
from build_lib.settings import Settings
from tests.support.commands import Inv, items_of
from tests.support.engines import content
from tests.support.images import index, layer, make, write
from tests.support.projects import needs
from tests.support.registries import Registry, push


@pytest.fixture
def image(engine: Engine, registry: Registry) -> Iterator[str]:
    """An image's name; whatever the engine then has of it is removed afterwards."""
    name = f"{registry.host}/blt-{secrets.token_hex(4)}:1"
    before = set(engine.images.by_name())
    yield name
    for made in engine.images.by_name().keys() - before:
        if "build-lib/pinned" in made or made.startswith(name.rpartition(":")[0]):
            engine.images.remove(Reference.parse(made))


@pytest.fixture
def registries(machine: Settings) -> Iterator[Registries]:
    with Registries(machine) as opened:
        yield opened


def locked_digest(project: Path) -> str:
    [found] = lock.read(project).images.values()
    return found.digest


def lock_it(inv: Inv) -> None:
    done = inv("deps-lock")
    assert done.returncode == 0, done.stderr


def test_a_second_run_writes_nothing(project: Path, inv: Inv, image: str, registries: Registries) -> None:
    images = [make([layer(a=platform)], platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    digest = write(registries, image, *images, top=index(*images))
    needs(project, "web", image)
    lock_it(inv)
    file = project / "images.lock"
    [found] = lock.read(project).images.values()
    assert found.digest == digest
    assert dict(found.platforms) == {each.platform: each.manifest.digest for each in images}
    assert found.source == image
    changed = file.read_text().replace(found.date.isoformat(), "2020-01-01")
    file.write_text(changed)
    written = file.stat().st_mtime_ns
    assert "images.lock is up to date: 1 image" in inv("deps-lock").stdout
    assert inv("deps-lock", "--update", "--check").returncode == 0
    assert inv("deps-lock", "--update").returncode == 0
    assert (file.read_text(), file.stat().st_mtime_ns) == (changed, written)


def test_the_locked_image_is_pulled_and_built_on_though_its_tag_moved(
    engine: Engine, machine: Settings, project: Path, inv: Inv, image: str
) -> None:
    push(engine, machine, image, which="old")
    needs(project, "web", image)
    lock_it(inv)
    push(engine, machine, image, which="new")
    own = f"blt-{secrets.token_hex(4)}-"
    try:
        done = inv("build", "--frozen", "-s", "web", IMAGE_PREFIX=own, IMAGE_TAG="v1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"remark: images.lock:5: {image} is locked as {locked_digest(project)}, but {image} is" in done.stderr
        assert content(engine, f"{own}web:v1", "/which") == "old"
        assert content(engine, image, "/which") == "old"  # for compose, by its tag
        again = inv("build", "-s", "web", IMAGE_PREFIX=own, IMAGE_TAG="v1")
        assert again.returncode == 0
        assert "up to date" in again.stdout
    finally:
        subprocess.run(["docker", "rmi", "--force", f"{own}web:v1"], check=False, capture_output=True)


def test_the_mirror_s_tag_moved_and_the_locked_image_comes_from_it(
    engine: Engine, project: Path, inv: Inv, image: str, registry: Registry, private: Registry, registries: Registries
) -> None:
    at_mirror = image.replace(registry.host, private.host)
    old = write(registries, image, make([layer(which="old")]))
    write(registries, at_mirror, make([layer(which="old")]))
    needs(project, "web", image)
    lock_it(inv)
    write(registries, at_mirror, make([layer(which="new")]))
    done = inv("prefetch", REGISTRY_MIRRORS=f"{registry.host}={private.host}")
    assert done.returncode == 0, done.stderr
    assert f"{image}@{old}: from {at_mirror}" in done.stdout
    assert f"but {at_mirror} is sha256:" in done.stderr
    assert content(engine, image, "/which") == "old"


def test_a_digest_that_no_registry_has_is_an_error_with_those_that_were_asked(
    project: Path, inv: Inv, image: str, registry: Registry, private: Registry, registries: Registries
) -> None:
    write(registries, image, make([layer(which="there")]))
    needs(project, "web", image)
    lock_it(inv)
    file = project / "images.lock"
    file.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", file.read_text()))
    for task in ("prefetch", "deps-push", "deps-save"):
        done = inv(task, "-r", f"{private.host}/team", REGISTRY_MIRRORS=f"{registry.host}={private.host}/mirror")
        assert done.returncode == 1
        said = done.stdout + done.stderr
        assert image in said
        assert registry.host in said
        assert private.host in said
        assert "there is no such image" in said


def test_a_private_registry_alone_has_the_locked_image(
    engine: Engine, project: Path, inv: Inv, image: str, private: Registry, registry: Registry, registries: Registries
) -> None:
    old = write(registries, image, make([layer(which="old")]))
    needs(project, "web", image)
    lock_it(inv)
    write(registries, image, make([layer(which="new")]))
    pushed = inv("deps-push", "-r", f"{private.host}/team", "-t", "v1", "--frozen")
    assert pushed.returncode == 0, pushed.stderr
    assert f"remark: images.lock:5: {image} is locked as {old}" in pushed.stderr
    place = Reference.parse(f"{private.host}/team/{registry.host.replace(':', '_')}/{Reference.parse(image).path}:1")
    for name in (place, place.with_tag("1-v1")):
        found = registries.resolve(name)
        assert found is not None
        assert found.digest == old
    write(registries, str(place), make([layer(which="later")]))  # another release without the lock
    write(registries, str(place.with_tag("1-v1")), make([layer(which="later")]))
    done = inv("prefetch", "-r", f"{private.host}/team", "-t", "v1")
    assert f"{image}@{old}: from {private.host}" in done.stdout
    assert content(engine, image, "/which") == "old"


def test_a_bundle_has_the_locked_image_and_gives_it_its_tag(
    engine: Engine, project: Path, inv: Inv, image: str, registries: Registries
) -> None:
    write(registries, image, make([layer(which="old")]))
    needs(project, "web", image)
    lock_it(inv)
    write(registries, image, make([layer(which="new")]))
    assert inv("deps-save", "-f", str(project / "deps.tar"), "--frozen").returncode == 0
    done = inv("deps-load", "-f", str(project / "deps.tar"))
    assert done.returncode == 0, done.stderr
    assert content(engine, image, "/which") == "old"
    assert "1 already present" in inv("prefetch", "--frozen").stdout


def test_a_dry_run_tells_where_the_locked_image_would_come_from(
    project: Path, inv: Inv, image: str, registries: Registries
) -> None:
    old = write(registries, image, make([layer(which="old")]))
    needs(project, "web", image)
    lock_it(inv)
    write(registries, image, make([layer(which="new")]))
    assert f"{image}@{old}: would come from" in inv("--dry", "prefetch").stdout


def test_update_moves_what_is_named_and_says_from_where_to_where(
    project: Path, inv: Inv, registry: Registry, registries: Registries
) -> None:
    one, two = (f"{registry.host}/{name}:1" for name in ("one", "two"))
    old = {name: write(registries, name, make([layer(which="old", name=name)])) for name in (one, two)}
    needs(project, "a", one)
    needs(project, "b", two)
    lock_it(inv)
    new = {name: write(registries, name, make([layer(which="new", name=name)])) for name in (one, two)}
    before = (project / "images.lock").read_text()
    checked = inv("deps-lock", "--update", one, "--check")
    assert checked.returncode == 1
    assert f"{one}: moved from {old[one]} to {new[one]}" in checked.stdout
    assert inv("--dry", "deps-lock", "--update").returncode == 0
    assert (project / "images.lock").read_text() == before
    [first, second] = items_of(inv("deps-lock", "--update", one, "--json"))
    assert (first["result"], first["before"], first["after"]) == ("moved", old[one], new[one])
    assert second["result"] == "unchanged"
    assert f"{two}: moved from {old[two]} to {new[two]}" in inv("deps-lock", "--update").stdout
    unknown = inv("deps-lock", "--update", "three:1")
    assert "--update names three:1, which images.lock does not have" in unknown.stderr


def test_a_lock_is_brought_in_line_with_the_files(
    project: Path, inv: Inv, registry: Registry, registries: Registries
) -> None:
    one, two = (f"{registry.host}/one:{tag}" for tag in ("1", "2"))
    for name in (one, two):
        write(registries, name, make([layer(name=name)]))
    needs(project, "a", one)
    lock_it(inv)
    needs(project, "a", two)
    for task in ("prefetch", "build", "deps-push", "deps-save"):
        done = inv(task, PRIVATE_REGISTRY=f"{registry.host}/team")
        assert done.returncode == 1
        assert "images.lock:5" in done.stderr
        assert f"src/a/Dockerfile:1 names {two}" in done.stderr
    lock_it(inv)
    assert [str(image) for image in lock.read(project).images] == [two]
    assert inv("deps-lock", "--check").returncode == 0


def test_what_no_registry_has_cannot_be_locked(project: Path, inv: Inv, registry: Registry) -> None:
    needs(project, "a", f"{registry.host}/none:1")
    done = inv("deps-lock", "--json")
    assert done.returncode == 1
    assert items_of(done)[0]["result"] == "failed"
    text = inv("deps-lock").stdout
    assert "only an image that a registry has can be locked" in text
    assert not (project / "images.lock").exists()
    frozen = inv("prefetch", "--frozen")
    assert f"src/a/Dockerfile:1 names {registry.host}/none:1" in frozen.stderr
