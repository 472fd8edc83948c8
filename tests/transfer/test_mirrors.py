"""Mirrors: asked, and written into the engine's settings without losing anything of them."""

import json
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.registry import Registries
from build_lib.settings import Settings
from build_lib.transfer import mirrors
from tests.support.commands import Inv, items_of
from tests.support.images import layer, make, write
from tests.support.registries import Registry


def configured(tmp_path: Path, text: str, **environment: str) -> Settings:
    return Settings.load(tmp_path, environ={"REGISTRY_MIRRORS": text, **environment})


def test_a_mirror_that_serves_is_told_from_one_that_does_not(machine: Settings, registry: Registry, inv: Inv) -> None:
    with Registries(machine) as registries:
        write(registries, f"{registry.host}/library/busybox:latest", make([layer(a="1")]))
    listed = f"{registry.host} {registry.host}/empty 127.0.0.1:1"
    done = inv("mirrors", "--json", REGISTRY_MIRRORS=listed)
    assert done.returncode == 1
    found = {item["mirror"]: item["problem"] for item in items_of(done)}
    assert found[registry.host] == ""
    assert found[f"{registry.host}/empty"] == f"it answers, and has no {registry.host}/empty/library/busybox:latest"
    assert found["127.0.0.1:1"] == "127.0.0.1:1: Connection refused"
    assert f"2 of 3 mirrors failed: {registry.host}/empty, 127.0.0.1:1" in done.stderr


def test_without_mirrors_it_says_where_they_are_listed(inv: Inv) -> None:
    done = inv("mirrors")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there are no mirrors\n  next: REGISTRY_MIRRORS in .env lists them\n"


def test_writing_keeps_everything_else_and_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    original = '{"log-driver": "local",\n "registry-mirrors": ["https://old.example"]}'
    path.write_text(original)
    path.chmod(0o640)
    settings = configured(
        tmp_path, "one.example, quay.io=two.example three.example:80", INSECURE_REGISTRIES="three.example:80"
    )
    dry = mirrors.write(settings, path, dry=True)
    assert (dry.changed, path.read_text()) == (True, original)
    written = mirrors.write(settings, path)
    assert json.loads(path.read_text()) == {
        "log-driver": "local",
        "registry-mirrors": ["https://one.example", "http://three.example:80"],
    }
    assert written.kept is not None
    assert written.kept.read_text() == original
    assert path.stat().st_mode & 0o777 == 0o640
    assert not mirrors.write(settings, path).changed
    assert sorted(item.name for item in tmp_path.iterdir()) == ["daemon.json", "daemon.json.before-build-lib"]


@pytest.mark.parametrize("broken", ["{", "[]", '"text"', "\udcff"])
def test_a_broken_file_is_refused_and_stays(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "daemon.json"
    path.write_bytes(broken.encode("utf-8", "surrogateescape"))
    with pytest.raises(BuildError, match=r"cannot be read|not a JSON object"):
        mirrors.write(configured(tmp_path, "one.example"), path)
    assert path.read_bytes() == broken.encode("utf-8", "surrogateescape")


def test_a_mirror_with_a_path_is_none_for_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    with pytest.raises(BuildError, match="no mirror with a path"):
        mirrors.write(configured(tmp_path, "one.example/proxy"), path)
    assert not path.exists()
