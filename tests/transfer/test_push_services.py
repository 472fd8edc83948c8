"""The built services into a real registry."""

import re
import secrets
from pathlib import Path
from typing import Any

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.registry import Descriptor, Registries
from build_lib.settings import Settings
from tests.support.commands import Inv, items_of
from tests.support.engines import remove_images
from tests.support.faults import ALWAYS, Fault, proxied
from tests.support.projects import needs
from tests.support.registries import Registry


@pytest.fixture
def two(project: Path, prefix: str, tiny: str) -> dict[str, str]:
    """A project of `base`, on the tiny image, and `app` on base; the environment for it."""
    needs(project, "base", tiny, "RUN echo 1 >/data")
    needs(project, "app", f"{prefix}base:v1", "RUN cat /data >/copy")
    return {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1"}


def pushed(inv: Inv, *arguments: str, **environment: str) -> dict[str, dict[str, Any]]:
    done = inv("push", "--json", *arguments, **environment)
    return {item["service"]: item for item in items_of(done)}


def config_of(machine: Settings, place: str) -> Descriptor:
    with Registries(machine) as registries:
        reference = Reference.parse(place)
        top = registries.resolve(reference)
        assert top is not None
        return registries.manifest(reference, top.digest).blobs[0]


def test_build_all_and_push_are_one_line(
    two: dict[str, str], inv: Inv, engine: Engine, machine: Settings, private: Registry, prefix: str
) -> None:
    two["PRIVATE_REGISTRY"] = f"{private.host}/p/q"
    done = inv("build-all", "push", **two)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  app: pushed\n" in done.stdout
    images = engine.images.by_name()
    assert not [name for name in images if name.startswith(private.host)], "the name was to be there only meanwhile"
    again = pushed(inv, **two)
    for name in ("app", "base"):
        place = f"{private.host}/p/q/{prefix}{name}:v1"
        assert again[name]["result"] == "there"
        assert again[name]["place"] == place
        assert re.search(rf"{place} +{again[name]['digest']}\n", done.stdout)
        id = again[name]["digest"] if engine.keeps_content() else config_of(machine, place).digest
        assert images[Reference.parse(f"{prefix}{name}:v1").canonical].id == id


def test_what_is_not_built_as_its_files_are_is_refused_and_the_rest_pushed(
    two: dict[str, str], inv: Inv, project: Path, private: Registry, tiny: str
) -> None:
    target = ("-r", f"{private.host}/p")
    assert inv("build-all", **two).returncode == 0
    needs(project, "app", f"{two['IMAGE_PREFIX']}base:v1", "RUN cat /data >/other")
    needs(project, "new", tiny)
    done = inv("push", *target, **two)
    assert done.returncode == 1
    assert "app: not pushed: app is not pushed because it is out of date: Dockerfile changed" in done.stdout
    assert "new: not pushed: new is not built" in done.stdout
    assert "  next: ./inv build -s new, or ./inv build-all push\n" in done.stderr
    assert "2 of 3 services not pushed: app, new" in done.stderr
    found = pushed(inv, *target, "-s", "app", "--force", **two)
    assert {name: item["result"] for name, item in found.items()} == {"app": "pushed"}
    assert pushed(inv, *target, "-s", "base", **two)["base"]["result"] == "there"


def test_a_registry_that_fails_once_is_asked_again_and_others_go_on(
    two: dict[str, str], inv: Inv, private: Registry, machine: Settings, engine: Engine, prefix: str
) -> None:
    assert inv("build-all", **two).returncode == 0
    once = Fault(method="PUT", path="base/manifests/", status=503)
    for_ever = Fault(method="PUT", path="app/manifests/", status=403, body=b"denied: immutable", times=ALWAYS)
    with proxied(private.host, once, for_ever) as proxy:
        done = inv("push", "-r", f"{proxy.host}/p", TRIES="2", **two)
        remove_images(engine, proxy.host)
        assert [item.status for item in proxy.of("PUT", "base/manifests/")] == [503, 201]
        assert len(proxy.of("PUT", "app/manifests/")) == 1
    assert done.returncode == 1
    assert "base: pushed" in done.stdout
    assert ("403 Forbidden" if engine.keeps_content() else "denied") in done.stdout
    assert config_of(machine, f"{private.host}/p/{prefix}base:v1")


def test_dry_says_what_would_be_pushed_and_pushes_nothing(two: dict[str, str], inv: Inv, private: Registry) -> None:
    assert inv("build-all", **two).returncode == 0
    done = inv("--dry", "push", "-r", f"{private.host}/p", **two)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("would be pushed") == 4  # as it goes, and in the table
    assert '"PUT ' not in private.log.read_text()
    assert '"POST ' not in private.log.read_text()


def test_without_a_registry_nothing_begins(two: dict[str, str], inv: Inv) -> None:
    done = inv("push", **two)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no private registry is set\n  next: name one with -r host" in done.stderr


def test_a_service_that_is_not_known_is_refused(two: dict[str, str], inv: Inv, private: Registry) -> None:
    done = inv("push", "-r", f"{private.host}/p", "-s", "ap", **two)
    assert done.returncode == 1
    assert "app" in done.stderr


def test_a_wrong_password_is_said_once(two: dict[str, str], inv: Inv, private: Registry) -> None:
    assert inv("build-all", **two).returncode == 0
    closed = Fault(
        method="GET|HEAD|POST|PUT",
        path="/v2/",
        status=401,
        headers={"WWW-Authenticate": 'Basic realm="a test"'},
        times=ALWAYS,
    )
    password = secrets.token_urlsafe(12)
    with proxied(private.host, closed) as proxy:
        login = {"PRIVATE_REGISTRY_USERNAME": "user", "PRIVATE_REGISTRY_PASSWORD": password}
        done = inv("push", "-r", f"{proxy.host}/p", **login, **two)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {proxy.host} refused the login as 'user'\n")
    assert password not in done.stdout + done.stderr
