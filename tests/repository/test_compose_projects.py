"""What a compose project means for its services and images: profiles, the names that compose gives, override files."""

import json
from pathlib import Path

import pytest

from build_lib.repository import dependencies
from build_lib.repository.services import Repository, discover
from build_lib.settings import Settings
from tests.support.commands import Inv
from tests.support.projects import needs, write

SHOP = """\
name: shop
services:
  base: {build: src/base, profiles: [build]}
  web: {build: src/web, depends_on: [base, db]}
  tools: {build: src/tools, profiles: [debug]}
  db: {image: "postgres:16"}
  mail: {image: axllent/mailpit, profiles: [debug, site]}
  gpu: {image: "nvcr.io/nvidia/pytorch:24.05-py3", profiles: [gpu]}
"""


@pytest.fixture
def shop(project: Path) -> Path:
    write(project, {"compose.yaml": SHOP})
    needs(project, "base", "debian:12")
    needs(project, "web", "shop-base")
    needs(project, "tools", "alpine:3.20")
    return project


def look(root: Path, **environment: str) -> Repository:
    return discover(Settings.load(root, environ=environment))


def images(root: Path, *services: str, **environment: str) -> list[str]:
    settings = Settings.load(root, environ=environment)
    return [str(item.image) for item in dependencies.find(discover(settings), settings, services)]


@pytest.mark.parametrize(
    ("profiles", "more"),
    [
        ("", []),
        ("site", ["axllent/mailpit:latest"]),
        ("gpu,debug", ["axllent/mailpit:latest", "nvcr.io/nvidia/pytorch:24.05-py3"]),
        ("*", ["axllent/mailpit:latest", "nvcr.io/nvidia/pytorch:24.05-py3"]),
    ],
)
def test_images_of_inactive_profiles_are_not_needed_to_run(shop: Path, profiles: str, more: list[str]) -> None:
    found = images(shop, COMPOSE_PROFILES=profiles)
    assert sorted(found) == sorted(["alpine:3.20", "debian:12", "postgres:16", *more])


def test_services_are_built_whatever_profiles_are_active(shop: Path) -> None:
    assert list(look(shop).services) == list(look(shop, COMPOSE_PROFILES="*").services) == ["base", "tools", "web"]


def test_deps_says_what_is_left_out(shop: Path, inv: Inv) -> None:
    others = "services: {same: {image: 'postgres:16', profiles: [other]}, own: {image: shop-base, profiles: [other]}}\n"
    write(shop, {"compose.override.yaml": others})  # these images are not left out
    last = "2 images left out, for profiles that are not active: debug, gpu, site (COMPOSE_PROFILES)"
    assert inv("deps").stdout.splitlines()[-1] == last
    assert inv("deps", COMPOSE_PROFILES="gpu").stdout.splitlines()[-1] == (
        "1 image left out, for profiles that are not active: debug, site (COMPOSE_PROFILES)"
    )
    assert "left out" not in inv("deps", COMPOSE_PROFILES="*").stdout
    (shop / ".env").write_text("COMPOSE_PROFILES=site\n")
    assert "axllent/mailpit:latest" in inv("deps", "--plain").stdout.splitlines()
    assert len(json.loads(inv("deps", "--json").stdout)) == 4


def test_images_of_inactive_profiles_alone_are_no_empty_repository(project: Path, inv: Inv) -> None:
    write(project, {"compose.yaml": "services: {a: {image: redis, profiles: [p]}}\n"})
    done = inv("deps")
    assert done.returncode == 0
    assert done.stdout.endswith("1 image left out, for profiles that are not active: p (COMPOSE_PROFILES)\n")


def test_the_name_that_compose_gives_an_image_is_that_of_its_service(shop: Path) -> None:
    repository = look(shop)
    assert repository.problems == ()
    assert repository.services["web"].needs == ("base",)
    assert str(repository.services["base"].in_compose) == "shop-base:latest"
    assert repository.services["tools"].in_compose is None  # nobody uses its name
    renamed = look(shop, COMPOSE_PROJECT_NAME="store")
    assert renamed.services["web"].needs == ()
    assert [str(image) for image in renamed.services["web"].base_images] == ["shop-base:latest"]


def test_a_context_can_have_such_a_name(shop: Path) -> None:
    contexts = "services: {tools: {build: {additional_contexts: {'alpine:3.20': docker-image://shop-base}}}}\n"
    write(shop, {"compose.override.yaml": contexts})
    repository = look(shop)
    assert repository.problems == ()
    assert repository.services["tools"].needs == ("base",)


def test_an_override_changes_what_is_built_and_what_is_run(shop: Path) -> None:
    override = "services: {web: {build: !reset null, image: 'harbor.example/web:1'}, db: {image: 'mariadb:11'}}\n"
    write(shop, {"docker-compose.override.yml": override})
    assert {"harbor.example/web:1", "mariadb:11"} < set(images(shop))
    assert "postgres:16" not in images(shop)
    assert "harbor.example/web:1" not in images(shop, COMPOSE_FILE="compose.yaml")
