"""Repositories of many layouts: which of their Dockerfiles are services, and what is told if none is."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from build_lib.repository.dockerfiles import is_dockerfile
from build_lib.repository.services import Repository, discover
from build_lib.settings import Settings
from tests.support.commands import Inv

NEEDS_SERVICES = ("services", "status", "graph", "build", "build-all", "copy-slurm", "push")
NEEDS_IMAGES = ("deps", "prefetch", "deps-push", "deps-save")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty repository."""
    (tmp_path / "My App").mkdir()
    return tmp_path / "My App"


def lay(root: Path, *paths: str, text: str = "FROM scratch\n") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def look(root: Path, **environment: str) -> Repository:
    return discover(Settings.load(root, environ={"PATH": os.environ["PATH"], **environment}))


def found(root: Path, **environment: str) -> dict[str, str]:
    """The services, each with its Dockerfile."""
    services = look(root, **environment).services
    assert all(service.context == service.dockerfile.parent for service in services.values())
    return {name: service.dockerfile.relative_to(root).as_posix() for name, service in services.items()}


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("entries", ["src services apps/*", "src, services,apps/*", "./src/ services//,apps/*,src"])
def test_several_directories_and_patterns_hold_services(root: Path, entries: str) -> None:
    lay(root, "src/a/Dockerfile", "services/b/Dockerfile", "apps/x/c/Dockerfile", "apps/y/d/Dockerfile")
    lay(root, "other/e/Dockerfile", "src/a/deeper/Dockerfile", "src/.hidden/Dockerfile", "apps/.git/f/Dockerfile")
    assert found(root, SERVICES_DIR=entries) == {
        "a": "src/a/Dockerfile",
        "b": "services/b/Dockerfile",
        "c": "apps/x/c/Dockerfile",
        "d": "apps/y/d/Dockerfile",
    }


def test_a_named_directory_with_a_dockerfile_is_a_service_itself(root: Path) -> None:
    lay(root, "apps/x/Dockerfile", "apps/y/Dockerfile", "apps/y/tool/Dockerfile")
    services = {"x": "apps/x/Dockerfile", "y": "apps/y/Dockerfile", "tool": "apps/y/tool/Dockerfile"}
    assert found(root, SERVICES_DIR="apps/*") == services
    assert found(root, SERVICES_DIR="apps apps/*") == services
    assert found(root, SERVICES_DIR="apps") == {"x": "apps/x/Dockerfile", "y": "apps/y/Dockerfile"}


def test_a_pattern_may_go_down_and_out_and_a_name_may_look_like_a_pattern(root: Path) -> None:
    lay(root, "repo/one/two/deploy/api/Dockerfile", "beside/web/Dockerfile", "repo/[old]/x/Dockerfile")
    entries = "**/deploy ../beside [old] " + str(root / "beside")
    assert list(look(root / "repo", SERVICES_DIR=entries).services) == ["api", "web", "x"]


def test_a_dockerfile_at_the_top_is_a_service_of_the_directory_s_name(root: Path) -> None:
    lay(root, "Dockerfile", "src/a/Dockerfile")
    assert found(root) == {"a": "src/a/Dockerfile", "my-app": "Dockerfile"}
    assert found(root, SERVICES_DIR=".") == {"my-app": "Dockerfile"}
    assert found(root, SERVICES_DIR="") == {"my-app": "Dockerfile"}


@pytest.mark.parametrize(("name", "service"), [("Big_Shop.io", "big_shop.io"), ("--a__b--", "a-b"), ("项目", "app")])
def test_whose_name_is_made_valid(root: Path, name: str, service: str) -> None:
    lay(root, f"{name}/Dockerfile")
    assert list(look(root / name).services) == [service]


@pytest.mark.parametrize("entry", ["my-app: {build: ./src}", "any: {build: .}"])
def test_unless_a_compose_entry_covers_it(root: Path, entry: str) -> None:
    lay(root, "Dockerfile", "src/Dockerfile")
    (root / "compose.yaml").write_text(f"services: {{{entry}}}\n")
    assert set(look(root, SERVICES_DIR="none").services) == {entry.partition(":")[0]}


def test_links_that_lead_nowhere_hide_no_service(root: Path) -> None:
    lay(root, "src/one/Dockerfile")
    for place in ("src/one/loop", "src/loop", "loop"):
        (root / place).symlink_to("loop")
    (root / "src/dead").symlink_to("nowhere")
    assert found(root) == {"one": "src/one/Dockerfile"}


