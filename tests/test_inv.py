"""The wrapper, on a copy of the project, without the network: what it installs is there already."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from build_lib.settings import Settings
from tests.support.commands import ROOT
from tests.support.engines import install


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project as far as the wrapper needs it, with an environment that has been made."""
    top = tmp_path / "a project"
    top.mkdir()
    for name in ("inv", "tasks.py", "invoke.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, top / name)
    (top / "build_lib").symlink_to(ROOT / "build_lib")
    (top / ".venv/bin").mkdir(parents=True)
    (top / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (top / ".venv/bin/python").chmod(0o755)
    shutil.copy(top / "pyproject.toml", top / ".venv/installed-pyproject.toml")
    return top


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


def test_one_line_sets_up_tab_completion_in_bash(copy: Path) -> None:
    line = "complete_words() { COMP_WORDS=(./inv build); _complete_invoke ./inv build; echo ${COMPREPLY[*]}; }"
    script = f'eval "$(./inv --print-completion-script bash)"; {line}; complete_words; complete -p inv'
    done = subprocess.run(["bash", "-euc", script], cwd=copy, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0].split() == ["build", "build-all"], done.stderr
    assert "-F _complete_invoke inv" in done.stdout


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        ("fish", "./inv --print-completion-script fish | source; complete --do-complete './inv build'"),
        ("zsh", 'eval "$(./inv --print-completion-script zsh)"; words="inv build"; _complete_invoke; print -l $reply'),
    ],
)
def test_and_in_other_shells(shell: str, script: str, copy: Path) -> None:
    install(shell, shell, Settings.load(copy, environ=dict(os.environ)))
    done = subprocess.run([shell, "-c", script], cwd=copy, capture_output=True, text=True, check=False)
    found = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    assert {"build", "build-all"} <= set(found), done.stdout + done.stderr


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


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        ("bash", "COMP_WORDS=(./inv ren); _complete_invoke ./inv ren; echo ${COMPREPLY[*]}"),
        ("fish", "complete --do-complete './inv ren'"),
        ("zsh", "words=(./inv ren); _complete_invoke; print -l $reply"),
    ],
)
def test_completion_asks_the_inv_that_is_typed(shell: str, script: str, own: Path, copy: Path, shop: Path) -> None:
    """Whichever repository's script is in the shell's start-up file."""
    install(shell, shell, Settings.load(copy, environ=dict(os.environ)))
    wrapper = shlex.quote(str(copy / "inv"))
    read = f"{wrapper} --print-completion-script {shell}"
    setup = f"{read} | source" if shell == "fish" else f'eval "$({read})"'
    command = [shell, "-c", f"{setup}; {script}"]
    environment = {name: text for name, text in os.environ.items() if name != "BUILD_LIB"}
    done = subprocess.run(command, cwd=shop, env=environment, capture_output=True, text=True, check=False)
    assert "render" in done.stdout.split(), done.stderr
