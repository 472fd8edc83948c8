"""Repositories of many layouts get these tasks, and their own `./inv` works; what they have is respected."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.commands import ROOT, Inv
from tests.support.projects import write

FILES = {".build", ".env", ".env.example", ".gitignore", "inv", "inv-requirements.txt", "invoke.yaml", "tasks.py"}
SLURM = {
    "src/slurm-build/Dockerfile": "FROM ubuntu:22.04\nRUN make-packages /out\n",
    "src/apphub/Dockerfile": "FROM nginx:stable\n",
}
STAGE = "FROM ubuntu:22.04 AS slurm\nFROM nginx:stable\nCOPY --from=slurm /out/*.deb /usr/share/nginx/html/pkgs/\n"
LAYOUTS: dict[
    str, tuple[Mapping[str, str], set[str], dict[str, str], set[str]]
] = {  # files, settings, services, images
    "services": (
        {
            "services/web/Dockerfile": "ARG IMAGE_TAG\nFROM shop-base:${IMAGE_TAG}\n",
            "services/base/Dockerfile": "FROM debian:12\n",
        },
        {"SERVICES_DIR=services", "IMAGE_PREFIX=shop-", "IMAGE_TAG=dev"},
        {"web": "shop-web:dev", "base": "shop-base:dev"},
        {"debian:12"},
    ),
    "compose only": (
        {
            "docker-compose.yml": "services: {api: {build: backend}, cache: {image: 'redis:7'}}\n",
            "backend/Dockerfile": "FROM python:3.12\n",
        },
        {"IMAGE_PREFIX=the-shop-", "IMAGE_TAG=dev"},
        {"api": "the-shop-api:dev"},
        {"python:3.12", "redis:7"},
    ),
    "one Dockerfile": (
        {"Dockerfile": "FROM golang:1\n"},
        {"IMAGE_PREFIX=", "IMAGE_TAG=dev"},
        {"the-shop": "the-shop:dev"},
        {"golang:1"},
    ),
    "monorepo": (
        {
            "deploy/compose.yaml": "services: {web: {build: {context: .., dockerfile: apps/web/Dockerfile}}}\n",
            "apps/web/Dockerfile": "FROM node:22\nCOPY apps/web /web\n",
            "apps/web/index.html": "hello\n",
        },
        {"COMPOSE_FILE=deploy/compose.yaml", "IMAGE_PREFIX=the-shop-", "IMAGE_TAG=dev"},
        {"web": "the-shop-web:dev"},
        {"node:22"},
    ),
    "the plan's pair": (
        SLURM,
        {"IMAGE_PREFIX=the-shop-", "IMAGE_TAG=dev"},
        {"apphub": "the-shop-apphub:dev", "slurm-build": "the-shop-slurm-build:dev"},
        {"nginx:stable", "ubuntu:22.04"},
    ),
    "Slurm as a stage": (
        {"src/apphub/Dockerfile": STAGE},
        {"IMAGE_PREFIX=the-shop-", "IMAGE_TAG=dev"},
        {"apphub": "the-shop-apphub:dev"},
        {"nginx:stable", "ubuntu:22.04"},
    ),
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """An empty repository of git."""
    root = tmp_path / "The Shop"
    root.mkdir()
    git(root, "init", "--quiet")
    return root


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def tree(root: Path) -> dict[str, tuple[bytes, int, int]]:
    """Each file's content, mode and time of change, without git's and Python's own."""
    files = [path for path in root.rglob("*") if path.is_file() and not {".git", "__pycache__"} & set(path.parts)]
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns) for path in files
    }


