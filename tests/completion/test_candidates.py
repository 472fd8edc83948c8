"""What may stand at the cursor of a command line."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.program import Program
from invoke.tasks import task

import tasks
from build_lib.completion import Candidates, candidates
from build_lib.settings import Settings
from tests.support.commands import ROOT, Inv, inv_command
from tests.support.projects import needs, write

OWN = Program(version="").initial_context


@task(aliases=["ship"])
def deploy(ctx, service, color=True):  # type: ignore[no-untyped-def]  # as users write it
    """Deploy."""


ALL: Any = Collection.from_module(tasks)
ALL.add_task(deploy)
TASKS = {context.name: context for context in ALL.to_contexts()}
NAMES = {*TASKS, "ship"}


def at(line: str, root: Path, **environment: str) -> Candidates:
    own = {"HOME": str(root), "PATH": os.environ["PATH"], **environment}
    return candidates(line, TASKS, OWN, lambda _task: Settings.load(root, environ=own))


@pytest.fixture
def shop(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    needs(project, "web", "debian:12")
    needs(project, "worker", "debian:12")
    (project / ".env").write_text("IMAGE_TAG=v7\n")
    monkeypatch.chdir(project)
    return project


def names(found: Candidates) -> list[str]:
    """The words that go on as it is written, without the names of tasks."""
    return [word for word in found.words if word.startswith(found.written) and word not in NAMES]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("inv build -s ", ["web", "worker"]),
        ("inv build -s w", ["web", "worker"]),
        ("inv build -sw", ["-sweb", "-sworker"]),
        ("inv build -s=w", ["-s=web", "-s=worker"]),
        ("inv build --service=", ["--service=web", "--service=worker"]),
        ("inv build -s web -s ", ["worker"]),
        ("inv build web ", ["worker"]),
        ("inv build web push ", ["web", "worker"]),
        ("inv --dry build -t v7 w", ["web", "worker"]),
        ("inv build 'w", ["web", "worker"]),
        ('inv build "w', ["web", "worker"]),
        ("inv build -s wo\\", ["worker"]),
        ("inv status -t ", ["v7"]),
        ("inv graph --format ", ["text", "mermaid", "dot", "svg"]),
        ("inv deps --kind r", ["runtime"]),
        ("inv deps-push --platform linux/am", ["linux/amd64"]),
        ("inv mirrors --image ", ["debian:12"]),
        ("inv mirrors --image debian:", ["debian:12"]),
        ("inv deploy ", ["web", "worker"]),
        ("inv deploy web ", []),
        ("inv deploy --se", ["--service"]),
        ("inv deploy --no", ["--no-color"]),
        ("inv build -s", ["-s"]),
        ("inv build --fo", ["--force"]),
        ("inv build --dr", ["--dry"]),
        ("inv --list-f", ["--list-format"]),
        ("inv --list-format ", ["flat", "nested", "json"]),
        ("inv --print-completion-script ", ["bash", "fish", "zsh"]),
        ("inv nonsense --nonsense ", []),
        ("inv clean --keep ", []),
        ("inv build -j ", []),
        ("inv deps-save --split ", ["650M", "4G"]),
    ],
)
def test_values_and_flags(line: str, words: list[str], shop: Path) -> None:
    assert names(at(line, shop)) == words


@pytest.mark.parametrize("line", ["inv", "inv ", "inv b", "inv --dry ", "inv --help ", "inv build web ", "inv clean "])
def test_the_name_of_a_task(line: str, shop: Path) -> None:
    assert {"build", "build-all", "deploy", "ship"} <= set(at(line, shop).words)


def test_only_values_read_the_repository(tmp_path: Path) -> None:
    def load(_task: str) -> Settings:
        raise AssertionError("settings were read")

    for line in ("inv", "inv bui", "inv build --", "inv clean ", "inv --list-format "):
        assert candidates(line, TASKS, OWN, load).words


@pytest.mark.parametrize("line", ["inv --config ", "inv test -- ", "inv test -- tests/x", "inv -c x"])
def test_any_file_is_for_the_shell(line: str, shop: Path) -> None:
    assert at(line, shop) == Candidates(files=True)


def test_releases_are_the_tags_of_settings_git_and_bundles(shop: Path) -> None:
    write(shop, {".build/deps-v5.tar": "", ".build/deps-v6.json": ""})
    for command in ("init --quiet", "commit --quiet --allow-empty -m x", "tag v3", "tag release/1", "tag v7"):
        name = ["-c", "user.name=x", "-c", "user.email=x@example"]
        subprocess.run(["git", *name, *command.split()], cwd=shop, check=True)
    assert sorted(names(at("inv status -t ", shop))) == ["v3", "v5", "v7"]


def test_registries_are_that_of_the_settings_and_those_with_a_login(shop: Path) -> None:
    (shop / ".env").write_text("PRIVATE_REGISTRY=harbor.example/aihpc\nPRIVATE_REGISTRY_PASSWORD=hidden\n")
    hosts = {"quay.io": {"auth": "aGlkZGVuOmhpZGRlbg=="}, "https://index.docker.io/v1/": {}}
    write(shop, {"kept/docker.json": json.dumps({"auths": hosts, "credHelpers": {"own:5000": "x"}})})
    (shop / "config.json").symlink_to("kept/docker.json")
    found = at("inv push -r ", shop, DOCKER_CONFIG=str(shop)).words
    assert found == ("harbor.example/aihpc", "own:5000/", "quay.io/")


def test_bundles_and_inventories_are_files_and_the_directories_on_the_way(shop: Path) -> None:
    write(shop, {".build/deps-v7.tar": "", "disk/a.tar": "", "disk/b.tar.001": "", "disk/b.tar.002": "", "c.tar": ""})
    write(shop, {"disk/site.json": "", "disk/x.txt": "", ".hidden/x.tar": "", "disk/with\nbreak.tar": ""})
    assert names(at("inv deps-load -f ", shop)) == [".build/deps-v7.tar", "c.tar", "disk/", "src/"]
    assert names(at("inv deps-verify --file=disk/", shop)) == ["--file=disk/a.tar", "--file=disk/b.tar.001"]
    assert names(at("inv deps-inventory -f disk/", shop)) == ["disk/site.json"]
    assert names(at("inv deps-save --since disk/", shop)) == ["disk/a.tar", "disk/b.tar.001", "disk/site.json"]
    assert names(at("inv deps-load -f ./.h", shop)) == ["./.hidden/"]
    assert names(at(f"inv deps-load -f {shop}/c", shop)) == [f"{shop}/c.tar"]
    assert names(at("inv init --path d", shop)) == ["disk/"]
    assert names(at("inv deps-load -f nowhere/", shop)) == []


def test_a_tilde_is_the_home_directory(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(shop, {"disk/a.tar": ""})
    monkeypatch.setenv("HOME", str(shop / "disk"))
    assert names(at("inv deps-load -f ~/", shop)) == ["~/a.tar"]


BROKEN = {
    ".env": ("NAME\n", "inv build -s "),
    "compose.yaml": ("services: [\n", "inv build -s x"),
    ".build": ("a file", "inv deps-load -f "),
    "src": ("a file", "inv build -s x"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_completes_to_nothing(name: str, tmp_path: Path, inv: Inv) -> None:
    text, line = BROKEN[name]
    if name == "src":
        (tmp_path / name).rmdir()
    (tmp_path / name).write_text(text)
    done = inv("--complete", "--", line)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_services_that_depend_on_each_other_in_a_circle_are_still_names(project: Path, inv: Inv) -> None:
    needs(project, "one", "two")
    needs(project, "two", "one")
    done = inv("--complete", "--", "./inv build -s ", IMAGE_PREFIX="")
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["one", "two"], "")


def test_neither_engine_nor_network_nor_helm_is_asked(project: Path, inv: Inv) -> None:
    """Whatever is called instead of these leaves a mark."""
    needs(project, "web", "registry.example/base:1")
    write(project, {"chart/Chart.yaml": "name: x\nversion: 1\n", "chart/templates/x.yaml": "image: x\n"})
    marks = project / "marks"
    for name in ("docker", "helm"):
        (project / name).write_text(f"#!/bin/sh\ntouch {marks}\n")
        (project / name).chmod(0o755)
    own = {"PATH": f"{project}:{os.environ['PATH']}", "IMAGE_FILES": "chart", "DOCKER_HOST": "tcp://192.0.2.1:1"}
    for flag in ("--image", "--registry", "--tag", "--platform", "--service", "--file"):
        task_ = "mirrors" if flag == "--image" else "deps-save"
        assert inv("--complete", "--", f"./inv {task_} {flag} ", **own).stderr == ""
    assert not marks.exists()


def test_the_exit_code_says_whether_anything_fits(project: Path, inv: Inv) -> None:
    needs(project, "web", "debian:12")
    for line, code in (("build -s w", 0), ("build -s x", 1), ("--config x", 0), ("clean --keep ", 1)):
        assert inv("--complete", "--", f"./inv {line}").returncode == code, line


def test_tasks_in_a_namespace_and_those_of_a_repository_itself(tmp_path: Path) -> None:
    code = """
    from invoke import Collection, task
    from build_lib.tasks import collection
    @task(iterable=["service"])
    def greet(ctx, service=None):
        "Greet."
    namespace = Collection(greet, images=collection(__file__))
    """
    write(tmp_path, {"tasks.py": code, "src/web/Dockerfile": "FROM debian\n", "elsewhere/x.txt": ""})
    own = {name: text for name, text in os.environ.items() if name != "PROJECT_ROOT"}
    for line in ("./inv images.build -s ", "./inv greet --service "):
        command = [part if part != str(ROOT) else str(tmp_path) for part in inv_command("--complete", "--", line)]
        done = subprocess.run(command, cwd=tmp_path / "elsewhere", env=own, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("web\n", "")


def test_there_are_scripts_for_three_shells(inv: Inv) -> None:
    for shell in ("bash", "fish", "zsh"):
        assert re.search(r"^ *(complete|compdef)", inv("--print-completion-script", shell).stdout, re.MULTILINE)