def test_two_services_of_one_name_are_a_problem_with_both_paths(root: Path) -> None:
    lay(root, "a/web/Dockerfile", "b/web/Dockerfile")
    [problem] = look(root, SERVICES_DIR="a b").problems
    assert (problem.path, problem.line) == (root / "b/web/Dockerfile", 1)
    assert problem.reason.startswith("service web: a/web/Dockerfile has the same name")


def test_variants_are_listed_and_become_services_when_they_are_named(root: Path, inv: Inv) -> None:
    lay(root, "Dockerfile", "Dockerfile.cpu", "web.Dockerfile", "src/a/Dockerfile", "src/a/Dockerfile.gpu")
    lay(root, "src/a/web.Dockerfile", "src/only/Dockerfile.gpu", "src/a/Dockerfile.tpl", "src/a/Dockerfile~")
    listed = inv("services", "--all", PROJECT_ROOT=str(root)).stdout.splitlines()
    assert [line.split()[0] for line in listed if "(variant)" in line] == [
        "my-app-cpu",
        "web",
        "a-gpu",
        "a-web",
        "only-gpu",
    ]
    assert "(variant)" not in inv("services", PROJECT_ROOT=str(root)).stdout
    line = "DOCKERFILES=Dockerfile,Dockerfile.cpu,Dockerfile.gpu,web.Dockerfile"
    assert listed[-1] == f"to build the variants as well, write in .env: {line}"
    (root / ".env").write_text(f"{line}\n")
    assert found(root) == {
        "a": "src/a/Dockerfile",
        "a-gpu": "src/a/Dockerfile.gpu",
        "a-web": "src/a/web.Dockerfile",
        "my-app": "Dockerfile",
        "my-app-cpu": "Dockerfile.cpu",
        "only-gpu": "src/only/Dockerfile.gpu",
        "web": "web.Dockerfile",
    }
    assert look(root).variants == ()
    assert found(root, DOCKERFILES="Dockerfile.*") == {
        "a-gpu": "src/a/Dockerfile.gpu",
        "my-app-cpu": "Dockerfile.cpu",
        "only-gpu": "src/only/Dockerfile.gpu",
    }


def test_variants_in_json_have_no_image(root: Path, inv: Inv) -> None:
    lay(root, "src/a/Dockerfile", "src/a/Dockerfile.gpu")
    listed = json.loads(inv("services", "--all", "--json", PROJECT_ROOT=str(root)).stdout)
    assert listed[1:] == [{"name": "a-gpu", "variant": True, "dockerfile": str(root / "src/a/Dockerfile.gpu")}]


def test_a_variant_that_compose_builds_is_none(root: Path) -> None:
    lay(root, "src/a/Dockerfile", "src/a/Dockerfile.gpu")
    (root / "compose.yaml").write_text("services: {fast: {build: {context: src/a, dockerfile: Dockerfile.gpu}}}\n")
    assert list(look(root).services) == ["a", "fast"]
    assert look(root).variants == ()


def test_a_file_of_any_name_is_one_if_it_is_named(root: Path) -> None:
    lay(root, "src/a/Containerfile", "src/b/Imagefile")
    assert found(root, DOCKERFILES="Containerfile Imagefile") == {"a": "src/a/Containerfile", "b": "src/b/Imagefile"}


@pytest.mark.parametrize(
    "ending", ["tpl", "tmpl", "template", "j2", "backup", "bak", "old", "orig", "rej", "swp", "dockerignore"]
)
def test_templates_and_copies_never_are(ending: str) -> None:
    assert not is_dockerfile(f"Dockerfile.{ending}")
    assert not is_dockerfile(f"web.Dockerfile.{ending}")


@pytest.mark.parametrize("task", [*NEEDS_SERVICES, *NEEDS_IMAGES, "deps-inventory"])
def test_without_services_a_task_that_needs_them_tells_what_is_there(root: Path, inv: Inv, task: str) -> None:
    git(root, "init", "--quiet")
    lay(root, "deploy/api/Dockerfile", "deploy/web/Dockerfile.gpu", "out/x/Dockerfile", "api.Dockerfile.bak")
    (root / ".gitignore").write_text("out/\n")
    arguments = ("-r", "127.0.0.1:1/p") if task in ("deps-push", "deps-inventory") else ()
    done = inv(task, *arguments, PROJECT_ROOT=str(root))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "error: no services found in SERVICES_DIR=src, at the top, or in a compose file; the repository has 2"
        " Dockerfiles:",
        "  | deploy/api/Dockerfile",
        "  | deploy/web/Dockerfile.gpu",
        "  next: write in .env: SERVICES_DIR=deploy",
    ]