def own(root: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The repository's own `./inv`, with the system's programs alone on the PATH.

    It runs the Python of this test: a clone's `inv` could make that one's environment again in the middle of the tests.
    """
    command = [os.path.relpath(root / "inv", cwd or root), *arguments]
    command[0] = command[0] if "/" in command[0] else f"./{command[0]}"
    environ = {"PATH": "/usr/bin:/bin", "BUILD_LIB": sys.executable, "DOCKER_HOST": "unix:///nowhere", **environment}
    return subprocess.run(command, cwd=cwd or root, env=environ, capture_output=True, text=True, check=False)


def settings(root: Path) -> set[str]:
    return {line for line in (root / ".env").read_text().splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_its_own_inv_works_with_settings_that_fit(layout: str, shop: Path, inv: Inv) -> None:
    files, expected, services, images = LAYOUTS[layout]
    write(shop, files)
    before = tree(shop)
    assert inv("--dry", "init", "--path", str(shop)).stdout.count("would be written") == len(FILES)
    assert tree(shop) == before
    done = inv("init", "--path", str(shop))
    assert (done.returncode, done.stdout.count(": written")) == (0, len(FILES))
    assert all(line in done.stdout for line in [*expected, *services.values()])
    assert settings(shop) == expected
    assert (shop / ".env").read_text() == (shop / ".env.example").read_text()
    after = tree(shop)
    assert {name: after[name] for name in before} == before
    listed = own(shop, "services", "--json")
    assert listed.returncode == 0, listed.stderr
    assert {item["name"]: item["image"] for item in json.loads(listed.stdout)} == services
    assert set(own(shop, "deps", "--plain", cwd=next(shop.rglob("Dockerfile")).parent).stdout.split()) == images
    assert own(shop, "--dry", "build-all").stdout.startswith("step 0/5: prefetch\n")
    again = inv("init", "--path", str(shop))
    assert (again.returncode, again.stdout.count(": unchanged")) == (0, len(FILES))
    assert tree(shop) == after


def test_its_own_inv_lists_and_completes_the_tasks_and_can_be_used_for_init(shop: Path, inv: Inv) -> None:
    assert inv("init", PROJECT_ROOT=str(shop)).returncode == 0
    assert "  build-all " in own(shop, "--list").stdout
    assert "build-all" in own(shop, "--complete", "--", "inv").stdout.split()
    before = tree(shop)
    assert own(shop, "init").stdout.count(": unchanged") == len(FILES)
    assert tree(shop) == before
    assert git(shop, "status", "--short", ".env", ".build", "__pycache__") == ""


def test_it_says_what_it_found_and_did_not_take(shop: Path, inv: Inv) -> None:
    lay = ["src/a/Dockerfile", "src/a/Dockerfile.gpu", "src/a/Dockerfile.tpl", "third_party/x/Dockerfile"]
    write(shop, dict.fromkeys(lay, "FROM debian:12\n"))
    write(shop, {"a.compose.yaml": "services: {x: {image: x}}\n", "b.compose.yaml": "services: {x: {image: x}}\n"})
    said = inv("init", PROJECT_ROOT=str(shop)).stdout.splitlines()
    assert said[0] == f"repository: {shop}"
    assert [line.split()[:4] for line in said[2:4]] == [
        ["a", "the-shop-a:dev", "src/a/Dockerfile", "debian:12"],
        ["a-gpu", "-", "(variant)", "src/a/Dockerfile.gpu"],
    ]
    assert said[4:10] == [
        "to build the variants as well, write in .env: DOCKERFILES=Dockerfile,Dockerfile.gpu",
        "other Dockerfiles (SERVICES_DIR names the directories of services): third_party/x/Dockerfile",
        "templates and copies of Dockerfiles, which are not read: src/a/Dockerfile.tpl",
        "other compose files (COMPOSE_FILE names those that are read): a.compose.yaml, b.compose.yaml",
        "setting for .env: IMAGE_TAG=dev (there is no git tag that images can have)",
        "setting for .env: IMAGE_PREFIX=the-shop- (the repository's name)",
    ]
    assert said[-2].startswith("next: cd 'The Shop' && ./inv doctor")


def test_an_empty_directory_is_a_beginning(tmp_path: Path, inv: Inv) -> None:
    (tmp_path / "new").mkdir()
    done = inv("init", "--path", str(tmp_path / "new"))
    assert done.returncode == 0
    assert "services: none yet" in done.stdout
    assert done.stderr == "", "the repository that this is called from has nothing to do with it"
    assert (tmp_path / "new/.gitignore").read_text() == ".env\n.build/\n__pycache__/\n"
    assert "already" not in inv("init", "--path", str(tmp_path / "new")).stdout
    assert (tmp_path / "new/.gitignore").read_text() == ".env\n.build/\n__pycache__/\n", "also outside of git"


def test_problems_in_its_files_are_told_and_stop_nothing(shop: Path, inv: Inv) -> None:
    write(shop, {"src/a/Dockerfile": "FROM ${BASE}\n"})
    done = inv("init", PROJECT_ROOT=str(shop))
    assert done.returncode == 0
    assert "problem: src/a/Dockerfile:1: " in done.stderr
    assert (shop / "inv").exists()


def test_an_env_file_keeps_its_lines_and_gets_what_it_lacks(shop: Path, inv: Inv) -> None:
    (shop / ".env").write_text("IMAGE_TAG=v3\nSECRET=x y # theirs")
    (shop / ".env").chmod(0o640)
    assert inv("init", PROJECT_ROOT=str(shop)).returncode == 0
    added = "\n# settings of build-lib, written by init\nIMAGE_PREFIX=the-shop-\n"
    assert (shop / ".env").read_text() == f"IMAGE_TAG=v3\nSECRET=x y # theirs{added}"
    assert (shop / ".env").stat().st_mode & 0o777 == 0o640
    assert "\nIMAGE_TAG=v3\n" in (shop / ".env.example").read_text()


def test_an_example_of_theirs_becomes_the_env_file_as_their_own_tools_expect(shop: Path, inv: Inv) -> None:
    (shop / ".env.example").write_text("IMAGE_TAG=v3\nDATABASE=db\n")
    before = tree(shop)
    assert ".env: would be written, as a copy of .env.example" in inv("--dry", "init", PROJECT_ROOT=str(shop)).stdout
    assert inv("init", PROJECT_ROOT=str(shop)).returncode == 0
    assert settings(shop) == {"IMAGE_TAG=v3", "DATABASE=db", "IMAGE_PREFIX=the-shop-"}
    assert (shop / ".env").stat().st_mode & 0o777 == 0o600, "passwords will be in it"
    assert tree(shop)[".env.example"] == before[".env.example"]


def test_what_git_ignores_or_has_needs_no_line(shop: Path, inv: Inv) -> None:
    (shop / ".gitignore").write_text(".build*\n*.pyc")
    (shop / ".env").write_text("IMAGE_TAG=v1\n")
    git(shop, "add", ".env")
    (shop / ".venv").mkdir()
    done = inv("init", PROJECT_ROOT=str(shop))
    assert (shop / ".gitignore").read_text() == ".build*\n*.pyc\n__pycache__/\n.venv/\n"
    assert ".gitignore: lines added\n  __pycache__/\n  .venv/\n" in done.stdout


@pytest.mark.parametrize("name", ["tasks.py", "tasks/__init__.py", "invoke.yaml", "invoke.yml"])
def test_a_file_of_theirs_that_has_to_name_the_tasks_is_left_and_said(name: str, shop: Path, inv: Inv) -> None:
    write(shop, {name: "mine: 1\n"})
    done = inv("init", PROJECT_ROOT=str(shop))
    assert done.returncode == 1
    assert (shop / name).read_text() == "mine: 1\n"
    assert f"{name}: unchanged; it needs these lines\n  " in done.stdout
    file = name.rpartition("/")[2]
    assert done.stderr == f"error: the tasks work only when {file} has the lines above\n  next: add them by hand\n"
    kind, other = ("tasks", "tasks.py") if "tasks" in name else ("invoke", "invoke.yaml")
    assert [path.name for path in shop.glob(f"{kind}*")] == [name.partition("/")[0]], f"there is no second {other}"
    added = {"tasks": "from build_lib.tasks import collection", "invoke": "build_lib.executor.Executor"}[kind]
    (shop / name).write_text(f"{added}\n")
    assert inv("init", PROJECT_ROOT=str(shop)).returncode == 0


def test_another_inv_is_left(shop: Path, inv: Inv) -> None:
    (shop / "inv").write_text("mine\n")
    done = inv("init", PROJECT_ROOT=str(shop))
    assert done.returncode == 0
    assert "inv: unchanged; to get the one of this version, delete it" in done.stdout
    assert (shop / "inv").read_text() == "mine\n"


@pytest.mark.parametrize("name", [".env", "tasks.py", ".gitignore", "inv", ".build/library"])
@pytest.mark.parametrize("link", [False, True])
def test_what_is_no_file_is_refused_before_anything_is_written(name: str, link: bool, shop: Path, inv: Inv) -> None:
    (shop / name).parent.mkdir(exist_ok=True)
    if link:
        (shop / name).symlink_to("nowhere")
    else:
        (shop / name).mkdir()
    done = inv("init", PROJECT_ROOT=str(shop))
    assert done.returncode == 1
    if name == ".env":
        assert done.stderr.startswith(f"error: {shop / name} is not a file\n  next: write NAME=VALUE")
    else:
        assert done.stderr == f"error: {shop / name} is in the way: it is not a file\n  next: move it away\n"
    assert tree(shop) == {}


def test_a_wrong_setting_of_theirs_is_told_before_anything_is_written(shop: Path, inv: Inv) -> None:
    write(shop, {"src/a/Dockerfile": "FROM debian:12\n", ".env": "IMAGE_PREFIX=A B\n"})
    done = inv("init", PROJECT_ROOT=str(shop))
    assert done.returncode == 1
    assert done.stderr.startswith("error: IMAGE_PREFIX in .env is 'A B'\n  next: allowed: a prefix of image names")
    assert tree(shop).keys() == {"src/a/Dockerfile", ".env"}


@pytest.mark.parametrize(("path", "said"), [("nowhere", "is not a directory"), (str(ROOT), "is build-lib itself")])
def test_a_path_that_is_no_other_repository_is_refused(path: str, said: str, project: Path, inv: Inv) -> None:
    done = inv("init", "--path", path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "next: --path names" in done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this project."""
    top = tmp_path_factory.mktemp("wheel")
    source = top / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "tasks.py", "inv"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "build_lib", source / "build_lib", symlinks=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(top), str(source)], check=True)
    [wheel] = top.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(wheel: Path) -> Path:
    """A directory into which the wheel was installed, without its dependencies: those are here."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--target", str(wheel.parent / "site"), str(wheel)], check=True)
    return wheel.parent / "site"


def call(installed: Path, cwd: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment.pop("PROJECT_ROOT", None)
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_from_the_wheel_a_repository_gets_the_tasks_and_works(installed: Path, tmp_path: Path) -> None:
    where = call(installed, tmp_path, "-c", "import build_lib.tasks; print(build_lib.tasks.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed), where.stderr
    (tmp_path / "src/one").mkdir(parents=True)
    (tmp_path / "src/one/Dockerfile").write_text("FROM debian:12\n")
    (tmp_path / ".env").write_text("IMAGE_PREFIX=mine-\nIMAGE_TAG=v7\n")
    done = call(installed, tmp_path, "-m", "build_lib", "init")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"src"}
    listed = call(installed, tmp_path, "-m", "invoke", "--list").stdout
    assert "build-all" in listed
    assert "lint" not in listed
    (tmp_path / "src/two").mkdir()
    (tmp_path / "src/two/Dockerfile").write_text("FROM mine-one:v7\n")
    services = call(installed, tmp_path / "src", "-m", "invoke", "services").stdout
    assert "mine-two:v7" in services
    assert "one" in services
    deps = call(installed, tmp_path, "-m", "invoke", "deps", "--plain").stdout
    assert deps == "debian:12\n"
    wrong = call(installed, tmp_path, "-m", "invoke", "deps", "-s", "thre")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: "), "failures end as one line there too"


def test_hints_name_the_repository_s_own_inv_if_it_has_one(installed: Path, tmp_path: Path) -> None:
    call(installed, tmp_path, "-m", "build_lib", "init")
    (tmp_path / ".build/last-run.json").touch()
    (tmp_path / "src").mkdir()
    hint = call(installed, tmp_path, "-m", "invoke", "clean").stderr
    assert hint.endswith("  next: ./inv clean --yes\n")
    assert call(installed, tmp_path / "src", "-m", "invoke", "clean").stderr.endswith("  next: ../inv clean --yes\n")
    (tmp_path / "inv").unlink()
    assert call(installed, tmp_path, "-m", "invoke", "clean").stderr.endswith("  next: inv clean --yes\n")


def test_its_inv_runs_the_python_that_init_ran_with(installed: Path, tmp_path: Path) -> None:
    call(installed, tmp_path, "-m", "build_lib", "init")
    assert (tmp_path / ".build/library").read_text() == f"{sys.executable}\n"
    done = own(tmp_path, "services", BUILD_LIB="", PYTHONPATH=str(installed))
    assert done.stderr.startswith("error: no services found"), done.stderr
    assert not (tmp_path / ".build/venv").exists()


@pytest.fixture(scope="session")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the packages that this test's Python has, but without build-lib, which pip would find there."""
    top = tmp_path_factory.mktemp("dependencies")
    site = next(path for path in map(Path, sys.path) if (path / "invoke").is_dir())
    for path in site.iterdir():
        if "build_lib" not in path.name:
            (top / path.name).symlink_to(path)
    return top


