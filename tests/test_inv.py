"""The wrapper, on a copy of the project, without the network: what it installs is there already."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.shells import shell


def run(script: Path | str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [str(script), "--list"]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_it_runs_invoke_from_any_directory(copy: Path, tmp_path: Path) -> None:
    for script, cwd in ((copy / "inv", tmp_path), ("./inv", copy), ("../inv", copy / "build_lib")):
        done = run(script, cwd)
        assert "build-all" in done.stdout, done.stderr


def test_it_works_through_symbolic_links(copy: Path, tmp_path: Path) -> None:
    (copy / "link").symlink_to("inv")
    (tmp_path / "far").symlink_to(copy / "link")
    assert "build-all" in run(tmp_path / "far", tmp_path).stdout


def test_before_the_first_use_completion_installs_nothing(copy: Path) -> None:
    (copy / ".venv/installed-pyproject.toml").unlink()
    done = call(copy, copy, "--complete", "--", "inv ")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert not (copy / ".venv/installed-pyproject.toml").exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("exit 1", "is missing or older than Python 3.11"),
        ('case "$2" in *ensurepip*) exit 1; esac', "has no venv module"),
    ],
)
def test_without_a_usable_python_it_says_what_to_install(copy: Path, tmp_path: Path, body: str, said: str) -> None:
    (copy / ".venv/installed-pyproject.toml").unlink()
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    done = run(copy / "inv", copy, PYTHON=str(python))
    assert done.returncode == 1
    assert said in done.stderr
    assert "next: apt-get install" in done.stderr


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Another repository, with one service."""
    (tmp_path / "shop/src/web").mkdir(parents=True)
    (tmp_path / "shop/src/web/Dockerfile").write_text("FROM debian:12\n")
    return tmp_path / "shop"


