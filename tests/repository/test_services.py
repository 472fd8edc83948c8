"""Services, the edges between them, and their dependency images, in a repository laid out like the plan's."""

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.repository import dependencies
from build_lib.repository.services import Repository, discover
from build_lib.settings import Settings
from tests.support.commands import ROOT, Inv
from tests.support.projects import needs

EXAMPLE = Path(__file__).parent / "example"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the example, to change."""
    return shutil.copytree(EXAMPLE, tmp_path / "example")


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


def test_a_service_that_is_not_here_is_looked_for_only_where_it_is_needed(project: Path) -> None:
    (project / "src/hub").mkdir()
    dockerfile = "ARG MODE=copy\nFROM ai-infra-packages:1 AS packages\nFROM debian AS copy\n"
    (project / "src/hub/Dockerfile").write_text(f"{dockerfile}FROM packages AS unified\nFROM ${{MODE}}\n")
    assert images(project) == {"debian:latest": True}
    assert images(project, BUILD_ARG_MODE="unified") == {"ai-infra-packages:1": True, "debian:latest": False}


def test_apphub_stands_on_slurm_build_as_its_mode_says() -> None:
    for mode, needed in (("copy", ("apphub-indexer",)), ("unified", ("apphub-indexer", "slurm-build"))):
        assert look(ROOT, APPHUB_MODE=mode).services["apphub"].needs == needed
        assert images(ROOT, APPHUB_MODE=mode) == {"debian:bookworm-slim": True}


@pytest.mark.parametrize(
    ("target", "needs"), [("copy", ("apphub-indexer",)), ("unified", ("apphub-indexer", "slurm-build"))]
)
def test_apphub_s_modes_are_targets_too(project: Path, target: str, needs: tuple[str, ...]) -> None:
    shutil.copytree(ROOT / "src", project / "src", dirs_exist_ok=True)
    (project / "compose.yaml").write_text(
        f"services: {{apphub: {{build: {{context: src/apphub, target: {target}}}}}}}\n"
    )
    assert look(project, APPHUB_MODE="copy").services["apphub"].needs == needs


def test_a_target_needs_only_what_it_reaches(repository: Path) -> None:
    assert list(images(repository, "backend")) == ["golang:1.22-alpine", "quay.io/tools/migrate:v4"]


def test_a_missing_context_is_a_problem_with_its_place_and_the_others_stay(repository: Path) -> None:
    [problem] = look(repository).problems
    assert (problem.path, problem.line) == (repository / "compose.yaml", 5)
    assert "ghost" in problem.reason


def test_deps_says_where_each_image_is_needed_and_tells_problems_at_the_end(repository: Path, inv: Inv) -> None:
    done = inv("deps", "--json", PROJECT_ROOT=str(repository))
    assert done.returncode == 1
    found = {item["image"]: item["needs"] for item in json.loads(done.stdout)}
    assert found["minio/minio:latest"] == [
        {"needed_by": "minio", "kind": "run", "path": "compose.yaml", "line": 6},
    ]
    assert {"needed_by": "backend", "kind": "copy", "path": "src/backend/Dockerfile", "line": 5} in found[
        "quay.io/tools/migrate:v4"
    ]
    assert done.stderr.startswith("problem: compose.yaml:5: service ghost: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kind", "runtime"], ["redis:7-alpine", "minio/minio:latest", "tecnativa/tcp-proxy:latest", "x/y:1"]),
        (["-s", "worker"], ["debian:bookworm-slim"]),
        (["-s", "backend-init", "--kind", "build"], ["busybox:1.36", "golang:1.22-alpine"]),
    ],
)
def test_deps_plain_is_for_shell_loops(repository: Path, inv: Inv, arguments: list[str], said: list[str]) -> None:
    done = inv("deps", "--plain", *arguments, PROJECT_ROOT=str(repository), EXTRA_IMAGES="x/y:1")
    assert done.stdout.splitlines() == said


def test_an_unknown_kind_is_refused_with_what_is_allowed(repository: Path, inv: Inv) -> None:
    done = inv("deps", "--kind", "tests", PROJECT_ROOT=str(repository))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --kind is 'tests'\n  next: allowed: build or runtime\n"


def test_additional_contexts_replace_images_and_may_be_a_sibling_or_an_image(repository: Path) -> None:
    (repository / "compose.yaml").write_text(
        """\
services:
  site:
    build:
      context: src/nginx
      dockerfile_inline: |
        FROM nginx:latest
        COPY --from=tools /x /
        COPY --from=sources /y /
      additional_contexts:
        nginx: docker-image://harbor.example/nginx:9
        tools: service:base
        sources: ./src
  wrong: {build: {context: src/worker, additional_contexts: {a: "service:nobody", b: "docker-image://NO"}}}
