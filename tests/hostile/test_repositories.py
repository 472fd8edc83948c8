"""Repositories that mean harm: links below `.build` that lead out of it, and files that are none."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.attempts import NOWHERE
from tests.support.commands import run_inv
from tests.support.projects import needs

PRECIOUS = "not to be touched\n"
# the path below `.build` that leads out of it, and whether to a directory
LINKS: dict[str, bool] = {
    "logs/web.log": False,
    "logs/web.Dockerfile": False,
    "logs/web.Dockerfile.dockerignore": False,
    "logs/apt.log": False,
    "logs/dockerd.log": False,
    "logs/registry.log": False,
    "logs": True,
    "services": True,
    "services/web": True,
    "services/web/last.json": False,
    "services/web/stamps.json": False,
    "prefetch.json": False,
    "last-run.json": False,
    "report.html": False,
    "images": False,
    "engine.json": False,
    "build.lock": False,
    "copy-slurm.lock": False,
    "blobs": True,
    "blobs/sha256": True,
    "blobs/partial": True,
    f"blobs/sha256/{64 * '0'}": False,
    f"blobs/partial/{64 * '0'}": False,
    "registry": True,
    "registry/login": False,
    "registry/htpasswd": False,
    "registry/config.yml": False,
    "registry/data": True,
    "registry/data/docker": True,
    "inventory.json": False,
    "deps-v0.3.6-dev.tar": False,
    ".deps-v0.3.6-dev.tar.partial": False,
}
COMMANDS = (("build-all",), ("deps-save",), ("clean", "--yes"))
ODD: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a link to the kernel's messages": lambda path: path.symlink_to("/proc/kmsg"),
    "a link to the environment": lambda path: path.symlink_to("/proc/self/environ"),
    "a link to a setting of the kernel": lambda path: path.symlink_to("/sys/kernel/mm/transparent_hugepage/enabled"),
}
FILES: dict[str, str] = {  # what reads it
    "src/web/Dockerfile": "services",
    "src/web/.dockerignore": "services",
    "src/web/Dockerfile.dockerignore": "services",
    "compose.yaml": "services",
    "compose.override.yaml": "services",
    "included.yaml": "services",
    ".env": "services",
    "web.env": "services",
    "k8s/pod.yaml": "deps",
    "k8s/list.txt": "deps",
}
COMPOSE = """\
include: [{path: included.yaml, env_file: web.env}]
services:
  web: {build: src/web}
"""


def files_of(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", LINKS)
def test_nothing_is_written_through_a_link(name: str, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    needs(project, "web", "scratch", 'CMD ["/web"]')
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text(PRECIOUS)
    link = project / ".build" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside if LINKS[name] else outside / "file")
    for command in COMMANDS:
        done = run_inv(project, command, {"HOME": str(project), "DOCKER_HOST": NOWHERE})
        assert done.returncode == 1, done.stdout + done.stderr
        assert f"error: {link} is a symbolic link, and nothing in .build may lead elsewhere" in done.stderr
        assert f"  next: rm {link}" in done.stderr
    assert files_of(outside) == {"file": PRECIOUS}


@pytest.mark.parametrize("name", ["logs/web.log", "services/web/last.json", "library", "x"])
def test_files_below_it_that_git_tracks_are_refused(name: str, project: Path) -> None:
    needs(project, "web", "scratch")
    (project / ".build" / name).parent.mkdir(parents=True, exist_ok=True)
    (project / ".build" / name).write_text(PRECIOUS)
    commit_all(project)
    done = run_inv(project, ("status",), {"DOCKER_HOST": NOWHERE})
    assert f"error: git tracks files in {project}/.build, which is for this program's own files alone" in done.stderr
    assert "  next: git rm -r --cached .build" in done.stderr
    assert (project / ".build" / name).read_text() == PRECIOUS
    subprocess.run(["git", "rm", "-r", "-q", "--cached", ".build"], cwd=project, check=True)
    assert "git tracks" not in run_inv(project, ("status",), {"DOCKER_HOST": NOWHERE}).stderr


@pytest.mark.parametrize("tracked", [True, False])
def test_a_link_to_another_disk_is_the_users_unless_git_tracks_it(
    tracked: bool, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    needs(project, "web", "scratch")
    disk = tmp_path_factory.mktemp("disk")
    (project / ".build").symlink_to(disk)
    if tracked:
        commit_all(project)
    done = run_inv(project, ("services",), {"DOCKER_HOST": NOWHERE})
    assert done.returncode == int(tracked), done.stderr
    assert ("git tracks files in" in done.stderr) == tracked


@pytest.mark.parametrize("form", ODD)
@pytest.mark.parametrize("name", FILES)
def test_only_regular_files_are_read(name: str, form: str, project: Path) -> None:
    needs(project, "web", "scratch", "COPY . /web")
    for path, text in {"compose.yaml": COMPOSE, "included.yaml": "services: {}\n", "web.env": "", ".env": ""}.items():
        (project / path).write_text(text)
    (project / "k8s").mkdir()
    (project / "src/web/.env").write_text("")  # services says it if no ignore file leaves it out
    (project / name).unlink(missing_ok=True)
    ODD[form](project / name)
    environment = {"DOCKER_HOST": NOWHERE, "HOME": str(project), "IMAGE_FILES": "k8s/*"}
    done = run_inv(project, (FILES[name],), environment)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert name in said, said
    assert "only regular files are read" in said, said


def commit_all(project: Path) -> None:
    options = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
    for command in (("init", "-q"), ("add", "--all", "--force"), ("commit", "-q", "-m", "all")):
        subprocess.run(["git", *options, *command], cwd=project, check=True)
