"""Services, the edges between them, and their dependency images, in a repository laid out like the plan's."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.repository import dependencies
from build_lib.repository.services import Repository, discover
from build_lib.settings import Settings
from tests.support.commands import ROOT, Inv, items_of
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


def test_the_context_of_services_in_directories_can_be_the_top(project: Path) -> None:
    (project / "src/web").mkdir()
    (project / "src/web/Dockerfile").write_text("FROM scratch\nCOPY src/web /\n")
    assert look(project).services["web"].context == project / "src/web"
    [web] = look(project, SERVICES_CONTEXT=".").services.values()
    assert (web.context, web.dockerfile) == (project, project / "src/web/Dockerfile")
    (project / "Dockerfile").write_text("FROM scratch\n")
    assert look(project, SERVICES_CONTEXT="src").services[project.name].context == project  # it is in no such directory
    [problem] = look(project, SERVICES_CONTEXT="none").problems
    assert problem.reason == f"service web: the context {project}/none is not a local directory"


def test_apphub_stands_on_slurm_build_as_its_mode_says() -> None:
    for mode, needed in (("copy", ()), ("unified", ("slurm-build",))):
        assert look(ROOT, APPHUB_MODE=mode).services["apphub"].needs == needed
        assert images(ROOT, APPHUB_MODE=mode) == {"debian:bookworm-slim": True}


@pytest.mark.parametrize(("target", "needs"), [("copy", ()), ("unified", ("slurm-build",))])
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
    found = {item["image"]: item["needs"] for item in items_of(done)}
    assert found["minio/minio:latest"] == [
        {"needed_by": "minio", "kind": "run", "path": "compose.yaml", "line": 6},
    ]
    assert {"needed_by": "backend", "kind": "copy", "path": "src/backend/Dockerfile", "line": 5} in found[
        "quay.io/tools/migrate:v4"
    ]
    assert done.stderr.startswith("problem: compose.yaml:5: service ghost: ")


def test_a_wrong_setting_stops_only_what_needs_it(project: Path, inv: Inv) -> None:
    (project / ".env").write_text("SLURM_JOBS=all\nAPPHUB_MODE=other\nAPT_MIRROR=mirrors.aliyun.com\n")
    (project / "src/web").mkdir()
    dockerfile = project / "src/web/Dockerfile"
    dockerfile.write_text("FROM debian\nARG APT_MIRROR\nRUN echo http://${APT_MIRROR}/ubuntu\n")
    done = inv("services", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["args"] == {"APT_MIRROR": "mirrors.aliyun.com"}
    dockerfile.write_text("FROM debian\nARG SLURM_JOBS\n")
    done = inv("services")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: SLURM_JOBS in .env is 'all'")
    (project / "compose.yaml").write_text("services: {web: {build: {context: src/web, args: {SLURM_JOBS: all}}}}\n")
    assert inv("services").returncode == 0, "the compose file's argument counts"
    done = inv("services", IMAGE_TAG="a b")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: IMAGE_TAG in the environment is 'a b'")


@pytest.fixture
def composed(project: Path) -> Path:
    """A repository whose compose file names the images of its services."""
    for name, text in (("base", "FROM debian"), ("web", "FROM org/base:1.0"), ("job", "FROM org/base:${IMAGE_TAG}")):
        (project / "src" / name).mkdir()
        (project / "src" / name / "Dockerfile").write_text(f"ARG IMAGE_TAG=v0.3.6-dev\n{text}\n")
    (project / "compose.yaml").write_text(
        "services:\n"
        "  base: {build: src/base, image: org/base:1.0}\n"
        "  web: {build: src/web, image: harbor.example/team/web}\n"
        '  job: {build: src/job, image: "ai-infra-job:${IMAGE_TAG:-v0.3.6-dev}"}\n'
        "  again: {image: org/base:1.0}\n"
    )
    return project


def named(repository: Path, flags: Mapping[str, object] | None = None) -> dict[str, tuple[str, str]]:
    services = discover(Settings.load(repository, flags, environ={})).services
    return {name: (str(one.image), str(one.in_compose or "")) for name, one in services.items()}


def test_image_beside_build_is_the_name_of_the_image_and_the_tag_is_the_release(composed: Path) -> None:
    assert named(composed) == {
        "base": ("org/base:v0.3.6-dev", "org/base:1.0"),
        "job": ("ai-infra-job:v0.3.6-dev", ""),
        "web": ("harbor.example/team/web:v0.3.6-dev", "harbor.example/team/web:latest"),
    }


def test_a_release_given_as_a_flag_is_that_of_the_compose_file_too(composed: Path) -> None:
    """Else the new release would get the name of the one before."""
    (composed / ".env").write_text("IMAGE_TAG=v1\n")
    assert named(composed)["job"] == ("ai-infra-job:v1", "")
    assert named(composed, {"tag": "v2"})["job"] == ("ai-infra-job:v2", "")


def test_a_dockerfile_that_names_such_an_image_depends_on_its_service(composed: Path) -> None:
    repository = look(composed)
    assert repository.problems == ()
    assert [service.needs for service in repository.services.values()] == [(), ("base",), ("base",)]
    found = dependencies.find(repository, Settings.load(composed, environ={}))
    assert [str(item.image) for item in found] == ["debian:latest"]


def test_an_image_can_be_based_on_another_tag_of_its_repository(composed: Path) -> None:
    (composed / "compose.yaml").write_text("services: {web: {build: src/web, image: org/base:own}}\n")
    service = look(composed).services["web"]
    assert (service.needs, [str(image) for image in service.base_images]) == ((), ["org/base:1.0"])
    assert images(composed, "web") == {"org/base:1.0": True}


def test_services_that_share_a_repository_keep_names_of_their_own(composed: Path) -> None:
    (composed / "compose.yaml").write_text(
        "services:\n"
        "  base: {build: src/base, image: org/base:1.0}\n"
        "  web: {build: src/web, image: org/base:web}\n"
        "  twin: {build: src/web, image: org/base:web}\n"
    )
    assert named(composed)["base"] == ("ai-infra-base:v0.3.6-dev", "org/base:1.0")
    assert named(composed)["web"] == ("ai-infra-web:v0.3.6-dev", "org/base:web")
    assert named(composed)["twin"] == ("ai-infra-twin:v0.3.6-dev", "org/base:web")
    services = look(composed).services
    assert (services["web"].needs, services["job"].needs) == (("base",), ())


def test_a_name_that_is_none_is_a_problem_with_its_place(composed: Path) -> None:
    (composed / "compose.yaml").write_text('services:\n  base: {build: src/base, image: "org/base:${NONE}"}\n')
    (problem,) = look(composed).problems
    assert (problem.path, problem.line, problem.remark) == (composed / "compose.yaml", 2, False)
    assert problem.reason.startswith("service base: 'org/base:' has an invalid tag ''")


REMARK = "remark: src/web/Dockerfile:2: FROM '${REG}debian:bookworm-slim': the argument REG is not set, and without it "


def test_a_remark_is_no_failure_unless_it_is_said_to_be(project: Path, inv: Inv) -> None:
    (project / "src/web").mkdir()
    (project / "src/web/Dockerfile").write_text("ARG REG\nFROM ${REG}debian:bookworm-slim\n")
    done = inv("services", "--json")
    assert (done.returncode, [item["name"] for item in json.loads(done.stdout)]) == (0, ["web"])
    assert done.stderr == f"{REMARK}the value is debian:bookworm-slim\n1 remark\n"
    for task in ("services", "deps", "graph"):
        done = inv(task, "--strict")
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            1,
            "error: 1 error in the repository's files, see above",
        )
        assert "problem: src/web/Dockerfile:2: " in done.stderr


def test_remarks_and_problems_are_counted_apart(project: Path, inv: Inv) -> None:
    (project / "src/web").mkdir()
    (project / "src/web/Dockerfile").write_text("FROM ${REG}debian\nFROM {{IMAGE}}\nFROM ${REG}redis\n")
    done = inv("deps", "--plain")
    assert done.stdout == "debian:latest\nredis:latest\n"
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["remark", "problem", "remark", "2 remarks", "error"]
    assert (done.returncode, lines[-1]) == (1, "error: 1 error in the repository's files, see above")


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
    names, _, places = caught.value.message.removeprefix("services depend on each other in a circle: ").partition(" (")
    assert "a uses the image of b (src/a/Dockerfile:1)" in places
    circle = names.split(" -> ")
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


def test_apphub_and_slurm_build_set_up_apt_the_same_way() -> None:
    root = Path(__file__).resolve().parents[2] / "src"
    assert (root / "apphub/apt-setup").read_text() == (root / "slurm-build/apt-setup").read_text()


def test_a_file_at_the_top_without_a_from_is_no_service_and_no_failure(project: Path, inv: Inv) -> None:
    (project / "Dockerfile").write_text("RUN make\n")
    (project / "src/web").mkdir()
    (project / "src/web/Dockerfile").write_text("FROM debian:12\n")
    done = inv("services")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["SERVICE", "web"]
    assert "remark: Dockerfile: it has no FROM, so it is not a service\n1 remark\n" in done.stderr
    (project / "src/web/Dockerfile").write_text("RUN make\n")  # in a directory of services it is a mistake
    assert inv("services").returncode == 1
