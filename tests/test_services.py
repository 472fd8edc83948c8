"""Services, the edges between them, and their dependency images, in a repository laid out like the plan's."""

import itertools
import json
from pathlib import Path

import pytest

from build_lib import dependencies
from build_lib.errors import BuildError
from build_lib.services import Repository, discover
from build_lib.settings import Settings
from tests.conftest import Inv

FILES = {
    "src/backend/Dockerfile": """\
        ARG GO_VERSION=1.22
        FROM golang:${GO_VERSION}-alpine AS build
        COPY . /src
        FROM build AS backend
        COPY --from=quay.io/tools/migrate:v4 /migrate /
        FROM build AS backend-init
        RUN --mount=type=bind,from=busybox:1.36,target=/b true
        """,
    "src/nginx/Dockerfile": "FROM nginx:stable\nCOPY src/frontend /usr/share/nginx/html\n",
    "src/base/Dockerfile": "FROM debian:bookworm-slim\n",
    "src/worker/Dockerfile": "ARG IMAGE_PREFIX\nARG IMAGE_TAG\nFROM ${IMAGE_PREFIX}base:${IMAGE_TAG}\n",
    "compose.yaml": """\
        services:
          backend: {build: {context: src/backend, target: backend}}
          backend-init: {build: {context: src/backend, target: backend-init}}
          nginx: {build: {context: ., dockerfile: src/nginx/Dockerfile}}
          ghost: {build: src/ghost}
          minio: {image: "minio/minio:latest"}
          cache: {image: "redis:${REDIS:-7-alpine}"}
          proxy: {image: tecnativa/tcp-proxy}
          again: {image: "ai-infra-worker:v0.3.6-dev"}
        """,
}


@pytest.fixture
def repository(project: Path) -> Path:
    for name, text in FILES.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()) + "\n")
    return project


def look(root: Path, **environment: str) -> Repository:
    return discover(Settings.load(root, environ=environment))


def images(root: Path, *services: str, **environment: str) -> dict[str, bool]:
    settings = Settings.load(root, environ=environment)
    found = dependencies.find(discover(settings), settings, services)
    return {str(item.image): item.for_build for item in found}


def test_services_come_from_compose_and_from_directories_that_compose_does_not_cover(repository: Path) -> None:
    assert list(look(repository).services) == ["backend", "backend-init", "base", "nginx", "worker"]


def test_one_directory_gives_several_services_by_target(repository: Path) -> None:
    services = look(repository).services
    assert services["backend"].context == services["backend-init"].context == repository / "src/backend"
    assert [str(image) for image in services["backend"].base_images] == [
        "golang:1.22-alpine",
        "quay.io/tools/migrate:v4",
    ]
    assert [str(image) for image in services["backend-init"].base_images] == ["busybox:1.36", "golang:1.22-alpine"]


def test_a_context_may_be_the_repository_s_root(repository: Path) -> None:
    nginx = look(repository).services["nginx"]
    assert (nginx.context, nginx.dockerfile) == (repository, repository / "src/nginx/Dockerfile")


def test_another_service_s_image_is_an_edge_and_no_dependency(repository: Path) -> None:
    assert look(repository).services["worker"].needs == ("base",)
    assert not [name for name in images(repository) if name.startswith("ai-infra-")]


def test_all_dependency_images_with_what_they_are_for(repository: Path) -> None:
    assert images(repository, EXTRA_IMAGES="quay.io/x/y:1") == {
        "busybox:1.36": True,
        "debian:bookworm-slim": True,
        "golang:1.22-alpine": True,
        "minio/minio:latest": False,
        "nginx:stable": True,
        "quay.io/tools/migrate:v4": True,
        "quay.io/x/y:1": False,
        "redis:7-alpine": False,
        "tecnativa/tcp-proxy:latest": False,
    }


def test_the_images_of_one_service_with_what_it_stands_on(repository: Path) -> None:
    assert images(repository, "worker") == {"debian:bookworm-slim": True}


def test_a_missing_context_is_a_problem_with_its_place_and_the_others_stay(repository: Path) -> None:
    [problem] = look(repository).problems
    assert (problem.path, problem.line) == (repository / "compose.yaml", 5)
    assert "ghost" in problem.reason


def test_deps_says_where_each_image_is_needed_and_tells_problems_at_the_end(repository: Path, inv: Inv) -> None:
    done = inv("deps", "--json")
    assert done.returncode == 1
    found = {item["image"]: item["needs"] for item in json.loads(done.stdout)}
    assert found["minio/minio:latest"] == [
        {"needed_by": "minio", "kind": "run", "path": "compose.yaml", "line": 6},
    ]
    assert {"needed_by": "backend", "kind": "copy", "path": "src/backend/Dockerfile", "line": 5} in found[
        "quay.io/tools/migrate:v4"
    ]
    assert done.stderr.startswith("problem: compose.yaml:5: service ghost: ")


def test_a_circle_is_refused_with_the_circle_spelled_out(project: Path, inv: Inv) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (project / f"src/{name}").mkdir()
        (project / f"src/{name}/Dockerfile").write_text(f"FROM ai-infra-{other}:v0.3.6-dev\n")
    with pytest.raises(BuildError) as caught:
        look(project)
    circle = caught.value.message.removeprefix("services stand on each other in a circle: ").split(" -> ")
    assert circle[0] == circle[-1]
    assert set(itertools.pairwise(circle)) == {("a", "b"), ("b", "c"), ("c", "a")}
    assert inv("services").returncode == 1


def test_an_unknown_service_is_refused_with_the_nearest_known_ones(repository: Path) -> None:
    with pytest.raises(BuildError, match="there is no service 'bakend'") as caught:
        look(repository).chosen(["bakend"])
    assert "backend" in caught.value.hint


def test_a_directory_whose_name_is_no_image_s_name_is_a_problem(project: Path) -> None:
    (project / "src/Bad Name").mkdir()
    (project / "src/Bad Name/Dockerfile").write_text("FROM scratch\n")
    found = look(project)
    assert list(found.services) == []
    assert "Bad Name" in found.problems[0].reason


def test_a_repository_without_services_has_none(project: Path, inv: Inv) -> None:
    done = inv("services", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_apphub_and_slurm_build_set_up_apt_the_same_way() -> None:
    root = Path(__file__).resolve().parents[1] / "src"
    assert (root / "apphub/apt-setup").read_text() == (root / "slurm-build/apt-setup").read_text()
