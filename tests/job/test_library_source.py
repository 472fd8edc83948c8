"""Where another machine's pip gets the same build-lib from, and that no password is in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from build_lib.job.library_source import _address, _of
from tests.support.commands import ROOT

CODE = "import os; from build_lib.job.library_source import requirement; print(requirement(dict(os.environ)))"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a project with build-lib's layout, as git makes it."""
    origin = tmp_path / "origin"
    (origin / "build_lib/job").mkdir(parents=True)
    for name in ("inv", "build_lib/__init__.py", "build_lib/lazy.py", "build_lib/git.py"):
        shutil.copy(ROOT / name, origin / name)
    for name in ("__init__.py", "library_source.py"):
        shutil.copy(ROOT / "build_lib/job" / name, origin / "build_lib/job" / name)
    git(origin, "init", "--quiet")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "--message=one")
    git(tmp_path, "clone", "--quiet", str(origin), "clone")
    return tmp_path / "clone"


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def requirement(clone: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_clone_is_named_by_its_origin_and_a_commit_that_is_there(clone: Path) -> None:
    assert requirement(clone) == "", "a path of this machine is none of another"
    git(clone, "remote", "set-url", "origin", "https://me:secret@git.example/team/build-lib.git")
    commit = git(clone, "rev-parse", "HEAD")
    assert requirement(clone) == f"build-lib @ git+https://git.example/team/build-lib.git@{commit}"
    git(clone, "commit", "--quiet", "--allow-empty", "--message=two")
    assert requirement(clone) == "", "nobody else has this commit"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://git.example/a/b.git", "https://git.example/a/b.git"),
        ("https://me:secret@git.example/a.git?x#y", "https://git.example/a.git"),
        ("https://token@git.example:8443/a.git", "https://git.example:8443/a.git"),
        ("git@git.example:a/b.git", "ssh://git@git.example/a/b.git"),
        ("ssh://git:secret@git.example:22/a.git", "ssh://git@git.example:22/a.git"),
        ("/srv/git/a.git", ""),
        ("../a.git", ""),
        ("file:///srv/a.git", ""),
        ("", ""),
    ],
)
def test_an_address_is_of_use_elsewhere_and_has_no_password(url: str, address: str) -> None:
    assert _address(url) == address


def test_what_pip_installed_is_named_as_pip_recorded_it() -> None:
    vcs = {"vcs": "git", "commit_id": "abc"}
    assert _of({"url": "https://git.example/b.git", "vcs_info": vcs}) == "build-lib @ git+https://git.example/b.git@abc"
    assert _of({"url": "https://a.example/b.whl", "archive_info": {}}) == "build-lib @ https://a.example/b.whl"
    assert _of({"url": "file:///tmp/b.whl", "archive_info": {}}) == ""