@pytest.mark.parametrize("task", ["doctor", "mirrors", "clean", "registry-down"])
def test_other_tasks_do_not_need_services(root: Path, inv: Inv, task: str) -> None:
    assert "no services found" not in inv(task, PROJECT_ROOT=str(root)).stderr


@pytest.mark.parametrize("compose", [False, True])
def test_images_alone_are_enough_for_tasks_about_images(root: Path, inv: Inv, compose: bool) -> None:
    if compose:
        (root / "compose.yaml").write_text("services: {cache: {image: redis:7}}\n")
    environment = {} if compose else {"EXTRA_IMAGES": "redis:7"}
    done = inv("deps", "--plain", PROJECT_ROOT=str(root), **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "redis:7\n", "")
    for task in ("deps-save", "deps-push"):
        done = inv("--dry", task, "-r", "127.0.0.1:1/p", PROJECT_ROOT=str(root), **environment)
        assert "no services found" not in done.stderr
    done = inv("build-all", PROJECT_ROOT=str(root), **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no services found")


@pytest.mark.parametrize(
    ("paths", "lines"),
    [
        (["api/Dockerfile", "web/Dockerfile"], "SERVICES_DIR=."),
        (["deploy/Dockerfile", "deploy/a/Dockerfile"], "SERVICES_DIR=.,deploy"),
        ([f"apps/{name}/web/Dockerfile" for name in "abc"], "SERVICES_DIR=apps/*"),
        (["Dockerfile.gpu", "web.Dockerfile"], "DOCKERFILES=Dockerfile,Dockerfile.gpu,web.Dockerfile"),
        (["docker/a/Containerfile"], "SERVICES_DIR=docker and DOCKERFILES=Dockerfile,Containerfile"),
    ],
)
def test_the_line_to_write_finds_them(root: Path, inv: Inv, paths: list[str], lines: str) -> None:
    lay(root, *paths)
    done = inv("services", PROJECT_ROOT=str(root))
    assert done.stderr.splitlines()[-1] == f"  next: write in .env: {lines}"
    (root / ".env").write_text(lines.replace(" and ", "\n"))
    for number, path in enumerate(paths):
        lay(root, path, text=f"FROM scratch\nLABEL number={number}\n")
    names = [service.dockerfile for service in look(root).services.values()]
    problems = [problem.path for problem in look(root).problems]
    assert sorted([*names, *problems]) == sorted(root / path for path in paths)


def test_at_most_twenty_are_shown(root: Path, inv: Inv) -> None:
    lay(root, *(f"deploy/{number:02}/Dockerfile" for number in range(25)), "node_modules/x/Dockerfile", ".x/Dockerfile")
    said = inv("services", PROJECT_ROOT=str(root)).stderr.splitlines()
    assert said[0].endswith("the repository has 25 Dockerfiles:")
    assert said[1:21] == [f"  | deploy/{number:02}/Dockerfile" for number in range(20)]
    assert said[21] == "  | and 5 more"


def test_a_hook_s_git_is_not_asked_about_another_repository(root: Path, inv: Inv) -> None:
    (root.parent / "other").mkdir()
    git(root.parent / "other", "init", "--quiet")
    git(root, "init", "--quiet")
    lay(root, "deploy/a/Dockerfile")
    done = inv("services", PROJECT_ROOT=str(root), GIT_DIR=str(root.parent / "other/.git"))
    assert "  | deploy/a/Dockerfile\n" in done.stderr


def test_without_any_dockerfile_the_directory_is_named(root: Path, inv: Inv) -> None:
    done = inv("services", PROJECT_ROOT=str(root))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: no services found: {root} has no Dockerfile")


def test_a_file_with_an_error_is_told_instead(root: Path, inv: Inv) -> None:
    (root / "compose.yaml").write_text("services: {a: {build: nowhere}}\n")
    done = inv("services", PROJECT_ROOT=str(root))
    assert done.returncode == 1
    assert done.stderr.startswith("problem: compose.yaml:1: service a: the context ")