def call(copy: Path, cwd: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    own = {name: value for name, value in os.environ.items() if name != "PROJECT_ROOT"}
    command = [str(copy / "inv"), *arguments]
    return subprocess.run(command, cwd=cwd, env={**own, **environment}, capture_output=True, text=True, check=False)


def test_called_from_another_repository_it_works_on_that_and_says_so(copy: Path, shop: Path) -> None:
    done = call(copy, shop, "deps", "--plain", "services", "--json")
    assert done.stderr == f"working on {shop} (PROJECT_ROOT)\n", "once"
    assert done.stdout.startswith("debian:12\n[\n")
    subprocess.run(["git", "init", "--quiet", str(shop)], check=True)
    done = call(copy, shop / "src/web", "deps", "--plain")
    assert (done.stdout, done.stderr) == ("debian:12\n", f"working on {shop} (PROJECT_ROOT)\n")


def test_its_hints_name_the_wrapper_as_it_was_typed(copy: Path, shop: Path) -> None:
    (shop / ".build").mkdir()
    (shop / ".build/last-run.json").touch()
    own = {**os.environ, "PATH": f"{copy}:{os.environ['PATH']}", "DOCKER_HOST": "unix:///nowhere"}
    own.pop("PROJECT_ROOT", None)
    for typed in ("../a project/inv", str(copy / "inv"), "inv"):
        command = [typed, "clean"]
        done = subprocess.run(command, cwd=shop, env=own, capture_output=True, text=True, check=False)
        called = "inv" if typed != "../a project/inv" else f"'{typed}'"
        assert done.stderr.endswith(f"  next: {called} clean --yes\n")


def test_a_repository_without_services_never_gets_those_of_build_lib(copy: Path, tmp_path: Path) -> None:
    (copy / "src/own").mkdir(parents=True)
    (copy / "src/own/Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "empty").mkdir()
    done = call(copy, tmp_path / "empty", "services")
    assert (done.returncode, done.stdout) == (1, "")
    said = done.stderr.splitlines()
    assert said[0] == f"working on {tmp_path / 'empty'} (PROJECT_ROOT)"
    assert said[1].startswith("error: no services found")


def test_inside_of_build_lib_and_with_project_root_nothing_is_said(copy: Path, shop: Path, tmp_path: Path) -> None:
    (copy / "src/own").mkdir(parents=True)
    (copy / "src/own/Dockerfile").write_text("FROM alpine\n")
    for cwd in (copy, copy / "src"):
        done = call(copy, cwd, "deps", "--plain")
        assert (done.stdout, done.stderr) == ("alpine:latest\n", "")
    for cwd in (copy, tmp_path, shop):
        done = call(copy, cwd, "deps", "--plain", PROJECT_ROOT=str(shop))
        assert (done.stdout, done.stderr) == ("debian:12\n", "")


def test_tasks_about_build_lib_itself_stay_with_it(copy: Path, shop: Path) -> None:
    for arguments in (["--list"], ["--dry", "test"], ["--dry", "lint"]):
        done = call(copy, shop, *arguments)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_repository_within_build_lib_is_another_one(copy: Path) -> None:
    (copy / "src/own").mkdir(parents=True)
    (copy / "src/own/Dockerfile").write_text("FROM alpine\n")
    inner = copy / "examples/shop"
    inner.mkdir(parents=True)
    (inner / "Dockerfile").write_text("FROM debian:12\n")
    subprocess.run(["git", "init", "--quiet", str(inner)], check=True)
    done = call(copy, inner, "deps", "--plain")
    assert (done.stdout, done.stderr) == ("debian:12\n", f"working on {inner} (PROJECT_ROOT)\n")
    subprocess.run(["git", "init", "--quiet", str(copy.parent)], check=True)
    done = call(copy, copy / "src", "deps", "--plain")
    assert (done.stdout, done.stderr) == ("alpine:latest\n", ""), "a copy within a repository of git is build-lib still"


def test_doctor_names_the_commands_as_they_are_called(copy: Path, shop: Path) -> None:
    said = call(copy, shop, "doctor", DOCKER_HOST="unix:///nowhere").stdout
    assert f"         next: '{copy}/inv' init\n" in said
    (shop / ".env.example").touch()
    assert "         next: cp .env.example .env\n" in call(copy, shop, "doctor", DOCKER_HOST="unix:///nowhere").stdout


def test_the_first_service_in_five_minutes(copy: Path, tmp_path: Path) -> None:
    """The README's commands, as far as they need no engine."""
    [block] = re.findall(r"```\n(mkdir hello.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "build-lib").symlink_to(copy)
    script = block.partition("./inv build-all")[0]
    own = {name: text for name, text in os.environ.items() if name not in ("PROJECT_ROOT", "BUILD_LIB")}
    done = subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()[-2:]] == [
        ["base", "hello-base:dev", "src/base/Dockerfile", "debian:bookworm-slim"],
        ["web", "hello-web:dev", "src/web/Dockerfile", "base"],
    ]


OWN_TASK = """
from invoke import task
from build_lib.tasks import collection
@task
def render(ctx):
    "Render."
    print("rendered")
namespace = collection(__file__, render)
"""


@pytest.fixture
def own(copy: Path, shop: Path) -> Path:
    """The `inv` of a repository that `init` has given one, and that has a task of its own."""
    assert call(copy, shop, "init").returncode == 0
    (shop / "tasks.py").write_text(OWN_TASK)
    (shop / ".build/library").write_text(f"{copy}\n")
    return shop / "inv"


def test_another_repository_s_inv_runs_its_tasks_by_the_clone_that_it_names(own: Path, copy: Path, shop: Path) -> None:
    for cwd in (shop, shop / "src"):
        done = run(own, cwd, BUILD_LIB="")
        assert "  render " in done.stdout, done.stderr
        assert "  lint " not in done.stdout
    environment = {name: text for name, text in os.environ.items() if name not in ("PROJECT_ROOT", "BUILD_LIB")}
    command = ["./inv", "render", "deps", "--plain"]
    done = subprocess.run(command, cwd=shop, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("rendered\ndebian:12\n", "")
    (shop / ".build/library").write_text("/nowhere\n")
    assert "  render " in run(own, shop, BUILD_LIB=str(copy)).stdout


def test_a_state_directory_that_is_a_file_is_named_before_anything_is_installed(own: Path, shop: Path) -> None:
    shutil.rmtree(shop / ".build")
    (shop / ".build").touch()
    done = run(own, shop, BUILD_LIB="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: cannot make the environment: {shop}/.build is no directory, or may not be written\n"
        f"  next: ls -ld {shop}/.build\n"
    )


@pytest.mark.parametrize("name", ["bash", "fish", "zsh"])
def test_completion_asks_the_inv_that_is_typed(name: str, own: Path, copy: Path, shop: Path) -> None:
    """Whichever repository's script is in the shell's start-up file."""
    with shell(name, copy / "inv", shop) as typing:
        assert typing.completed("./inv ren") == ["./inv", "render", "+"]
        assert typing.completed("./inv render build we") == ["./inv", "render", "build", "web", "+"]
        typing.enter("cd src")
        assert typing.completed("../inv ren") == ["../inv", "render", "+"]
        assert typing.completed("~/inv ren") == [str(own), "render", "+"]
        assert typing.completed("inv lin") == ["inv", "lint", "+"], "not on the PATH: that of the script"


@pytest.mark.parametrize("name", ["bash", "fish", "zsh"])
def test_called_from_another_repository_it_completes_what_it_would_do_there(name: str, copy: Path, shop: Path) -> None:
    with shell(name, copy / "inv", shop) as typing:
        called = str(copy / "inv").replace(" ", "\\ ")
        assert typing.completed(f"{called} build we") == [str(copy / "inv"), "build", "web", "+"]


@pytest.mark.parametrize("name", ["bash", "fish", "zsh"])
def test_the_inv_of_an_activated_environment_completes_the_same(name: str, own: Path, copy: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with shell(name, copy / "inv", own.parent, PATH=path, PYTHONPATH=str(ROOT)) as typing:
        assert typing.completed("inv ren") == ["inv", "render", "+"]
        assert typing.completed("inv deps --kin") == ["inv", "deps", "--kind", "+"]
        assert typing.completed("inv build -s we") == ["inv", "build", "-s", "web", "+"]