def test_without_one_pip_installs_what_the_requirements_say(
    wheel: Path, installed: Path, dependencies: Path, tmp_path: Path
) -> None:
    call(installed, tmp_path, "-m", "build_lib", "init")
    (tmp_path / ".build/library").unlink()
    (tmp_path / "wheels").mkdir()
    shutil.copy(wheel, tmp_path / "wheels")
    write(
        tmp_path,
        {"inv-requirements.txt": "--no-index\n--find-links wheels\nbuild-lib\n", "src/a/Dockerfile": "FROM x\n"},
    )

    def run(*arguments: str, cwd: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        environment = {"PIP_NO_DEPS": "1", "PYTHONPATH": str(dependencies), "PYTHON": sys.executable}
        return own(tmp_path, *arguments, cwd=cwd, BUILD_LIB="", **environment)

    first = run("services", cwd=tmp_path / "src")
    assert first.returncode == 0, first.stderr
    assert first.stderr == f"making the environment in {tmp_path}/.build/venv\n"
    assert run("services").stderr == "", "once"
    run("init")
    assert not (tmp_path / ".build/library").exists(), "it would hide later changes of the requirements"
    (tmp_path / "inv-requirements.txt").write_text("# nothing\n")
    lacking = run("services")
    assert lacking.returncode == 1
    assert "error: inv-requirements.txt does not name build-lib\n  next: add it there" in lacking.stderr
    (tmp_path / "inv-requirements.txt").unlink()
    lost = run("services")
    assert lost.returncode == 1
    assert lost.stderr.startswith(
        f"error: {tmp_path} has no inv-requirements.txt, and its .build/library names no build"
    )


def test_a_wrong_build_lib_is_told(shop: Path, inv: Inv) -> None:
    inv("init", PROJECT_ROOT=str(shop))
    done = own(shop, "services", BUILD_LIB="/nowhere")
    assert done.returncode == 1
    assert done.stderr == "error: BUILD_LIB is /nowhere, which is neither a clone of build-lib nor a Python\n"
