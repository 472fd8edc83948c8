"""A bundle does not decide what this repository's services are: their names are replaced only with --replace."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.bundle.bundles import bundle
from tests.support.commands import Inv
from tests.support.images import layer, make
from tests.support.projects import needs
from tests.support.registries import Registry

FIRST, SECOND = (make([layer(own=name)]) for name in ("first", "second"))


@pytest.fixture
def names(engine: Engine, prefix: str) -> Iterator[dict[str, str]]:
    """Names of a service under two tags, and of an image from outside."""
    found = {"service": f"{prefix}web:v1", "its other tag": f"{prefix}web:latest", "outside": f"{prefix}redis:7"}
    yield found
    for name in found.values():
        engine.images.remove(Reference.parse(name))
    for made in (FIRST, SECOND):  # without a name, by the id that either store has
        engine.images.remove(made.manifest.digest)
        engine.images.remove(made.manifest.blobs[0].digest)


def loaded(inv: Inv, path: Path, *arguments: str, **environment: str) -> list[dict[str, Any]]:
    done = inv("deps-load", "--json", "-f", str(path), *arguments, **environment)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def ids(engine: Engine, names: dict[str, str]) -> dict[str, str]:
    found = engine.images.by_name()
    return {name: found[Reference.parse(name).canonical].id for name in names.values()}


def test_names_of_services_in_the_engine_are_replaced_with_a_flag_alone(
    engine: Engine, names: dict[str, str], prefix: str, project: Path, inv: Inv
) -> None:
    first, second = project / "first.tar", project / "second.tar"
    first.write_bytes(bundle(dict.fromkeys(names.values(), FIRST)))
    second.write_bytes(bundle(dict.fromkeys(names.values(), SECOND)))
    needs(project, "web", "scratch")
    own = {"IMAGE_PREFIX": prefix}
    assert [item["replaced"] for item in loaded(inv, first, **own)] == [[], [], []]
    assert [item["result"] for item in loaded(inv, first, **own)] == ["there", "there", "there"]
    before = ids(engine, names)
    for dry in ((), ("--dry",)):
        done = inv(*dry, "deps-load", "-f", str(second), **own)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: {second} would replace images of this repository's services in this engine: "
            f"{names['service']}, {names['its other tag']}; nothing was changed\n"
            f"  next: if they are to be replaced: ./inv deps-load --replace -f {second}\n"
        )
    assert ids(engine, names) == before
    would = inv("--dry", "deps-load", "--replace", "-f", str(second), **own).stdout
    assert would.count("would be loaded, replacing another image") == 3
    assert [item["replaced"] for item in loaded(inv, second, "--replace", **own)] == [[name] for name in names.values()]
    assert set(ids(engine, names).values()).isdisjoint(before.values())


def test_names_of_others_are_replaced_and_that_is_said(
    engine: Engine, names: dict[str, str], project: Path, inv: Inv
) -> None:
    path = project / "deps.tar"
    for made in (FIRST, SECOND):
        path.write_bytes(bundle(dict.fromkeys(names.values(), made)))
        done = inv("deps-load", "-f", str(path))
        assert done.returncode == 0, done.stderr
    assert done.stdout.count("loaded, replacing another image") == 3


def test_so_are_those_in_a_registry(machine: Settings, private: Registry, project: Path, inv: Inv) -> None:
    first, second, place = project / "first.tar", project / "second.tar", f"{private.host}/p"
    first.write_bytes(bundle({"web:v1": FIRST, "redis:7": FIRST}))
    second.write_bytes(bundle({"web:v1": SECOND, "redis:7": SECOND}))
    needs(project, "web", "scratch")
    own = {"IMAGE_PREFIX": ""}
    assert [item["replaced"] for item in loaded(inv, first, "-r", place, **own)] == [[], []]
    done = inv("deps-load", "-r", place, "-f", str(second), **own)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"services in {place}: {place}/web:v1-v1, {place}/web:v1; nothing was changed\n" in done.stderr
    with Registries(machine) as registries:
        held = registries.resolve(Reference.parse(f"{place}/redis:7"))
    assert held == FIRST.manifest.descriptor
    found = {item["image"]: item["replaced"] for item in loaded(inv, second, "-r", place, "--replace", **own)}
    assert found == {name: [f"{place}/{name}-v1", f"{place}/{name}"] for name in ("web:v1", "redis:7")}