"""
    )
    found = look(repository)
    site = found.services["site"]
    assert site.needs == ("base",)
    assert [(use.name, use.kind, use.line) for use in site.external] == [("harbor.example/nginx:9", "context", 2)]
    assert dict(site.additional_contexts) == {
        "nginx": "docker-image://harbor.example/nginx:9",
        "tools": "docker-image://ai-infra-base:v0.3.6-dev",
        "sources": str(repository / "src"),
    }
    assert [(problem.line, problem.reason.partition(": the additional")[0]) for problem in found.problems] == [
        (13, "service wrong"),
        (13, "service wrong"),
    ]


@pytest.mark.parametrize("command", ["deps", "services"])
def test_nothing_of_the_docker_sdk_is_imported_to_read_files(repository: Path, command: str) -> None:
    code = (
        "import sys; from invoke.main import program;"
        f"program.run(['inv', {command!r}], exit=False); print('imported:', 'docker' in sys.modules)"
    )
    environment = {"PROJECT_ROOT": str(repository), "PATH": ""}
    program = [sys.executable, "-c", code]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("imported: False\n"), done.stderr


def test_a_circle_is_refused_with_the_circle_spelled_out(project: Path, inv: Inv) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (project / f"src/{name}").mkdir()
        (project / f"src/{name}/Dockerfile").write_text(f"FROM ai-infra-{other}:v0.3.6-dev\n")
    with pytest.raises(BuildError) as caught:
        look(project)
    circle = caught.value.message.removeprefix("services depend on each other in a circle: ").split(" -> ")
    assert circle[0] == circle[-1]
    assert set(itertools.pairwise(circle)) == {("a", "b"), ("b", "c"), ("c", "a")}
    assert inv("services").returncode == 1


@pytest.mark.parametrize("tag", ["", ":latest", ":v0", "@sha256:" + "0" * 64, ":v1@sha256:" + "0" * 64])
def test_a_sibling_without_the_release_s_tag_is_a_problem(project: Path, inv: Inv, tag: str) -> None:
    needs(project, "base", "debian:12")
    needs(project, "web", f"hello-base{tag}")
    found = look(project, IMAGE_PREFIX="hello-", IMAGE_TAG="v1")
    assert found.services["web"].needs == ("base",)
    [problem] = found.problems
    assert (problem.path, problem.line) == (project / "src/web/Dockerfile", 1)
    assert problem.reason.endswith(
        " is built here as hello-base:v1: write ARG IMAGE_TAG before FROM, and FROM hello-base:${IMAGE_TAG}"
    )
    (project / "src/web/Dockerfile").write_text("ARG IMAGE_TAG\nFROM hello-base:${IMAGE_TAG}\n")
    assert look(project, IMAGE_PREFIX="hello-", IMAGE_TAG="v1").problems == ()


def test_a_sibling_s_tag_matters_wherever_it_is_reached(project: Path) -> None:
    needs(project, "base", "debian:12")
    needs(project, "copies", "debian:12", "COPY --from=ai-infra-base /a /a", "RUN --mount=from=ai-infra-base:1 true")
    needs(project, "site", "debian")
    needs(project, "unreached", "ai-infra-base:old AS old", "FROM debian:12")
    (project / "compose.yaml").write_text(
        "services:\n"
        "  site: {build: {context: src/site, additional_contexts: {debian: 'docker-image://ai-infra-base:9'}}}\n"
    )
    problems = look(project).problems
    assert [(problem.path.name, problem.line, problem.reason.split(": write ")[1]) for problem in problems] == [
        ("Dockerfile", 2, "ARG IMAGE_TAG before FROM, FROM ai-infra-base:${IMAGE_TAG} AS NAME, and from=NAME"),
        ("Dockerfile", 3, "ARG IMAGE_TAG before FROM, FROM ai-infra-base:${IMAGE_TAG} AS NAME, and from=NAME"),
        ("compose.yaml", 2, "service:base"),
    ]


def test_it_is_told_before_anything_else(project: Path, inv: Inv) -> None:
    needs(project, "base", "scratch")
    needs(project, "web", "ai-infra-base")
    for task in ("build", "build-all"):
        done = inv(task, DOCKER_HOST="unix:///nowhere")
        first, second, *_ = done.stderr.splitlines()
        assert first.startswith("problem: src/web/Dockerfile:1: FROM ai-infra-base is built here as ")
        assert second.startswith("error: no Docker Engine answers")
    done = inv("services")
    assert done.returncode == 1
    assert done.stderr.startswith("problem: src/web/Dockerfile:1: FROM ai-infra-base ")


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


def test_the_indexer_and_slurm_build_set_up_apt_the_same_way() -> None:
    root = Path(__file__).resolve().parents[2] / "src"
    assert (root / "apphub-indexer/apt-setup").read_text() == (root / "slurm-build/apt-setup").read_text()
