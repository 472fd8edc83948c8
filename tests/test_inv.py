"""The wrapper, on a copy of the project, without the network: what it installs is there already."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


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
