"""The command line as a user runs it, and what it says and takes."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.schemas import check_printed

ROOT = Path(__file__).resolve().parents[2]
Inv = Callable[..., "subprocess.CompletedProcess[str]"]  # the fixture `inv`
_PATIENCE_SECONDS = 60
MEMORY_LIMIT = 150 << 20  # bytes that a command may take, whatever the sizes of images


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty repository to work on."""
    (tmp_path / "src").mkdir()
    return tmp_path


@pytest.fixture
def inv(project: Path) -> Inv:
    """The command line, run in the project by the interpreter of this test."""

    def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(project, arguments, environment)

    return call


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project as far as the wrapper needs it, with an environment that has been made."""
    return copy_of_project(tmp_path)


@pytest.fixture(scope="module")
def module_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests of a module."""
    return copy_of_project(tmp_path_factory.mktemp("project"))


def copy_of_project(directory: Path) -> Path:
    top = directory / "a project"
    top.mkdir()
    for name in ("inv", "tasks.py", "invoke.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, top / name)
    (top / "build_lib").symlink_to(ROOT / "build_lib")
    (top / ".venv/bin").mkdir(parents=True)
    (top / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (top / ".venv/bin/python").chmod(0o755)
    shutil.copy(top / "pyproject.toml", top / ".venv/installed-pyproject.toml")
    return top


def run_inv(
    project: Path, arguments: tuple[str, ...], environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """The command once it has ended. What it printed for programs is as its schema says."""
    done = subprocess.run(
        inv_command(*arguments),
        cwd=project,
        env={**os.environ, "PROJECT_ROOT": str(project), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    check_printed(arguments, done.stdout)
    return done


def start_inv(
    project: Path, arguments: tuple[str, ...], environment: dict[str, str] | None = None
) -> "subprocess.Popen[str]":
    """The command while it runs; `ended` waits for its end."""
    return subprocess.Popen(
        inv_command(*arguments),
        cwd=project,
        env={**os.environ, "PROJECT_ROOT": str(project), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def peak_memory(*arguments: str, **environment: str) -> int:
    """Bytes that the command took at most; it must succeed.

    A process between counts it: what was started from a large one counts as that large.
    """
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", code, *inv_command(*arguments)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


def inv_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "build_lib.wrapper", "./inv", str(ROOT), *arguments]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def ended(process: "subprocess.Popen[str]") -> str:
    """All that it said, once it has ended."""
    with process:
        out, err = process.communicate(timeout=_PATIENCE_SECONDS)
    return out + err


def items_of(done: "subprocess.CompletedProcess[str]") -> list[Any]:
    """The items of the list that a task printed with `--json`, also if it failed."""
    document = json.loads(done.stdout)
    found: list[Any] = document if done.returncode == 0 else document["result"]
    return found


def said(done: "subprocess.CompletedProcess[str]") -> str:
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


@contextlib.contextmanager
def small_disk(directory: Path, options: str) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(directory)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)
